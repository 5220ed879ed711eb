"""`bedplate validate`: everything that can be known offline, every environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bedplate.cli import options, terminal

if TYPE_CHECKING:
    from bedplate.diagnostics import Diagnostic
    from bedplate.spec.project import Project

FORMATS = ["text", "plain", "json", "sarif", "github"]


@click.command(
    "validate", short_help="check the spec: everything that can be known offline, every environment"
)
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Of the answer: plain is one sentence a line, for screen readers and editors; sarif is for code "
    "scanning; github annotates a pull request.",
)
@options.as_json
@click.option("--no-code", is_flag=True, help="Run no code of the project: leave out its policies in Python.")
@click.pass_obj
def command(folder: Path, spec: Path | None, form: str, as_json: bool, no_code: bool) -> int:
    """Check SPEC, or the bedplate.yaml of this folder or the nearest one above. Exit code 1 refuses it."""
    from bedplate.cli.project import check_file, find_workspace

    path = folder / spec if spec else find_workspace(folder).spec
    projects, diagnostics = check_file(path, code=not no_code)
    refused = any(d.severity == "error" for d in diagnostics)
    form = "json" if as_json else form
    if form in ("json", "sarif"):
        terminal.data(_as_data(form, path, projects, diagnostics))
    elif form == "github":
        if diagnostics:
            from bedplate.annotations import as_github

            terminal.line(as_github(diagnostics, path.parent))
    elif diagnostics:
        terminal.line(_as_text(form, path, diagnostics), error=True)
    if not refused and form in ("text", "plain"):
        terminal.line(f"{path.name} is valid in {', '.join(sorted(projects))}")
    return 1 if refused else 0


def _as_data(
    form: str, path: Path, projects: Mapping[str, Project], diagnostics: Sequence[Diagnostic]
) -> dict[str, object]:
    if form == "sarif":
        from bedplate.annotations import as_sarif

        return as_sarif(diagnostics, path.parent)
    from bedplate.report import as_data

    valid = not any(d.severity == "error" for d in diagnostics)
    return {"valid": valid, "environments": sorted(projects), "diagnostics": as_data(diagnostics)}


def _as_text(form: str, path: Path, diagnostics: Sequence[Diagnostic]) -> str:
    if form == "plain":
        from bedplate.annotations import as_lines

        return as_lines(diagnostics, path.parent)
    from bedplate.report import as_text

    return as_text(diagnostics, colour=terminal.coloured(error=True), width=terminal.width())
