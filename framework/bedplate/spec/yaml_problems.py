"""What libyaml says about text that is no YAML, in words that say what to do."""

from __future__ import annotations

import yaml

from bedplate.diagnostics import Diagnostic, Related
from bedplate.spec.tree import Place, Source

# A part of libyaml's sentence -> (what is wrong, what to do).
_WORDS: tuple[tuple[str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "a `:` where no key can stand",
        "check the indentation and whether the line above lacks its `:`, or quote the text",
    ),
    (
        "found unexpected ':'",
        "a `:` without the space behind it",
        "write `key: value`, or quote the text",
    ),
    (
        "could not find expected ':'",
        "a key without its `:`",
        "write `key: value`, with a space after the colon",
    ),
    ("did not find expected key", "expected a key here", "check the indentation and the quotes above"),
    (
        "did not find expected ',' or '}'",
        "a `{` is not closed",
        "close it with `}`, with commas between the entries",
    ),
    (
        "did not find expected ',' or ']'",
        "a `[` is not closed",
        "close it with `]`, with commas between the items",
    ),
    (
        "did not find expected '-' indicator",
        "expected a list item here",
        "begin it with `- `, in line with the others",
    ),
    ("found unexpected end of stream", "a quote is not closed", "close it with the same quote"),
    (
        "did not find expected node content",
        "a value is missing here",
        "write it, or remove the comma or bracket",
    ),
    ("found undefined tag handle", "the tag is not part of the language", "remove the tag"),
    (
        "block sequence entries are not allowed",
        "a list item cannot stand here",
        "begin the list on a line of its own",
    ),
    ("block collections are not allowed", "a mapping cannot stand here", "begin it on a line of its own"),
    (
        "found unknown escape character",
        "this escape does not exist",
        "double the backslash, or use single quotes",
    ),
)


def describe(error: yaml.MarkedYAMLError, source: Source) -> Diagnostic:
    """The diagnostic of a YAML error, at the place where the parser gave up."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    # The parser gives up past the last line when something is not closed: show where that began.
    if line >= len(source.lines) or not source.lines[line].strip():
        line, column = _last_text(source, line)
    place = Place(source, line, column, column + 1)
    message, help_text = _words(error, source, place)
    related: tuple[Related, ...] = ()
    opened = error.context_mark
    if opened and opened.line < len(source.lines) and opened.line != line:
        begun = Place(source, opened.line, opened.column, opened.column + 1)
        related = (Related(begun.span(), "it began here"),)
    return Diagnostic("BP004", message, span=place.span(), help=help_text, related=related)


def _words(error: yaml.MarkedYAMLError, source: Source, place: Place) -> tuple[str, str | None]:
    problem = str(error.problem or error.context or "not YAML")
    if "cannot start any token" in problem:
        character = source.lines[place.line][place.column : place.column + 1]
        if character == "\t":
            return "a tab cannot indent", "use spaces"
        return f"a value cannot begin with {character or 'this'}", "quote the text"
    for part, message, help_text in _WORDS:
        if part in problem:
            return message, help_text
    return f"not valid YAML: {problem}", None


def _last_text(source: Source, line: int) -> tuple[int, int]:
    for index in range(min(line, len(source.lines) - 1), -1, -1):
        text = source.lines[index].rstrip()
        if text:
            return index, len(text) - 1
    return 0, 0
