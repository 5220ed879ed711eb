"""`bedplate schema`: print the JSON Schema of the spec, or its reference."""

from __future__ import annotations

import click

from bedplate.cli import terminal


@click.command(
    "schema", short_help="print what a spec can say: JSON Schema for editors, a reference for people"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "markdown"]),
    default="json",
    show_default=True,
    help="json is JSON Schema (draft-07), for editors and other tools; markdown is the reference of every "
    "field, for people.",
)
def command(form: str) -> None:
    """Print what a spec can say: as JSON Schema, or as a page that explains every field of it."""
    if form == "markdown":
        from bedplate.reference import to_text
    else:
        from bedplate.spec.schema import to_text
    terminal.line(to_text().rstrip("\n"))
