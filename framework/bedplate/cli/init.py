"""`bedplate init`: start a project from a template."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from bedplate.cli import options, terminal
from bedplate.diagnostics import did_you_mean
from bedplate.errors import UsageError

DEFAULT = "minimal"


@click.command("init", short_help="start a project from a template")
@click.argument("template", required=False)
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="The project's name.  [default: made from DIR's]")
@click.option("--list", "listed", is_flag=True, help="Say which templates there are.")
@options.as_json
@click.pass_obj
def command(
    folder: Path, template: str | None, directory: Path | None, name: str | None, listed: bool, as_json: bool
) -> None:
    """Start a project from TEMPLATE in DIR: a spec, a model that it serves, and what else belongs to one.

    \b
    minimal  the smallest project that runs: one model, one server
    service  one service as a small team has it: training, tests, a policy,
             staging and prod, a workflow for pull requests and merges
    fleet    several models that teams own in files of their own: two
             regions, staging and production

    Left out, TEMPLATE is minimal, or asked for on a terminal, and DIR is this folder. A file that is
    there already is never written over: then nothing is written at all.
    """
    from bedplate import templates
    from bedplate.cli.project import serve_the_editor
    from bedplate.spec import names
    from bedplate.workspace import SPEC_FILE

    if listed:
        _list(as_json)
        return
    root = folder / (directory or ".")
    if template is None and not as_json and sys.stdin.isatty() and sys.stdout.isatty():
        template, name = _ask(root, name)
    template = _known(template or DEFAULT)
    name = templates.name_from(root.resolve().name) if name is None else name
    if not names.is_plain_name(name):
        raise UsageError(f"{name} is no name for a project", hint=names.RULE)
    contents = templates.files(template, name)
    _refuse_taken(root, list(contents))
    templates.write(root, contents)
    serve_the_editor(root / SPEC_FILE, root.resolve())
    if as_json:
        told = {
            "template": template,
            "project": name,
            "folder": str(root.resolve()),
            "files": sorted(contents),
        }
        terminal.data(told)
    else:
        _tell(template, name, root, sorted(contents))


def _list(as_json: bool) -> None:
    from bedplate.templates import TEMPLATES

    if as_json:
        terminal.data({"templates": [{"name": key, "summary": t.summary} for key, t in TEMPLATES.items()]})
    else:
        terminal.table([(terminal.paint(key, "name"), t.summary) for key, t in TEMPLATES.items()])


def _ask(root: Path, name: str | None) -> tuple[str, str]:
    """The template, and the project's name unless the command line gave it."""
    from bedplate.spec.names import RULE, is_plain_name
    from bedplate.templates import TEMPLATES, name_from

    _list(as_json=False)
    template: str = click.prompt("Template", type=click.Choice([*TEMPLATES]), default=DEFAULT)

    def checked(text: str) -> str:
        if not is_plain_name(text):
            raise click.UsageError(f"{terminal.escaped(text)} is no name for a project: {RULE}")
        return text

    if name is None:
        name = click.prompt("Name of the project", default=name_from(root.resolve().name), value_proc=checked)
    return template, name


def _known(template: str) -> str:
    from bedplate.templates import TEMPLATES

    if template in TEMPLATES:
        return template
    near = did_you_mean(template, TEMPLATES)
    there_are = f"there are: {', '.join(TEMPLATES)}; a folder comes second: bedplate init {DEFAULT} DIR"
    raise UsageError(
        f"there is no template {template!r}", hint=f"did you mean {near!r}?" if near else there_are
    )


def _refuse_taken(root: Path, names: list[str]) -> None:
    """Raises UsageError where something stands in the way."""
    from bedplate.templates import taken

    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is no folder", hint="name another one, or leave it out")
    found = taken(root, names)
    if found:
        there = "is" if len(found) == 1 else "are"
        raise UsageError(
            f"{', '.join(found)} {there} in {root.resolve()} already, and nothing is written over",
            hint="move them away, or name another folder: bedplate init TEMPLATE DIR",
        )


def _tell(template: str, name: str, root: Path, files: list[str]) -> None:
    terminal.line(f"{name}, made from the template {template}:")
    for file in files:
        terminal.line(f"  {file}")
    terminal.line()
    terminal.line("Next:")
    if root.resolve() != Path.cwd():
        terminal.line(f"  cd {shlex.quote(terminal.escaped(str(root)))}")
    terminal.line("  bedplate up          # serves it on this machine; README.md says how to ask it")
    terminal.line(
        "  bedplate validate    # after you changed something: what is wrong, and what to write instead"
    )
