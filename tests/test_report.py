from __future__ import annotations

import re

import pytest

from bedplate.diagnostics import Diagnostic, Related, Span, ordered
from bedplate.report import as_data, as_text

LINE = "    rollout: {canary: [{weight: 50%, hold: 1h}, {weight: 5%, hold: 5m}]}"
SPAN = Span("bedplate.yaml", 71, 58, 60, LINE)
CANARY = Diagnostic(
    "BP204",
    "canary weights must rise; 5% comes after 50%",
    ("serving", "delay", "rollout", "canary", 1, "weight"),
    SPAN,
    "order the steps by weight",
)


def test_the_published_form() -> None:
    assert as_text([CANARY], colour=False, width=100) == (
        "error[BP204]: canary weights must rise; 5% comes after 50%\n"
        "  --> bedplate.yaml:71:58  serving.delay.rollout.canary[1].weight\n"
        "   |\n"
        "71 |     rollout: {canary: [{weight: 50%, hold: 1h}, {weight: 5%, hold: 5m}]}\n"
        "   |                                                          ^^\n"
        "   = help: order the steps by weight\n"
        "\n"
        "1 error"
    )


@pytest.mark.parametrize("width", [1, 20, 40, 79, 200])
def test_the_mark_stands_under_the_span_at_any_width(width: int) -> None:
    _, _, _, excerpt, mark, *_ = as_text([CANARY], colour=False, width=width).splitlines()

    assert len(excerpt) <= max(width, 20)
    assert excerpt[mark.index("^") : mark.rindex("^") + 1] == "5%"


def test_colour_changes_nothing_but_colour() -> None:
    coloured = as_text([CANARY], colour=True, width=80)

    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == as_text([CANARY], colour=False, width=80)


def test_wide_characters_count_twice() -> None:
    span = Span("bedplate.yaml", 1, 4, 5, "a: 🚀🚀x")
    _, _, _, _, mark, *_ = as_text([Diagnostic("BP023", "m", span=span)], colour=False, width=80).splitlines()

    assert mark == "  |    ^^"


@pytest.mark.parametrize(
    "text",
    ["a\x1b[31mred", "a\n::error::b", "a\r\u2028b", "\u202ereversed", "\ue000", "\x9b31m"],
)
def test_nothing_from_outside_moves_the_cursor(text: str) -> None:
    diagnostic = Diagnostic(
        "BP020", text, (text,), Span(text, 1, 1, 3, text), text, related=(Related(SPAN, text),)
    )
    report = as_text([diagnostic], colour=False, width=80)

    assert all(character.isprintable() or character == "\n" for character in report)
    assert not any(line.startswith("::") for line in report.splitlines())


@pytest.mark.parametrize(
    "line",
    [
        "password: hunter2",
        "db_password: 'hunter2'",
        '{"api_key": "hunter2", port: 1}',
        "API-KEY: hunter2 # old",
        'token: "hun\\"ter2 hunter2"',
        "my_secret: hunter2, replicas: 3",
    ],
)
def test_a_value_beside_a_secret_key_is_not_shown(line: str) -> None:
    report = as_text(
        [Diagnostic("BP020", "unknown key", (), Span("f", 1, 1, 3, line))], colour=False, width=80
    )

    assert "ter2" not in report
    assert "***" in report


def test_a_found_secret_is_hidden_from_every_report_of_its_line() -> None:
    line = "slack: hunter2, replicas: 0"
    secret = Diagnostic("BP110", "no", (), Span("f", 1, 8, 15, line))
    other = Diagnostic("BP024", "0 is out of range", (), Span("f", 1, 27, 28, line))

    report = as_text([secret, other], colour=False, width=80)

    assert "hunter2" not in report
    assert report.splitlines()[9:11] == ["1 | slack: ***, replicas: 0", "  |                       ^"]


def test_fifty_are_shown_and_the_rest_counted() -> None:
    many = [Diagnostic("BP020", "x", (), Span("f", line, 1, 2, "x")) for line in range(1, 61)]
    report = as_text(many, colour=False, width=80)

    assert report.count("error[") == 50
    assert report.endswith("60 errors; 10 more are not shown")
    assert len(as_data(many)) == 60


def test_the_data_has_every_part() -> None:
    assert as_data([CANARY]) == [
        {
            "code": "BP204",
            "severity": "error",
            "message": CANARY.message,
            "path": "serving.delay.rollout.canary[1].weight",
            "help": CANARY.help,
            "environment": None,
            "related": [],
            "file": "bedplate.yaml",
            "line": 71,
            "column": 58,
            "end_column": 60,
        }
    ]


def test_diagnostics_are_ordered_by_place() -> None:
    spans = [Span("b", 1, 1, 2), Span("a", 10, 1, 2), Span("a", 2, 5, 6), Span("a", 2, 1, 2)]

    assert [d.span for d in ordered(Diagnostic("BP020", "x", (), s) for s in spans)] == sorted(spans)
