"""`bedplate validate`: everything that can be known offline, every environment."""

from __future__ import annotations

from pathlib import Path

import click

from bedplate.cli import options, terminal


@click.command(
    "validate", short_help="check the spec: everything that can be known offline, every environment"
)
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of the answer.",
)
@options.as_json
@click.pass_obj
def command(folder: Path, spec: Path | None, form: str, as_json: bool) -> int:
    """Check SPEC, or the bedplate.yaml of this folder or the nearest one above. Exit code 1 refuses it."""
    from bedplate.cli.project import check_file, find_workspace

    path = folder / spec if spec else find_workspace(folder).spec
    projects, diagnostics = check_file(path)
    refused = any(d.severity == "error" for d in diagnostics)
    if as_json or form == "json":
        from bedplate.report import as_data

        terminal.data(
            {"valid": not refused, "environments": sorted(projects), "diagnostics": as_data(diagnostics)}
        )
    elif diagnostics:
        from bedplate.report import as_text

        terminal.line(
            as_text(diagnostics, colour=terminal.coloured(error=True), width=terminal.width()), error=True
        )
    if not refused and not as_json and form == "text":
        names = ", ".join(sorted(projects))
        terminal.line(f"{path.name} is valid in {names}")
    return 1 if refused else 0
