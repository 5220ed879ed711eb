"""Diagnostics for other programs' eyes: one plain line each, GitHub's annotations, SARIF.

Files are named as they are: whoever reads them expects names from where the command runs (`seen_from`). Lines and
columns count from 1, and end columns are exclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from bedplate._resources import resource
from bedplate.diagnostics import Diagnostic, Span, dotted
from bedplate.report import SHOWN_AT_MOST, counted, escaped
from bedplate.version import __version__

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
SARIF_VERSION = "2.1.0"
_LEVELS = {"error": "error", "warning": "warning"}


def as_lines(diagnostics: Sequence[Diagnostic]) -> str:
    """One sentence a line, without drawings: for screen readers, and for editors that jump to a place."""
    lines = [_sentence(diagnostic) for diagnostic in diagnostics[:SHOWN_AT_MOST]]
    return "\n".join([*lines, counted(diagnostics)])


def as_github(diagnostics: Sequence[Diagnostic]) -> str:
    """Workflow commands that GitHub shows beside the line in a pull request."""
    return "\n".join(_command(diagnostic) for diagnostic in diagnostics[:SHOWN_AT_MOST])


def as_sarif(diagnostics: Sequence[Diagnostic]) -> dict[str, object]:
    """One run of the static analysis format that code scanning takes."""
    codes = sorted({diagnostic.code for diagnostic in diagnostics})
    driver = {
        "name": "bedplate",
        "version": __version__,
        "rules": [{"id": code, **_explained(code)} for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(diagnostic, codes.index(diagnostic.code)) for diagnostic in diagnostics],
    }
    return {"$schema": SARIF_SCHEMA, "version": SARIF_VERSION, "runs": [run]}


def _sentence(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    where = f"{span.file}:{span.line}:{span.column}: " if span else ""
    return escaped(f"{where}{diagnostic.severity} {diagnostic.code}: {_whole(diagnostic)}")


def _whole(diagnostic: Diagnostic) -> str:
    """What is wrong, at which address, where else, and what to do."""
    address = dotted(diagnostic.path)
    environment = f", in {diagnostic.environment}" if diagnostic.environment else ""
    parts = [f"{diagnostic.message}{f' ({address}{environment})' if address else ''}"]
    parts += [f"see line {r.span.line} of {r.span.file}: {r.message}" for r in diagnostic.related]
    if diagnostic.help:
        parts.append(f"help: {diagnostic.help}")
    return "; ".join(parts)


def _command(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    properties = {"title": diagnostic.code}
    if span:
        properties |= {
            "file": span.file,
            "line": str(span.line),
            "col": str(span.column),
            "endColumn": str(span.end_column),
        }
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{diagnostic.severity} {told}::{_message(escaped(_whole(diagnostic)))}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(escaped(text)).replace(":", "%3A").replace(",", "%2C")


def _result(diagnostic: Diagnostic, rule: int) -> dict[str, object]:
    told: dict[str, object] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": escaped(_whole(diagnostic))},
    }
    if diagnostic.span:
        told["locations"] = [_location(diagnostic.span)]
    if diagnostic.related:
        told["relatedLocations"] = [
            {**_location(related.span), "message": {"text": escaped(related.message)}}
            for related in diagnostic.related
        ]
    return told


def _location(span: Span) -> dict[str, object]:
    region = {"startLine": span.line, "startColumn": span.column, "endColumn": span.end_column}
    place = {"artifactLocation": {"uri": quote(span.file)}, "region": region}
    return {"physicalLocation": place}


def _explained(code: str) -> dict[str, object]:
    title, _, text = (
        resource("specs", "diagnostics", f"{code}.md").read_text(encoding="utf-8").partition("\n")
    )
    return {"shortDescription": {"text": title.lstrip("# ")}, "help": {"text": text.strip()}}
