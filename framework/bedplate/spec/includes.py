"""What `include` names, put into one tree: files own entries, so no entry stands in two of them.

Paths and patterns are relative to the project's folder, also in an included file. Files are taken in the
order of their names, each once, however often it is named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from bedplate.diagnostics import Diagnostic, Related, ordered
from bedplate.project_files import OutsideProject, meant_path, open_inside
from bedplate.sections import SECTIONS
from bedplate.spec.load import FILE_BYTES, Loaded, load_text, mended, too_large
from bedplate.spec.tree import Map, Node, Place, Scalar, Seq
from bedplate.spec_files import SpecFiles, expand

INCLUDE = "include"
ALL_BYTES = 16 * 1024 * 1024
MATCHES = 1000
CHAIN = 128

# What is said once, in the main file.
_MAIN_ONLY = ("version", "project", "timezone", "policies")
_OF_ENTRIES = ("variables", "environments", "defaults", *SECTIONS)


def include(main: Loaded, size: int) -> Loaded:
    """The main file's tree with everything that it includes. `size`: the bytes of the main file."""
    if main.tree is None:
        return main
    gathering = _Gathering(main, size)
    gathering.follow(main.tree, (next(iter(main.files.digests)),))
    return gathering.loaded(main.tree)


@dataclass(slots=True)
class _Gathering:
    main: Loaded
    size: int
    trees: dict[str, Map] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    patterns: list[str] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    broken: bool = False

    def follow(self, tree: Map, chain: tuple[str, ...]) -> None:
        """Reads what a file includes, and what that includes; `chain` are the files down to this one."""
        listed = tree.items.get(INCLUDE)
        for item in listed.items if isinstance(listed, Seq) else ():
            if isinstance(item, Scalar) and not item.is_null and not item.unreadable:
                for name in self.named(item):
                    self.take(name, item, chain)

    def named(self, item: Scalar) -> list[str]:
        """The files that one item of the list names."""
        pattern = item.text
        if pattern.startswith("/") or re.match(r"[A-Za-z]:", pattern) or ".." in pattern.split("/"):
            self.outside(pattern, item)
            return []
        parts = pattern.split("/")
        if "\\" in pattern or "**" in pattern or "" in parts or not pattern.isprintable():
            self.report(
                "BP014",
                f"{pattern} is no path or pattern of files",
                item,
                "single forward slashes; * and ? stand for any letters of a name",
            )
            return []
        pattern = "/".join(part for part in parts if part != ".") or "."
        self.patterns.append(pattern)
        names = expand(self.main.folder, pattern)
        if not names:
            self.report("BP014", f"no file matches {pattern}", item, self.meant(pattern, "patterns"))
        elif len(names) > MATCHES:
            self.report("BP002", f"{pattern} matches {len(names)} files; {MATCHES} are the limit", item)
            return []
        return names

    def take(self, name: str, item: Scalar, chain: tuple[str, ...]) -> None:
        if name in chain:
            links = " -> ".join([*chain[chain.index(name) :], name])
            self.report("BP015", f"files include each other: {links}", item, "take one of the includes out")
            return
        if name in self.digests or name == next(iter(self.main.files.digests)):
            return
        if len(chain) > CHAIN:
            self.report("BP011", f"includes of includes: {CHAIN} files in a row are the limit", item)
            self.broken = True
            return
        data = self.read(name, item)
        if data is None:
            self.broken = True
            return
        found = mended(load_text(data, name, self.main.folder))
        self.digests |= found.files.digests
        self.diagnostics += found.diagnostics
        if found.tree is None:
            self.broken = True
        else:
            self.trees[name] = found.tree
            self.follow(found.tree, (*chain, name))

    def read(self, name: str, item: Scalar) -> bytes | None:
        if self.size > ALL_BYTES:  # which has been said
            return None
        try:
            with open_inside(self.main.folder, name) as file:
                data = file.read(FILE_BYTES + 1)
        except OutsideProject:
            self.outside(name, item)
            return None
        except FileNotFoundError:
            self.report("BP014", f"there is no file {name}", item, self.meant(name, "paths"))
            return None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "the path is not valid"
            self.report("BP014", f"{name} cannot be read: {reason}", item)
            return None
        self.size += len(data)
        if len(data) > FILE_BYTES:
            self.diagnostics.append(too_large(name, item.place.span()))
            return None
        if self.size > ALL_BYTES:
            self.report("BP002", f"the spec's files are larger than {ALL_BYTES // 1024**2} MiB in all", item)
            return None
        return data

    def meant(self, name: str, what: str) -> str:
        near = meant_path(self.main.folder, name)
        return f"did you mean {near}?" if near else f"{what} begin at the project's folder"

    def loaded(self, tree: Map) -> Loaded:
        files = SpecFiles({**self.main.files.digests, **self.digests}, tuple(self.patterns))
        for name in sorted(self.trees):
            tree = self.merged(tree, self.trees[name])
        told = ordered([*self.main.diagnostics, *self.diagnostics])
        # What a file that cannot be read holds, others may refer to: nothing can be said of the whole.
        return Loaded(self.main.folder, None if self.broken else tree, told, files)

    def merged(self, tree: Map, part: Map) -> Map:
        items, keys = dict(tree.items), dict(tree.keys)
        for key, node in part.items.items():
            place = part.keys[key]
            if key == INCLUDE:
                continue
            if key in _MAIN_ONLY:
                main = next(iter(self.main.files.digests))
                self.report("BP016", f"{key} is said in {main} only", place, "take it out here")
            elif key not in items:
                items[key], keys[key] = node, place
            elif isinstance(node, Map) and isinstance(there := items[key], Map):
                items[key] = self.joined(key, there, node)
            elif key in _OF_ENTRIES:  # that one of them is no mapping is said where it is read
                if isinstance(items[key], Map):
                    items[key], keys[key] = node, place
            else:
                self.twice(key, place, keys[key])
        return replace(tree, items=items, keys=keys)

    def joined(self, section: str, one: Map, other: Map) -> Map:
        items: dict[str, Node] = dict(one.items)
        keys = dict(one.keys)
        for name, node in other.items.items():
            if name in items:
                self.twice(f"{section}.{name}", other.keys[name], keys[name])
            else:
                items[name], keys[name] = node, other.keys[name]
        return replace(one, items=items, keys=keys)

    def twice(self, what: str, place: Place, first: Place) -> None:
        self.diagnostics.append(
            Diagnostic(
                "BP017",
                f"{what} is written in two files: {first.source.name}:{first.line + 1} and "
                f"{place.source.name}:{place.line + 1}",
                span=place.span(),
                help="keep one of them, or rename it",
                related=(Related(first.span(), "the other one"),),
            )
        )

    def outside(self, name: str, item: Scalar) -> None:
        self.report("BP111", f"{name} is outside the project", item, "include files of the project's folder")

    def report(self, code: str, message: str, at: Scalar | Place, hint: str | None = None) -> None:
        place = at.place if isinstance(at, Scalar) else at
        self.diagnostics.append(Diagnostic(code, message, span=place.span(), help=hint))
