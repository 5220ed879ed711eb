"""Entries, the resources they become, and what uses what: the picture before it has a form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from bedplate.compiler import Compiled, gifts
from bedplate.diagnostics import PathKey
from bedplate.graph import Graph, Resource, dependencies
from bedplate.spec.project import Project
from bedplate.spec.references import named_entries
from bedplate.spec.tree import at, scalars

# Why one entry uses another: it is given what that one yields, a text of it refers to that one, or a resource
# of it depends on one of that one's.
LINK, REFERENCE, RESOURCE = "link", "reference", "resource"


@dataclass(frozen=True, slots=True)
class Part:
    """One resource. `label` tells it from the others of its entry; `after` are the resources it depends on."""

    name: str
    type: str
    label: str
    after: tuple[str, ...] = ()
    protected: bool = False

    @property
    def kind(self) -> str:
        return self.type.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Card:
    """An entry of the spec, or an environment, with what becomes of it in one stack.

    `uses` are the addresses of other cards, each with why.
    """

    address: str
    where: str
    parts: tuple[Part, ...] = ()
    uses: Mapping[str, tuple[str, ...]] | None = None

    @property
    def used(self) -> Mapping[str, tuple[str, ...]]:
        return self.uses or {}

    @property
    def protected(self) -> bool:
        return any(part.protected for part in self.parts)


@dataclass(frozen=True, slots=True)
class Stack:
    """A section, with its cards in the order of the spec."""

    name: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """One project in one environment; the stacks in the order in which they are applied."""

    project: str
    environment: str
    target: str
    stacks: tuple[Stack, ...]

    def cards(self) -> Iterator[Card]:
        return (card for stack in self.stacks for card in stack.cards)

    def arrows(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """From what is used to what uses it, and why."""
        here = {card.address for card in self.cards()}
        for card in self.cards():
            for used, why in card.used.items():
                if used in here:
                    yield used, card.address, why


class NotInPicture(Exception):
    """There is no such entry or section."""

    def __init__(self, address: str, known: tuple[str, ...]) -> None:
        super().__init__(address)
        self.address, self.known = address, known


def picture(project: Project, compiled: Compiled) -> Picture:
    """Everything that the project becomes in its environment. Stacks in which there is nothing are left out."""
    uses = _uses(project, compiled)
    stacks = (
        Stack(section, tuple(_cards(section, graph, project, compiled, uses)))
        for section, graph in compiled.graphs.items()
    )
    environment = project.environment
    found = tuple(stack for stack in stacks if stack.cards)
    return Picture(project.name, environment.name, environment.target, found)


def narrowed(whole: Picture, addresses: Iterable[str]) -> Picture:
    """Only the entries (or sections) of these addresses, what they use, and what uses them. Raises NotInPicture."""
    asked: set[str] = set()
    for address in addresses:
        inside = [c.address for c in whole.cards() if c.address == address]
        inside += [c.address for stack in whole.stacks if stack.name == address for c in stack.cards]
        if not inside:
            known = (*(stack.name for stack in whole.stacks), *(card.address for card in whole.cards()))
            raise NotInPicture(address, known)
        asked |= {*inside}
    forward: dict[str, set[str]] = {}
    back: dict[str, set[str]] = {}
    for used, user, _ in whole.arrows():
        forward.setdefault(used, set()).add(user)
        back.setdefault(user, set()).add(used)
    kept = _reached(asked, forward) | _reached(asked, back)
    stacks = (replace(s, cards=tuple(c for c in s.cards if c.address in kept)) for s in whole.stacks)
    return replace(whole, stacks=tuple(stack for stack in stacks if stack.cards))


def as_data(whole: Picture) -> dict[str, object]:
    """The picture as JSON data."""
    return {
        "project": whole.project,
        "environment": whole.environment,
        "target": whole.target,
        "stacks": [
            {"name": stack.name, "entries": [_card_data(card) for card in stack.cards]}
            for stack in whole.stacks
        ],
    }


def _card_data(card: Card) -> dict[str, object]:
    return {
        "address": card.address,
        "where": card.where,
        "uses": [{"address": address, "why": [*why]} for address, why in card.used.items()],
        "resources": [
            {"name": p.name, "type": p.type, "depends_on": [*p.after], "protected": p.protected}
            for p in card.parts
        ],
    }


def _reached(start: set[str], ways: Mapping[str, set[str]]) -> set[str]:
    found, edge = {*start}, [*start]
    while edge:
        more = ways.get(edge.pop(), set()) - found
        found |= more
        edge += more
    return found


def _cards(
    section: str,
    graph: Graph,
    project: Project,
    compiled: Compiled,
    uses: Mapping[str, Mapping[str, tuple[str, ...]]],
) -> Iterator[Card]:
    """The entries of a section, and whoever else owns a resource of its stack."""
    owned: dict[str, list[Resource]] = {f"{section}.{name}": [] for name in project.sections.get(section, ())}
    for resource in graph.resources:
        owned.setdefault(_owner(resource.name, section, compiled), []).append(resource)
    for address, resources in owned.items():
        # What belongs to the environment may be in every stack: its arrows would be everywhere.
        used = uses.get(address, {}) if address.partition(".")[0] == section else {}
        yield Card(address, _where(address, project), _parts(resources, address), used)


def _owner(resource: str, section: str, compiled: Compiled) -> str:
    origin = compiled.origins.get(section, {}).get(resource)
    return origin.address if origin else f"environments.{compiled.environment}"


def _where(address: str, project: Project) -> str:
    path: tuple[PathKey, ...] = tuple(address.split("."))
    span = project.span(path, at_key=True)
    return f"{span.file}:{span.line}:{span.column}"


def _parts(resources: Iterable[Resource], address: str) -> tuple[Part, ...]:
    entry = address.partition(".")[2]
    found = [
        Part(r.name, r.type, _label(r, entry), tuple(sorted(dependencies(r))), r.protect) for r in resources
    ]
    return tuple(sorted(found, key=lambda part: (part.label, part.name)))


def _label(resource: Resource, entry: str) -> str:
    """The kind, and what else the resource's name says beyond the entry's: `Service canary`."""
    kind = resource.type.rpartition(":")[2]
    rest = resource.name.removeprefix(entry).strip("-_")
    rest = rest.removesuffix(kind.lower()).strip("-_")
    return f"{kind} {rest}" if rest else kind


def _uses(project: Project, compiled: Compiled) -> dict[str, dict[str, tuple[str, ...]]]:
    """For each address those that it uses, with why, both in a fixed order."""
    why: dict[tuple[str, str], set[str]] = {}
    for user, givers in gifts(project).items():
        for giver in givers:
            why.setdefault((user, giver), set()).add(LINK)
    for user, named in _references(project):
        why.setdefault((user, named), set()).add(REFERENCE)
    for section, graph in compiled.graphs.items():
        for resource in graph.resources:
            user = _owner(resource.name, section, compiled)
            for other in dependencies(resource):
                why.setdefault((user, _owner(other, section, compiled)), set()).add(RESOURCE)
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for (user, used), reasons in sorted(why.items()):
        if user != used:
            found.setdefault(user, {})[used] = tuple(sorted(reasons))
    return found


def _references(project: Project) -> Iterator[tuple[str, str]]:
    """Entries with the entries that their texts refer to."""
    for section, entries in project.sections.items():
        for name in entries:
            node = at(project.tree, (section, name)) if project.tree else None
            for scalar in scalars(node) if node else ():
                for other, entry in named_entries(scalar.text):
                    if entry in project.sections.get(other, ()):
                        yield f"{section}.{name}", f"{other}.{entry}"
