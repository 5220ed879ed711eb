"""The text of the flowchart. That Mermaid itself takes it is for tests/browser."""

from __future__ import annotations

import re
from pathlib import Path

from bedplate.picture.mermaid import as_mermaid
from bedplate.picture.model import Picture
from tests.picture.pictures import crossing, flights, hostile, of_spec

GOLDEN = Path(__file__).with_name("flights.mermaid")
LINES = [
    r"---",
    r'title: "[\w .,:()/#;-]*"',
    r"flowchart LR",
    r"  acc(Title|Descr): [\w .,:()/#;-]*",
    r'  subgraph s\d+\["[\w .,:()/#;-]*"\]',
    r'    n\d+\["[\w .,:()/#;-]*(<br/>[\w .,:()/#;-]*)*"\]',
    r"  end",
    r"  n\d+ (-->|-\.->) n\d+",
]


def test_the_flights_are_drawn_so(tmp_path: Path, update: bool) -> None:
    text = as_mermaid(of_spec(flights(tmp_path / "flights"), "local"))
    if update:
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_no_name_is_more_than_a_name() -> None:
    for line in as_mermaid(hostile()).splitlines():
        assert any(re.fullmatch(pattern, line, re.ASCII) for pattern in LINES), line
        assert re.sub(r"#\d+;", "", line).count("#") == 0


def test_an_arrow_for_a_reference_alone_is_dashed() -> None:
    lines = as_mermaid(crossing()).splitlines()
    assert sum(" -.-> " in line for line in lines) == 2
    assert sum(" --> " in line for line in lines) == 6


def test_a_resource_says_after_which_it_comes() -> None:
    assert '"environments.prod<br/>Kind0<br/>Kind1, after Kind0"' in as_mermaid(crossing())


def test_a_card_that_is_in_two_stacks_has_a_node_in_each() -> None:
    whole = crossing()
    twice = Picture("a", "b", "local", (whole.stacks[0], *whole.stacks))
    text = as_mermaid(twice)
    assert text.count('["environments.prod<') == 2
    assert len(set(re.findall(r"^    (n\d+)\[", text, re.MULTILINE))) == 2 + sum(1 for _ in whole.cards()) - 1


def test_nothing_is_a_flowchart_too() -> None:
    assert as_mermaid(Picture("a", "b", "local", ())) == (
        '---\ntitle: "a in b"\n---\nflowchart LR\n  accTitle: a in b\n'
        "  accDescr: What the spec becomes on local: nothing.\n"
    )
