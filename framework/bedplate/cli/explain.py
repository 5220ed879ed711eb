"""`bedplate explain`: what a diagnostic means, what a field is, and where its value comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bedplate._resources import resource
from bedplate.cli import options, terminal
from bedplate.diagnostics import did_you_mean
from bedplate.errors import UsageError
from bedplate.fields import ANY, Field, field_at, shown

if TYPE_CHECKING:
    from bedplate.spec.origins import Origin, Said
    from bedplate.spec.project import Project

_CODE = re.compile(r"BP[0-9]{3}", re.IGNORECASE)


@click.command("explain", short_help="what a diagnostic's code or a field of the spec means")
@click.argument("subject", metavar="CODE|FIELD|ADDRESS")
@click.option(
    "--env", "environment", metavar="NAME", help="Say where each value comes from in that environment."
)
@options.as_json
@click.pass_obj
def command(folder: Path, subject: str, environment: str | None, as_json: bool) -> None:
    """Explain a code, such as BP204, or a field of the spec, such as serving.*.replicas.

    With --env, say from which file and line each value at an ADDRESS, such as serving.delay, comes in that
    environment, and which other values it beat.
    """
    if environment is not None:
        _explain_values(folder, subject, environment, as_json=as_json)
    elif _CODE.fullmatch(subject):
        text = _explanation(subject.upper())
        terminal.data({"code": subject.upper(), "text": text}) if as_json else terminal.line(text)
    elif as_json:
        terminal.data(_field_data(field_at(subject)))
    else:
        terminal.line("\n".join(_field(field_at(subject))))


def _explanation(code: str) -> str:
    page = resource("specs", "diagnostics", f"{code}.md")
    if not page.is_file():
        raise UsageError(f"there is no diagnostic {code}", hint="the code stands in brackets: error[BP204]")
    return page.read_text(encoding="utf-8").rstrip("\n")


def _field(field: Field) -> Iterator[str]:
    yield f"{field.address}: {field.whole.get('description', '')}"
    yield f"  type:     {field.type}"
    if field.form:
        yield f"  form:     {field.form}"
    for word, meaning in field.words.items():
        yield f"            {word}: {meaning}"
    if field.default is not None:
        yield f"  default:  {shown(field.default)}"
    elif field.required:
        yield "  required"
    for example in field.examples:
        yield f"  example:  {shown(example)}"
    if field.since:
        yield f"  since:    {field.since}"
    names, entry = _below(field)
    if names:
        yield f"  {'each has:' if entry is not field else 'fields:  '} {', '.join(names)}"
    if entry.one_of:
        yield f"  one of:   {', '.join(entry.one_of)}"
    for one, other in entry.not_both:
        yield f"  not both: {one}, {other}"


def _below(field: Field) -> tuple[list[str], Field]:
    """The names of the fields below, and what has them: the field, or each of its entries under a name."""
    entry = field.children().get(ANY, field)
    return [name for name in entry.children() if name != ANY], entry


def _field_data(field: Field) -> dict[str, object]:
    return {
        "address": field.address,
        "description": field.whole.get("description", ""),
        "type": field.type,
        "form": field.form or None,
        "words": field.words,
        "required": field.required,
        "default": field.default,
        "examples": field.examples,
        "since": field.since,
        "fields": _below(field)[0],
        "one_of": [*_below(field)[1].one_of],
        "not_both": [[*pair] for pair in _below(field)[1].not_both],
    }


def _explain_values(folder: Path, address: str, environment: str, *, as_json: bool) -> None:
    from bedplate.cli.project import layered_project
    from bedplate.spec.origins import origins

    project, layers = layered_project(folder, environment)
    path = tuple(address.split("."))
    field_at(address)
    if project.tree is None:
        return
    if len(path) > 1 and path[0] in project.sections and path[1] not in project.sections[path[0]]:
        raise _no_entry(project, path[0], path[1], environment)
    found = origins(project.tree, layers, path, environment)
    found = [*found, *_built_in(path, found)]
    if not found:
        raise UsageError(
            f"nothing is said at {address} in {environment}", hint="without --env, its meaning is explained"
        )
    if as_json:
        terminal.data([_origin_data(origin) for origin in found])
        return
    terminal.line(f"{address} in {environment}\n")
    for origin in found:
        terminal.line(terminal.escaped("\n".join(_origin(origin, path, _resolved(project, origin)))))


def _no_entry(project: Project, section: str, name: str, environment: str) -> UsageError:
    near = did_you_mean(name, project.sections[section])
    known = f"there are: {', '.join(sorted(project.sections[section])) or 'none'}"
    hint = f"did you mean {section}.{near}?" if near else known
    return UsageError(f"there is no {section}.{name} in {environment}", hint=hint)


def _built_in(path: tuple[str, ...], found: list[Origin]) -> Iterator[Origin]:
    """The fields that nobody wrote, of what is there."""
    from bedplate.spec.origins import Origin, Said

    written = [origin.path for origin in found if origin.decided.text is not None]
    there = {p[:depth] for p in written for depth in range(len(p) + 1)} | {path[:2]}
    top = field_at(".".join(path))
    for field in (top, *top.all()):
        here = tuple(field.address.split("."))
        if field.default not in (None, {}, []) and here not in there and (here[:-1] in there):
            yield Origin(here, Said("built in", shown(field.default)))


def _origin(origin: Origin, path: tuple[str, ...], resolved: str | None) -> Iterator[str]:
    below = ".".join(origin.path[len(path) :]) or origin.path[-1]
    text = origin.decided.text
    value = "nothing" if text is None else f"{text} = {resolved}" if resolved is not None else text
    yield f"  {below}: {value}"
    yield f"      {_where(origin.decided)}"
    for said in origin.beat:
        yield f"      beats {'nothing' if said.text is None else said.text}  {_where(said)}"


def _where(said: Said) -> str:
    if said.place is None:
        return said.layer
    span = said.place.span()
    return f"{span.file}:{span.line}:{span.column}  {said.layer}"


def _resolved(project: Project, origin: Origin) -> str | None:
    """What the references in a value give."""
    if origin.decided.text is None or "${" not in origin.decided.text:
        return None
    section, *rest = origin.path
    found: Any = project.sections.get(section)
    for key in rest:
        found = found.get(key) if isinstance(found, dict) else getattr(found, key, None)
    return found if isinstance(found, str) else None


def _origin_data(origin: Origin) -> dict[str, object]:
    return {
        "address": ".".join(origin.path),
        **_said_data(origin.decided),
        "beats": [_said_data(said) for said in origin.beat],
    }


def _said_data(said: Said) -> dict[str, object]:
    data: dict[str, object] = {"value": said.text, "layer": said.layer}
    if said.place is not None:
        span = said.place.span()
        data |= {"file": span.file, "line": span.line, "column": span.column}
    return data
