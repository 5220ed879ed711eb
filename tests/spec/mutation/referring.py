"""The places where a spec names something of itself: entries, environments, variables, files, objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bedplate.sections import models, serving
from bedplate.sections.serving import model as grammar
from bedplate.spec.frame import EnvironmentSpec, Frame
from bedplate.spec.names import NAME
from tests.spec.mutation.mutations import Mutation, typos
from tests.spec.mutation.slots import Slot, Stretch

# By the model and the name of the field.
_NAMES = {
    (EnvironmentSpec, "extends"),
    (EnvironmentSpec, "promotes_from"),
    (models.Model, "environments"),
    (serving.Model, "environments"),
    (serving.Model, "model"),
    (serving.Model, "models"),
    (grammar.Test, "model"),
}
# Not of the language's own form, and so of any case.
_OTHERS = {(grammar.Patch, "kind"), (grammar.Patch, "name"), (Frame, "timezone")}
_FILES = {
    (Frame, "include"),
    (Frame, "policies"),
    (models.Model, "path"),
    (grammar.Test, "request"),
    (grammar.Test, "expect"),
}
_VARIABLES = (EnvironmentSpec, "variables")
_ADDRESSES = {(EnvironmentSpec, "protect")}
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
# Of a patch that names its object, kind and name are wrong together: the kind is pointed at.
_AT_KIND = (grammar.Patch, "name")


@dataclass(frozen=True)
class Named:
    """A stretch of text that names something, and the offset that is pointed at when it names nothing.

    `words` are those of it that can be misspelt, each with what is suggested then.
    """

    stretch: Stretch
    at: int
    nothing: str
    words: tuple[tuple[Stretch, str], ...] = ()
    strict: bool = True

    def to_nothing(self, text: str) -> Mutation:
        begin, end = self.stretch
        return Mutation("a name of nothing", text[:begin] + self.nothing + text[end:], self.at, self.nothing)

    def misspelt(self, text: str) -> Iterator[Mutation]:
        """Names with a slip that are still names, so that only what they name is wrong."""
        for (begin, end), meant in self.words:
            for _, made in typos(text[begin:end]):
                if NAME.fullmatch(made) or not self.strict:
                    changed = text[:begin] + made + text[end:]
                    yield Mutation("a name misspelt", changed, self.at, made, meant)


def named(text: str, slots: list[Slot]) -> Iterator[Named]:
    """Everything in the text that names something."""
    fields = {slot.path: (slot.owner, slot.name) for slot in slots if slot.owner}
    for slot in slots:
        field = fields.get(slot.path[:-1] if isinstance(slot.path[-1], int) else slot.path)
        begin, end = slot.value
        if slot.key and fields.get(slot.path[:-1]) == _VARIABLES:
            yield Named(slot.key, slot.key[0], "unknown", ((slot.key, text[slice(*slot.key)]),))
        elif slot.takes in ("a list", "a mapping"):
            continue
        elif field in _NAMES:
            yield Named(slot.value, begin, "unknown", tuple(_words(text, begin, end)))
        elif field in _ADDRESSES:
            words = ((stretch, text[begin:end]) for stretch, _ in _words(text, begin, end))
            yield Named(slot.value, begin, "unknown", tuple(words))
        elif field in _OTHERS and field != _AT_KIND:
            yield Named(slot.value, begin, "Unknown", ((slot.value, text[begin:end]),), strict=False)
        elif field in _FILES:
            yield Named(slot.value, begin, "no/such/file")
    for match in _REFERENCE.finditer(text):
        yield Named(match.span(1), match.start(), "var.unknown", tuple(_parts(match)), strict=False)


def _words(text: str, begin: int, end: int) -> Iterator[tuple[Stretch, str]]:
    """The parts of `serving.delay`, each looked for by itself."""
    for word in text[begin:end].split("."):
        yield (begin, begin + len(word)), word
        begin += len(word) + 1


def _parts(match: re.Match[str]) -> Iterator[tuple[Stretch, str]]:
    """What a reference begins with is told with all of it; an entry and its field by themselves."""
    parts = list(_words(match.string, *match.span(1)))
    for index, (stretch, word) in enumerate(parts):
        entry = index > 0 and len(parts) > 2
        yield stretch, word if entry else match.group()
