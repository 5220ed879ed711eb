"""The SVG's text. How it looks is for tests/browser."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest

from bedplate.picture.model import Picture
from bedplate.picture.svg import as_svg
from bedplate.picture.words import description, summary, title
from tests.picture.pictures import HOSTILE, crossing, flights, hostile, of_spec

GOLDEN = Path(__file__).with_name("flights.svg")
NS = "{http://www.w3.org/2000/svg}"
DRAWN = [crossing(), hostile(), Picture("a", "b", "local", ())]
SAFE = {"svg", "title", "desc", "style", "g", "rect", "path", "text", "tspan"}


def test_the_flights_are_drawn_so(tmp_path: Path, update: bool) -> None:
    text = as_svg(of_spec(flights(tmp_path / "flights"), "local"))
    if update:
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def words(root: Element, tag: str) -> list[str]:
    return ["".join(element.itertext()) for element in root.iter(NS + tag)]


@pytest.mark.parametrize("drawn", DRAWN, ids=["crossing", "hostile", "nothing"])
def test_it_says_in_words_what_it_shows(drawn: Picture) -> None:
    root = fromstring(as_svg(drawn))
    assert root.get("role") == "img"
    assert (root.get("aria-label") or "").endswith(" ".join(summary(drawn).split()))
    assert [child.tag for child in root][:3] == [NS + "title", NS + "desc", NS + "style"]
    if drawn is not DRAWN[1]:
        assert words(root, "title")[0] == title(drawn)
        assert words(root, "desc") == [description(drawn)]


@pytest.mark.parametrize("drawn", DRAWN, ids=["crossing", "hostile", "nothing"])
def test_it_runs_nothing_and_loads_nothing(drawn: Picture) -> None:
    root = fromstring(as_svg(drawn))
    for element in root.iter():
        assert element.tag.removeprefix(NS) in SAFE
        assert not [
            name for name in element.attrib if name.startswith("on") or "href" in name or name == "id"
        ]
    (style,) = words(root, "style")
    assert not re.search(r"url\(|@import|expression|<", style)
    assert "prefers-color-scheme:dark" in style


def test_hostile_names_are_text() -> None:
    shown = [text for text in words(fromstring(as_svg(hostile())), "text") if text.startswith("models.")]
    assert len(shown) == len(HOSTILE)
    assert "models.<script>window.hacked = 1</script>" in shown
    assert "models.\\x1b[31m\\x00\\ufffe]]> --> n1" in shown


def test_a_tip_names_the_resource_in_full(tmp_path: Path) -> None:
    root = fromstring(as_svg(of_spec(flights(tmp_path / "flights"), "local")))
    assert "delay\nbedplate:local:Service" in words(root, "title")
    assert "serving.delay  bedplate.yaml:13:3\nuses models.delay" in words(root, "title")
    assert "serving.delay uses models.delay" in words(root, "title")


def test_every_class_is_of_bedplate_and_has_a_style() -> None:
    text = as_svg(crossing())
    used = {name for names in re.findall(r'class="([^"]*)"', text) for name in names.split()}
    (style,) = words(fromstring(text), "style")
    assert all(name == "bp" or name.startswith("bp-") for name in used)
    assert [name for name in used if f".{name}" not in style] == []
