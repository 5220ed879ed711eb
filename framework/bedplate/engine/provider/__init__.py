"""bedplate's own Pulumi provider.

kind.py      what a kind of resource must be able to do: read this to write one
kinds/       one module per kind, listed in one dict
schema.py    the published schema and the checks of properties, both from a kind's declaration
wire.py      property values as they travel between the engine and us
servicer.py  the provider protocol on top of the kinds
main.py      the process
"""
