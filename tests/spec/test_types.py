from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic_core import PydanticCustomError

from bedplate.spec.leaf import Leaf
from bedplate.spec.numbers import Integer, Number
from bedplate.spec.quantities import Cpu, Duration, Memory, Percent
from bedplate.spec.references import References
from bedplate.spec.tree import Place, Scalar, Source
from bedplate.spec.types import Boolean, Text

PLACE = Place(Source("bedplate.yaml", ("",)), 0, 0, 1)
NUMBER = Number(Decimal(-10), Decimal(10))


def read(leaf: Leaf, text: str, *, plain: bool = True) -> object:
    return leaf.parse(Scalar(text, plain, PLACE), None)


def refused(leaf: Leaf, text: str, *, plain: bool = True) -> str:
    with pytest.raises(PydanticCustomError) as caught:
        read(leaf, text, plain=plain)
    assert caught.value.context is not None
    return str(caught.value.context["code"])


@pytest.mark.parametrize(
    ("leaf", "text", "value"),
    [
        (Duration(), "90s", Decimal(90)),
        (Duration(), "100ms", Decimal("0.1")),
        (Duration(), "1h30m", Decimal(5400)),
        (Duration(), "1d1h1m1s1ms", Decimal("90061.001")),
        (Duration(), "90m", Decimal(5400)),
        (Percent(), "0.1%", Decimal("0.001")),
        (Percent(), "100%", Decimal(1)),
        (Memory(), "2Gi", 2 * 1024**3),
        (Memory(), "0.5Ki", 512),
        (Memory(), "1k", 1000),
        (Memory(), "2000m", 2),
        (Memory(), "123", 123),
        (Cpu(), "500m", Decimal("0.5")),
        (Cpu(), "0.1", Decimal("0.1")),
        (Cpu(), "2", Decimal(2)),
        (Integer(-5, 5), "-5", -5),
        (NUMBER, "0.1", Decimal("0.1")),
        (NUMBER, "1e-3", Decimal("0.001")),
        (Boolean(), "true", True),
        (Boolean(), "false", False),
    ],
)
def test_values_are_exact(leaf: Leaf, text: str, value: object) -> None:
    assert read(leaf, text) == value


@pytest.mark.parametrize(
    "text", ["", "1m1h", "1.5h", "1 h", "1H", "+1s", "-1s", "s", "1s1s", "٣s", "1h\n", "9999999999d"]
)
def test_what_is_no_duration(text: str) -> None:
    assert refused(Duration(), text) == "BP023"


@pytest.mark.parametrize(
    "text", [".nan", ".inf", "-.inf", "nan", "Infinity", "1_0", "0x1", "01", "1e999", "9" * 5000, "٣"]
)
def test_what_is_no_number(text: str) -> None:
    assert refused(NUMBER, text) == "BP023"
    assert refused(Integer(0, 10**18), text) == "BP023"


@pytest.mark.parametrize("leaf", [Integer(0, 9), NUMBER, Boolean()])
def test_quotes_make_a_text(leaf: Leaf) -> None:
    assert refused(leaf, "true" if isinstance(leaf, Boolean) else "3", plain=False) == "BP023"


@pytest.mark.parametrize("text", ["yes", "on", "True", "1", "y"])
def test_only_true_and_false_are_booleans(text: str) -> None:
    assert refused(Boolean(), text) == "BP023"


def test_a_text_holds_no_control_characters() -> None:
    assert refused(Text(), "a\x1b[31m") == "BP023"
    assert read(Text(), "two\nlines\tand é") == "two\nlines\tand é"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${var.a}-${var.a}", "x-x"),
        ("$${var.a}", "${var.a}"),
        ("$$${var.a}", "$${var.a}"),
        ("${environment.name}/$", "prod/$"),
        ("${var.odd}", "x"),
        ("${var.literal}", "${var.a}"),
        ("${project.name}", "flights"),
    ],
)
def test_references_are_resolved_once(text: str, value: str) -> None:
    variables = {"a": "x", "odd": "${var.a}", "literal": "$${var.a}"}
    assert References("prod", "flights", variables).resolve(text) == value
