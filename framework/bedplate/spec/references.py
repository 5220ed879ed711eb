"""References inside texts: `${var.NAME}`, `${environment.name}`, `${project.name}`, and `${SECTION.ENTRY.FIELD}`.

`$${` is the literal `${`. A reference stands for a text; what that text refers to is resolved in turn.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from bedplate.diagnostics import did_you_mean, meant_or
from bedplate.spec.model import model_at
from bedplate.spec.tree import Map, Node, Seq

if TYPE_CHECKING:
    from pydantic import BaseModel

LONGEST_CHAIN = 64
_OPEN = r"\$\$\{|\$\{"
_LITERAL = "for the literal text, write $${"

Names = tuple[str, ...]
Facts = Mapping[Names, str]
"""What is known of entries beyond their fields: `("models", "delay", "version")` -> its value."""


class ReferenceProblem(Exception):
    """A reference that cannot be resolved. `within`: offset and length of it in the text."""

    def __init__(
        self, code: str, message: str, hint: str | None = None, within: tuple[int, int] = (0, 0)
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.within = code, message, hint, within


class SaidElsewhere(Exception):
    """The reference leads to what is wrong itself, and has been reported there."""


@dataclass(slots=True)
class References:
    """What references can name in one environment.

    `variables` holds raw texts; `declared` their names, None where nobody knows them. `sections` is the tree of
    the sections in that environment, `grammar` the models of their entries; `attributes` what an entry is known
    by beyond its fields, and `facts` their values as far as they are known.
    `asked` gathers the facts that were asked for and are not; `said` what is wrong with chains of references;
    `broken` are entries that could not be read, which has been said.
    """

    environment: str
    project: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    declared: frozenset[str] | None = frozenset()
    sections: Map | None = None
    grammar: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    facts: Facts = field(default_factory=dict)
    asked: set[Names] = field(default_factory=set)
    said: set[frozenset[str]] = field(default_factory=set)
    broken: set[Names] = field(default_factory=set)

    def resolve(self, text: str, chain: Names = ()) -> str:
        """The text with every reference's value in its place. Raises ReferenceProblem, SaidElsewhere.

        `chain` are the references on the way to this text.
        """
        if "${" not in text:
            return text
        parts: list[str] = []
        position = 0
        for opening in re.finditer(_OPEN, text):
            if opening.start() < position:
                continue
            parts.append(text[position : opening.start()])
            if opening.group() == "$${":
                parts.append("${")
                position = opening.end()
                continue
            end = text.find("}", opening.end())
            if end < 0:
                within = (opening.start(), len(text) - opening.start())
                raise ReferenceProblem("BP107", "the reference ${ is not closed", _LITERAL, within)
            try:
                parts.append(self._value(text[opening.end() : end], chain))
            except ReferenceProblem as problem:
                problem.within = (opening.start(), end + 1 - opening.start())
                raise
            position = end + 1
        parts.append(text[position:])
        return "".join(parts)

    def _value(self, reference: str, chain: Names) -> str:
        if reference == "environment.name":
            return self.environment
        if reference == "project.name":
            return self.project
        if reference in chain:
            self._cycle(reference, chain)
        if len(chain) >= LONGEST_CHAIN:
            self._once(frozenset(["too long"]))
            raise ReferenceProblem("BP104", f"a chain of more than {LONGEST_CHAIN} references", "shorten it")
        chain = (*chain, reference)
        root, *names = reference.split(".")
        if root == "var" and len(names) == 1:
            return self._variable(names[0], chain)
        if self.sections is None or root not in self.sections.items or len(names) < 2:
            _unknown(reference, self.sections)
        return self._field(root, tuple(names), chain)

    def _variable(self, name: str, chain: Names) -> str:
        if name in self.variables:
            return self.resolve(self.variables[name], chain)
        if self.declared is None or name in self.declared:
            raise SaidElsewhere  # it has no value here: that is said once, where the value is missing
        near = did_you_mean(name, self.declared)
        declare = f"declare it: variables: {{{name}: {{type: string}}}}"
        help_text = f"did you mean ${{var.{near}}}?" if near else declare
        raise ReferenceProblem("BP108", f"the variable {name} is not declared", help_text)

    def _field(self, section: str, names: Names, chain: Names) -> str:
        path = (section, *names)
        if len(names) == 2 and names[1] in self.attributes.get(section, ()):
            self._known(section, names[0])
            if path not in self.facts:
                self.asked.add(path)
            return self.facts.get(path, "0")
        node: Node | None = self.sections
        for depth, name in enumerate(path):
            inside = node.items if isinstance(node, Map) else {}
            if name not in inside:
                if self._wrong_there(path[: depth + 1], node):
                    raise SaidElsewhere
                more = self.attributes.get(section, ()) if depth == 2 else ()
                _missing(path[: depth + 1], (*inside, *more))
            node = inside[name]
        return self._text(path, node, chain)

    def _wrong_there(self, path: Names, parent: Node | None) -> bool:
        """Whether it is the entry's mistake that there is nothing at `path`: that it lacks one of its fields."""
        if len(path) == 2:
            return not isinstance(parent, Map)
        model = model_at(self.grammar.get(path[0]), path[2:-1])
        return path[:2] in self.broken and model is not None and path[-1] in model.model_fields

    def _known(self, section: str, entry: str) -> None:
        node = self.sections.items[section] if self.sections else None
        if not isinstance(node, Map):
            raise SaidElsewhere
        if entry not in node.items:
            _missing((section, entry), node.items)

    def _text(self, path: Names, node: Node | None, chain: Names) -> str:
        shown = ".".join(path)
        if isinstance(node, Map) and node.items.keys() == {"secret"}:
            raise ReferenceProblem("BP109", f"{shown} is a secret, which cannot stand in a text")
        if isinstance(node, Map | Seq) or node is None:
            if path[:2] in self.broken:
                raise SaidElsewhere
            raise ReferenceProblem("BP107", f"{shown} is not a text", "refer to one of its fields")
        if node.unreadable or node.is_null:
            raise SaidElsewhere
        return self.resolve(node.text, chain)

    def _once(self, problem: frozenset[str]) -> None:
        if problem in self.said:
            raise SaidElsewhere
        self.said.add(problem)

    def _cycle(self, reference: str, chain: Names) -> NoReturn:
        links = chain[chain.index(reference) :]
        self._once(frozenset(links))
        told = " -> ".join([*links, reference])
        raise ReferenceProblem("BP104", f"references go in a circle: {told}", "give one of them a value")


