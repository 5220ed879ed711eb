"""Data from outside as dataclasses: all that fits is taken as it is, all else is refused with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pytest

from bedplate.engine.world import typed


@dataclass(frozen=True, slots=True)
class Part:
    name: str


@dataclass(frozen=True, slots=True)
class Whole:
    count: int
    share: float
    on: bool
    word: Literal["a", "b"]
    parts: tuple[Part, ...] = ()
    first: Part | None = None
    source: Mapping[str, str] | None = None
    port: int | None = None


FITS: dict[str, object] = {"count": 1, "share": 2, "on": True, "word": "a"}


def test_what_fits_is_taken() -> None:
    assert typed.read(Whole, FITS) == Whole(1, 2.0, True, "a")
    given = {**FITS, "parts": [{"name": "x"}], "first": {"name": "y"}, "source": {"env": "V"}, "port": None}
    assert typed.read(Whole, given) == Whole(1, 2.0, True, "a", (Part("x"),), Part("y"), {"env": "V"}, None)


def test_more_may_stand_beside_it_where_that_is_said() -> None:
    given = {**FITS, "first": {"name": "y", "age": 1}, "later": 1}
    assert typed.read(Whole, given, more=True) == Whole(1, 2.0, True, "a", first=Part("y"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": 1.0}, "count: must be a whole number"),
        ({"count": "1"}, "count: must be a whole number"),
        ({"count": True}, "count: must be a whole number"),
        ({"count": None}, "count: must be a whole number"),
        ({"share": "1"}, "share: must be a number"),
        ({"share": True}, "share: must be a number"),
        ({"on": 1}, "on: must be true or false"),
        ({"word": "c"}, "word: must be one of a, b"),
        ({"word": []}, "word: must be one of a, b"),
        ({"parts": "x"}, "parts: must be a list"),
        ({"parts": [{"name": "x"}, {}]}, "parts.1.name: is missing"),
        ({"parts": [{"name": 1}]}, "parts.0.name: must be a string"),
        ({"parts": [1]}, "parts.0: must be a mapping"),
        ({"first": {"name": "x", "age": 1}}, "first.age: is not known"),
        ({"source": {"env": 1}}, "source.env: must be a string"),
        ({"source": {1: "x"}}, "source: must be a mapping"),
        ({"source": []}, "source: must be a mapping"),
        ({"port": "1"}, "port: must be a whole number"),
        ({"more": 1}, "more: is not known"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(change: dict[str, object], said: str) -> None:
    with pytest.raises(typed.Misfit, match=f"^{re.escape(said)}$"):
        typed.read(Whole, {**FITS, **change})


@pytest.mark.parametrize("data", [None, [], "x", 1])
def test_what_is_no_mapping_is_refused(data: object) -> None:
    with pytest.raises(typed.Misfit, match="Whole: must be a mapping"):
        typed.read(Whole, data)


@pytest.mark.parametrize("key", FITS)
def test_what_is_missing_is_named(key: str) -> None:
    with pytest.raises(typed.Misfit, match=f"{key}: is missing"):
        typed.read(Whole, {name: value for name, value in FITS.items() if name != key})
