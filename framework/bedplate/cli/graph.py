"""`bedplate graph`: draw what the spec becomes in one environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bedplate.atomic import write_atomically
from bedplate.cli import options, terminal
from bedplate.diagnostics import meant_or
from bedplate.errors import UsageError

if TYPE_CHECKING:
    from bedplate.picture.model import Picture

FORMATS = ["mermaid", "svg", "json"]
ENDINGS = {".svg": "svg", ".json": "json", ".mmd": "mermaid", ".mermaid": "mermaid", "": "mermaid"}


@click.command("graph", short_help="draw what the spec becomes in one environment")
@click.argument("addresses", metavar="[ADDRESS]...", nargs=-1)
@options.environment
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="How the picture is written.  [default: as FILE's ending says, else mermaid]",
)
@options.as_json
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it there instead of to standard output.",
)
@click.pass_obj
def command(
    folder: Path,
    addresses: tuple[str, ...],
    environment: str,
    form: str | None,
    as_json: bool,
    output: Path | None,
) -> None:
    """Draw the entries of the spec, the resources that they become, and what uses what, stack by stack.

    With ADDRESS, such as serving.delay or serving, only that, what it uses, and what uses it. Mermaid is
    shown by GitHub, GitLab and many editors; svg is a picture by itself, and the clearer one of many
    entries. The same spec gives the same bytes. Needs no engine, no network and no browser.
    """
    from bedplate.cli.project import compiled_offline
    from bedplate.picture.model import NotInPicture, narrowed, picture

    form = form or ("json" if as_json else _form_of(output))
    whole = picture(*compiled_offline(folder, environment))
    try:
        text = _text(narrowed(whole, addresses) if addresses else whole, form)
    except NotInPicture as error:
        there_are = f"there are: {', '.join(sorted(error.known))}"
        hint = meant_or(error.address, error.known, there_are)
        raise UsageError(f"there is no {error.address} in {environment}", hint=hint) from error
    if output is None:
        terminal.line(text.rstrip("\n"))
    else:
        write_atomically(output.resolve(), text)
        terminal.line(f"wrote {terminal.escaped(str(output))}")


def _form_of(output: Path | None) -> str:
    """The form that a file's ending says. Raises UsageError for an ending of something else, such as .png."""
    ending = output.suffix.lower() if output else ""
    if ending not in ENDINGS:
        raise UsageError(
            f"a picture cannot be written as {ending}",
            hint=f"end FILE with {', '.join(filter(None, ENDINGS))}, or say its --format",
        )
    return ENDINGS[ending]


def _text(picture: Picture, form: str) -> str:
    if form == "svg":
        from bedplate.picture.svg import as_svg

        return as_svg(picture)
    if form == "json":
        import json

        from bedplate.picture.model import as_data

        return json.dumps(as_data(picture), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    from bedplate.picture.mermaid import as_mermaid

    return as_mermaid(picture)
