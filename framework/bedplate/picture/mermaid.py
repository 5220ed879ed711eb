"""The picture as a Mermaid flowchart: a node per entry, with its resources as lines, in a subgraph per stack.

Whatever a name holds, it can neither end its label nor become HTML: all but plain letters, digits and a few
signs are written as Mermaid's entity codes (https://mermaid.js.org/syntax/flowchart.html, "Entity codes to
escape characters").
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from string import ascii_letters, digits

from bedplate.picture.model import LINK, RESOURCE, Card, Part, Picture
from bedplate.picture.words import after, summary, title
from bedplate.report import escaped

_PLAIN = frozenset(ascii_letters + digits + " .,:()/_-")
_LINE = "<br/>"


def as_mermaid(picture: Picture) -> str:
    """The flowchart's text. An arrow leads from what is used to what uses it."""
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield "---"
    yield f"title: {json.dumps(_label(title(picture)))}"
    yield "---"
    yield "flowchart LR"
    yield f"  accTitle: {_label(title(picture))}"
    yield f"  accDescr: {_label(summary(picture))}"
    ids: dict[str, str] = {}
    for number, stack in enumerate(picture.stacks):
        yield f'  subgraph s{number}["{_label(stack.name)}"]'
        for card in stack.cards:
            node = f"n{len(ids)}"
            # What is in several stacks, such as the environment, has a node in each, and no arrows.
            ids[card.address if card.address not in ids else node] = node
            yield f'    {node}["{_text(card)}"]'
        yield "  end"
    for used, user, why in picture.arrows():
        arrow = "-->" if LINK in why or RESOURCE in why else "-.->"
        yield f"  {ids[used]} {arrow} {ids[user]}"


def _text(card: Card) -> str:
    first = f"{card.address} (protected)" if card.protected else card.address
    return _LINE.join(_label(line) for line in (first, *(_line(part, card) for part in card.parts)))


def _line(part: Part, card: Card) -> str:
    needed = after(part, card)
    return f"{part.label}, after {', '.join(needed)}" if needed else part.label


def _label(text: str) -> str:
    return "".join(c if c in _PLAIN else f"#{ord(c)};" for c in escaped(text))
