"""What people do to a spec by mistake, done to its text: typos, wrong types, missing values and keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bedplate.spec.frame import Version
from bedplate.spec.leaf import Leaf
from bedplate.spec.numbers import Integer, Number
from bedplate.spec.places import Address, DnsLabel, HostName, Image, TimeZone, Url
from bedplate.spec.quantities import Cpu, Duration, Memory, Percent
from bedplate.spec.raw import Raw
from bedplate.spec.secrets import EnvironmentVariable, Secret, TextOrSecret
from bedplate.spec.types import (
    Boolean,
    FilePath,
    HttpPath,
    ModelUri,
    Name,
    OneOf,
    Text,
)
from tests.spec.mutation.slots import SECRET_NAME, Slot

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890")
_NEIGHBOUR = {one: other for row in _ROWS for one, other in zip(row, row[1:] + row[-2], strict=True)} | {
    "_": "-"
}
# Scalars that a type does not take; whatever takes texts takes every scalar.
_WRONG: Mapping[type[Leaf], tuple[str, ...]] = {
    Version: ("one", "1.0", '"1"', "true"),
    Integer: ("many", "true", '"3"', "3s", "3.5"),
    Number: ("many", "true", '"3"', "3s"),
    Boolean: ("maybe", "1", '"true"'),
    Duration: ("soon", "90", "true"),
    Percent: ("half", "5", "true"),
    Memory: ("lots", "true"),
    Cpu: ("lots", "true"),
    OneOf: ("5", "true", "something else"),
    Name: ("5", "true", "No Name"),
    Url: ("5", "true", "no address"),
    Image: ("No Image", "a b"),
    HostName: ("no host", "No.Host"),
    DnsLabel: ("no label", "No_Label"),
    TimeZone: ("5", "true", "no zone"),
    Address: ("5", "No address"),
    EnvironmentVariable: ("5", "no variable"),
    HttpPath: ("5", "true", "no path"),
    ModelUri: ("5", "true", "no model"),
    Secret: ("5", "hunter2"),
    TextOrSecret: (),
    Raw: ("5", "text"),
    Text: (),
    FilePath: (),
}
_SHAPES = ("{stray: 1}", "[stray]")


@dataclass(frozen=True)
class Mutation:
    """A text, what was done to it, and where in it: the offset that is to be pointed at.

    `meant` is the word that a typo was made of.
    """

    kind: str
    text: str
    at: int
    what: str
    meant: str = ""


def typos(word: str) -> Iterator[tuple[str, str]]:
    """Slips of a word, by kind, each once."""
    seen = {word}
    for kind, made in _typos(word):
        if made and made not in seen:
            seen.add(made)
            yield kind, made


def _typos(word: str) -> Iterator[tuple[str, str]]:
    for index, letter in enumerate(word):
        before, after = word[:index], word[index + 1 :]
        yield "a letter dropped", before + after
        yield "a letter doubled", before + letter * 2 + after
        yield "a letter replaced", before + _NEIGHBOUR.get(letter, letter) + after
        if after:
            yield "two letters swapped", before + after[0] + letter + after[1:]
    yield "another case", word.capitalize()
    yield "another case", word.upper()
    first, *rest = word.split("_")
    yield "another case", first + "".join(map(str.capitalize, rest))
    yield "- for _", word.replace("_", "-")
    yield "_ for -", word.replace("-", "_")
    yield "words joined", word.replace("_", "")


def misspelt_keys(text: str, slot: Slot) -> Iterator[Mutation]:
    assert slot.key
    begin, end = slot.key
    for kind, made in typos(text[begin:end]):
        if made not in slot.siblings and not made.startswith("x-"):
            yield Mutation(kind, text[:begin] + made + text[end:], begin, made, text[begin:end])


def misspelt_values(text: str, stretch: tuple[int, int], known: frozenset[str]) -> Iterator[Mutation]:
    """Slips of a word that is a value, or a part of one."""
    begin, end = stretch
    word = text[begin:end]
    for kind, made in typos(word):
        if made not in known:
            yield Mutation(kind, text[:begin] + made + text[end:], begin, made, word)


def wrong_types(text: str, slot: Slot) -> Iterator[Mutation]:
    """Values of other types: a scalar is pointed at itself, a list or mapping by its key."""
    for value in _wrong(slot):
        made = f"{text[: slot.start]} {value}{text[slot.value[1] :]}"
        at = slot.start + 1
        if value in _SHAPES and slot.key:
            at = slot.key[0]
        yield Mutation("a wrong type", made, at, value)


def _wrong(slot: Slot) -> tuple[str, ...]:
    if slot.takes == "a mapping" or isinstance(slot.takes, Raw):
        return "text", "5", "true", "[stray]"
    if slot.takes == "a list":
        return "text", "5", "{stray: 1}"
    if slot.takes == SECRET_NAME:
        return "5", "No Name", *_SHAPES
    assert isinstance(slot.takes, Leaf)
    for kind in type(slot.takes).__mro__:
        if kind in _WRONG:
            return *_WRONG[kind], *_SHAPES
    raise LookupError(f"say in _WRONG what {type(slot.takes).__name__} does not take")


def missing_value(text: str, slot: Slot) -> Mutation:
    """`key:` with nothing behind it, or a list item that is null."""
    if slot.key:
        # In braces a comma or bracket directly behind the colon is no YAML.
        made = f"{text[: slot.start]} {text[slot.value[1] :]}"
        return Mutation("no value", made, slot.key[0], "")
    return Mutation("no value", f"{text[: slot.start]} ~{text[slot.value[1] :]}", slot.start + 1, "~")


def missing_key(text: str, slot: Slot) -> Mutation:
    """The pair taken out. What lacks it is pointed at: by its key, or where it begins."""
    assert slot.pair
    begin, end = slot.pair
    line = text.rfind("\n", 0, begin) + 1
    at = slot.parent
    if text[line:begin].strip(" -") == "" and text[end : end + 1] in ("\n", ""):  # a block's own line
        rest = text[end + 1 :]
        if text[line:begin].strip():  # the first of a list item: the next one takes its place
            rest = rest.lstrip()
        else:
            begin = line
        return Mutation("no key", text[:begin] + rest, at, "")
    after = len(text[end:]) - len(text[end:].lstrip(", "))
    if after == 0:
        begin = len(text[:begin].rstrip(", "))
    return Mutation("no key", text[:begin] + text[end + after :], at, "")


def set_free(text: str, slot: Slot) -> str:
    """A key that nobody reads before the one of the slot."""
    assert slot.pair
    begin = slot.pair[0]
    line = text.rfind("\n", 0, begin) + 1
    block = text[line:begin].strip(" -") == ""
    return f"{text[:begin]}x-note: [a, {{b: c}}]{chr(10) + ' ' * (begin - line) if block else ', '}{text[begin:]}"
