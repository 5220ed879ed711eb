"""`bedplate validate`: everything that can be known offline, every environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bedplate.cli import terminal

if TYPE_CHECKING:
    from bedplate.diagnostics import Diagnostic

FORMATS = ["text", "plain", "json", "sarif", "github"]
# Read by programs that open the files that are named.
OPENED_FROM_HERE = ("plain", "sarif", "github")


@click.command(
    "validate", short_help="check the spec: everything that can be known offline, every environment"
)
@click.argument("files", metavar="[SPEC]", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How the answer is written. text shows the lines that are meant; plain is one sentence a line, for "
    "screen readers and editors; json is for programs; sarif is for code scanning; github annotates a pull "
    "request.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON document: --format json.")
@click.option(
    "--no-code",
    is_flag=True,
    help="Run no code of the project, for one that you do not trust: its policies in Python are left out.",
)
@click.option(
    "--touched",
    is_flag=True,
    help="Instead of SPEC, name any number of files that were changed: the projects that they are in are "
    "checked, and a file that is in none is passed over. This is what the pre-commit hook does.",
)
@click.pass_obj
def command(
    folder: Path, files: Sequence[Path], form: str, as_json: bool, no_code: bool, touched: bool
) -> int:
    """Check SPEC, or the bedplate.yaml of this folder or the nearest one above, in every environment.

    Needs no engine and no network. Exits with 1 when the spec is refused; warnings alone do not refuse it.
    """
    from bedplate.cli.project import find_workspace

    form = "json" if as_json else form
    if touched:
        if form in ("json", "sarif"):
            raise click.UsageError(f"--touched can be about several specs: there is no {form} of it.")
        return max(
            (_check(spec, form, not no_code, here=folder) for spec in _specs(folder, files)), default=0
        )
    if len(files) > 1:
        raise click.UsageError("Name one SPEC. With --touched, name any number of files.")
    return _check(folder / files[0] if files else find_workspace(folder).spec, form, not no_code)


def _specs(folder: Path, files: Sequence[Path]) -> Iterator[Path]:
    """The specs of the projects in `folder` that the files are in, each once."""
    from bedplate.workspace import SPEC_FILE

    root = folder.resolve()
    found = set()
    for start in {Path(os.path.normpath(root / file)).parent for file in files}:
        inside = (place for place in (start, *start.parents) if place.is_relative_to(root))
        spec = next((place / SPEC_FILE for place in inside if (place / SPEC_FILE).exists()), None)
        found |= {spec} if spec else set()
    yield from sorted(found)


def _check(path: Path, form: str, code: bool, here: Path | None = None) -> int:
    """Checks one spec and says what is wrong with it; from `here`, with the way to it before its files."""
    from bedplate.cli.project import check_file
    from bedplate.diagnostics import refuses, seen_from

    projects, diagnostics = check_file(path, code=code)
    refused = refuses(diagnostics)
    start = Path.cwd() if form in OPENED_FROM_HERE else here.resolve() if here else None
    if start:
        diagnostics = tuple(seen_from(start, path.parent, diagnostic) for diagnostic in diagnostics)
    if form == "json":
        from bedplate.report import as_data

        environments = sorted(projects)
        terminal.data(
            {"valid": not refused, "environments": environments, "diagnostics": as_data(diagnostics)}
        )
    elif form == "sarif":
        from bedplate.annotations import as_sarif

        terminal.data(as_sarif(diagnostics))
    elif diagnostics:
        terminal.line(_as_text(form, diagnostics), error=form != "github")
    if not refused and form in ("text", "plain"):
        name = os.path.relpath(path, here.resolve()) if here else path.name
        terminal.line(f"{terminal.escaped(name)} is valid in {', '.join(sorted(projects))}")
    return 1 if refused else 0


def _as_text(form: str, diagnostics: Sequence[Diagnostic]) -> str:
    if form == "text":
        from bedplate.report import as_text

        return as_text(diagnostics, colour=terminal.coloured(error=True), width=terminal.width())
    from bedplate.annotations import as_github, as_lines

    return as_github(diagnostics) if form == "github" else as_lines(diagnostics)