class AsWritten:
    """Where a text is looked at that other texts will be merged with: its references stay what they are."""

    def resolve(self, text: str) -> str:
        for opening in re.finditer(_OPEN, text):
            if opening.group() == "${" and "}" not in text[opening.end() :]:
                within = (opening.start(), len(text) - opening.start())
                raise ReferenceProblem("BP107", "the reference ${ is not closed", _LITERAL, within)
        return text


def none_here(text: str) -> str:
    """Where no reference may stand."""
    for opening in re.finditer(_OPEN, text):
        if opening.group() == "${":
            end = text.find("}", opening.end())
            length = (end + 1 if end >= 0 else len(text)) - opening.start()
            within = (opening.start(), length)
            raise ReferenceProblem("BP107", "a reference cannot stand here", _LITERAL, within)
    return text.replace("$${", "${")


def named_entries(text: str) -> Iterator[tuple[str, str]]:
    """The section and the entry of each reference in a text; what is no entry's is for the caller to know."""
    for found in re.finditer(r"\$\$\{|\$\{([^}]*)\}", text):
        section, *names = (found[1] or "").split(".")
        if len(names) > 1:
            yield section, names[0]


def _unknown(reference: str, sections: Map | None) -> NoReturn:
    roots = ["${var.NAME}", "${environment.name}", "${project.name}"]
    if sections is not None:
        roots.append("${SECTION.ENTRY.FIELD}")
    meant = _meant(reference, sections)
    known = f"did you mean ${{{meant}}}?" if meant else f"known: {', '.join(roots)}; {_LITERAL}"
    raise ReferenceProblem("BP107", f"${{{reference}}} refers to nothing that is known", known)


def _meant(reference: str, sections: Map | None) -> str | None:
    near = did_you_mean(reference, ("environment.name", "project.name"))
    root, dot, rest = reference.partition(".")
    known = did_you_mean(root, ("var", *(sections.items if sections else ())))
    return near or (f"{known}.{rest}" if known and dot and known != root else None)


def _missing(path: Names, known: Collection[str]) -> NoReturn:
    there_are = f"there are: {', '.join(sorted(known))}" if known else "there is nothing there"
    raise ReferenceProblem("BP108", f"there is no {'.'.join(path)}", meant_or(path[-1], known, there_are))
