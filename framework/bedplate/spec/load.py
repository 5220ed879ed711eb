"""Reads the spec's files within bounds, and gives one located tree."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from bedplate.diagnostics import Diagnostic, Span, ordered
from bedplate.project_files import OutsideProject, open_inside
from bedplate.spec.compose import compose
from bedplate.spec.tree import Map, Place, Source
from bedplate.spec_files import SpecFiles, digest_of

FILE_BYTES = 4 * 1024 * 1024

# What YAML calls non-printable; \x85 and the Unicode line ends are YAML's own line breaks.
_CONTROL = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
_LINE_END = "\r\n|[\n\r\x85\u2028\u2029]"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The tree of a spec, or None where the text gives none; and everything wrong with the text.

    `folder` is the project's: absolute and without symbolic links.
    """

    folder: Path
    tree: Map | None
    diagnostics: tuple[Diagnostic, ...] = ()
    files: SpecFiles = SpecFiles()


def load(spec_path: Path) -> Loaded:
    """Reads and composes a spec and what it includes. Never raises for what the files hold, or are not."""
    folder = spec_path.parent.resolve()
    read = _read(folder, spec_path.name)
    if isinstance(read, Diagnostic):
        return Loaded(folder, None, (read,))
    loaded = mended(load_text(read, spec_path.name, folder))
    if loaded.tree is None or "include" not in loaded.tree.items:
        return loaded
    from bedplate.spec.includes import include  # most specs are one file

    return include(loaded, len(read))


def mended(loaded: Loaded) -> Loaded:
    """A file with the keys that were meant at its top, where they are misspelt."""
    if loaded.tree is None:
        return loaded
    from bedplate.spec import misspelt  # with the whole grammar

    tree, found = misspelt.mended(loaded.tree)
    return replace(loaded, tree=tree, diagnostics=ordered([*loaded.diagnostics, *found]))


def load_text(data: bytes, name: str, folder: Path) -> Loaded:
    """Composes one file from its bytes; `name` is what diagnostics call it."""
    text = _decoded(data, name)
    if isinstance(text, Diagnostic):
        return Loaded(folder, None, (text,))
    source = Source(name, tuple(re.split(_LINE_END, text)))
    # Almost every spec is settled by the fast look.
    printable = text.replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable()
    control = None if printable else re.search(_CONTROL, text)
    if control:
        return Loaded(folder, None, (_control_character(source, text, control.start()),))
    root, diagnostics = compose(text, source)
    found = list(diagnostics)
    if not found and not isinstance(root, Map):
        place = root.place if root else Place(source, 0, 0, 1)
        found.append(
            Diagnostic(
                "BP005",
                "expected a mapping: the spec is a set of `key: value` lines",
                span=place.span(),
                help="begin with `version: 1` and `project: NAME`",
            )
        )
    tree = root if isinstance(root, Map) else None
    return Loaded(folder, tree, ordered(found), SpecFiles({name: digest_of(name, data)}))


def too_large(name: str, span: Span) -> Diagnostic:
    """The diagnostic of a file over the bound."""
    return Diagnostic("BP002", f"{name} is larger than {FILE_BYTES // 1024**2} MiB", span=span)


def _read(folder: Path, name: str) -> bytes | Diagnostic:
    here = Span(name, 1, 1, 2)
    try:
        with open_inside(folder, name) as file:
            data = file.read(FILE_BYTES + 1)
    except FileNotFoundError:
        return Diagnostic(
            "BP001", f"there is no {name} here", span=here, help="use -C DIR for another folder"
        )
    except OutsideProject:  # of whose lines a diagnostic would show some
        told = "put the file itself into the project's folder"
        return Diagnostic("BP111", f"{name} leads outside the project", span=here, help=told)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the path is not valid"
        return Diagnostic("BP001", f"{name} cannot be read: {reason}", span=here)
    return too_large(name, here) if len(data) > FILE_BYTES else data


def _decoded(data: bytes, name: str) -> str | Diagnostic:
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        lines = re.split(_LINE_END, before)
        column = len(lines[-1]) + 1
        what = "UTF-16" if wide else f"byte 0x{data[error.start]:02x} is not UTF-8"
        return Diagnostic(
            "BP003",
            f"the text is not UTF-8: {what}",
            span=Span(name, len(lines), column, column + 1, lines[-1]),
            help="save the file as UTF-8",
        )


def _control_character(source: Source, text: str, index: int) -> Diagnostic:
    lines = re.split(_LINE_END, text[:index])
    place = Place(source, len(lines) - 1, len(lines[-1]), len(lines[-1]) + 1)
    return Diagnostic(
        "BP003",
        f"the character U+{ord(text[index]):04X} cannot stand in a spec",
        span=place.span(),
        help='remove it, or write it as an escape in double quotes, such as "\\u001b"',
    )
