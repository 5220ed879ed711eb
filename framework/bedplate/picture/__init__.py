"""The picture of what a spec becomes in one environment: pure, from a compiled project to a text.

model.py   entries, the resources they become, and what uses what
mermaid.py the picture as a Mermaid flowchart
layout.py  where everything stands: a column per stack, a card per entry
routes.py  the ways of the arrows between the cards
svg.py     the laid out picture as one SVG document, complete in itself
"""
