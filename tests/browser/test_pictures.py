"""What a reader sees of `bedplate graph`, in the real Chromium: the SVG as it stands, the Mermaid by Mermaid itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bedplate.picture.mermaid import as_mermaid
from bedplate.picture.model import Card, Picture
from bedplate.picture.svg import as_svg
from bedplate.picture.words import after, title
from bedplate.report import escaped
from tests.browser.chromium import Chromium
from tests.npm import modules
from tests.picture.pictures import HOSTILE, crossing, flights, hostile, of_spec
from tests.whole import REPOSITORY

EXAMPLES = (
    ("fraud", "prod"),
    ("fraud", "local"),
    ("pricing", "prod"),
    ("fleet", "staging"),
    ("fleet", "prod-eu"),
)
READABLE = 4.5  # the contrast that WCAG 2.2 asks of small text (1.4.3)

# Every text against the box that it stands in: the rect before it in its group, or else the whole picture.
MEASURE = """
  return [...document.querySelectorAll("svg")].map((svg) => {
    const found = {texts: 0, outside: [], overlapping: [], title: svg.querySelector("title").textContent};
    const inside = (a, b) => a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;
    const groups = new Map();
    for (const text of svg.querySelectorAll("text")) {
      found.texts += 1;
      const rect = text.parentElement === svg ? svg : text.parentElement.querySelector(":scope > rect");
      const box = text.getBoundingClientRect();
      if (text.getComputedTextLength() === 0 || !inside(box, rect.getBoundingClientRect()))
        found.outside.push(text.textContent);
      const others = groups.get(text.parentElement) ?? [];
      if (text.parentElement !== svg && others.some((other) => other.right > box.left && box.right > other.left))
        found.overlapping.push(text.textContent);
      groups.set(text.parentElement, [...others, box]);
    }
    const cards = [...svg.querySelectorAll(".bp-card")].map((card) => card.getBoundingClientRect());
    found.cards = cards.length;
    found.piled = cards.some((a, n) => cards.slice(n + 1).some(
      (b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom));
    found.active = svg.querySelectorAll("script, a, image, foreignObject, use, [href], [id]").length;
    found.handlers = [...svg.querySelectorAll("*")].filter(
      (e) => e.getAttributeNames().some((name) => name.startsWith("on"))).length;
    found.hacked = "hacked" in window;
    return found;
  });
"""
# As a picture in a page, where nothing else may be loaded; how many of its pixels are not its background's.
PAINT = """
  const answers = [];
  for (const svg of given) {
    const image = new Image();
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svg);
    await image.decode();
    const canvas = document.createElement("canvas");
    const [width, height] = [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    answers.push({width, height, painted: pixels.filter((pixel) => pixel !== pixels[0]).length});
  }
  return answers;
"""
COLOURS = """
  const luminance = (colour) => {
    const part = colour.match(/[0-9.]+/g).slice(0, 3).map((n) => n / 255)
      .map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const fill = (element) => getComputedStyle(element).fill;
  const svg = document.querySelector("svg");
  const page = svg.querySelector(".bp-page");
  const ratios = [...svg.querySelectorAll("text, tspan")].map((text) => {
    const group = text.closest("g");
    const under = group ? group.querySelector(":scope > rect") : page;
    const [a, b] = [luminance(fill(text)), luminance(fill(under))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
  return {page: luminance(fill(page)), least: Math.min(...ratios)};
"""
FLOWCHART = """
  mermaid.initialize({startOnLoad: false, securityLevel: "loose"});
  const answers = [];
  for (const text of given) {
    const parsed = await mermaid.parse(text);
    const place = document.createElement("div");
    document.body.append(place);
    place.innerHTML = (await mermaid.render("drawn" + answers.length, text)).svg;
    answers.push({
      type: parsed.diagramType,
      nodes: [...place.querySelectorAll(".node .nodeLabel")].map((label) => label.innerText),
      clusters: [...place.querySelectorAll(".cluster .nodeLabel")].map((label) => label.innerText),
      arrows: place.querySelectorAll("path.flowchart-link").length,
      title: place.querySelector("title")?.textContent,
      active: place.querySelectorAll("script, img, a, iframe").length,
    });
    place.remove();
  }
  return {answers, hacked: "hacked" in window};
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Picture]:
    specs = {
        f"{name} {env}": (REPOSITORY / "examples" / name / "bedplate.yaml", env) for name, env in EXAMPLES
    }
    specs["flights local"] = (flights(tmp_path_factory.mktemp("examples") / "flights"), "local")
    drawn = {name: of_spec(spec, environment) for name, (spec, environment) in specs.items()}
    return {**drawn, "hostile": hostile(), "crossing": crossing(), "nothing": Picture("a", "b", "local", ())}


NAMES = pytest.mark.parametrize(
    "name", [*(f"{name} {env}" for name, env in EXAMPLES), "flights local", "hostile", "crossing", "nothing"]
)


@pytest.fixture(scope="module")
def measured(chromium: Chromium, pictures: dict[str, Picture]) -> dict[str, dict[str, Any]]:
    """What is found in each picture, all of them in one page."""
    found = chromium.ask(MEASURE, None, body="".join(map(as_svg, pictures.values())))
    return dict(zip(pictures, found, strict=True))


@pytest.fixture(scope="module")
def painted(chromium: Chromium, pictures: dict[str, Picture]) -> dict[str, dict[str, int]]:
    found = chromium.ask(PAINT, [as_svg(picture) for picture in pictures.values()])
    return dict(zip(pictures, found, strict=True))


@NAMES
def test_every_text_of_the_svg_stands_in_its_box(
    measured: dict[str, dict[str, Any]], pictures: dict[str, Picture], name: str
) -> None:
    picture, found = pictures[name], measured[name]
    assert (found["outside"], found["overlapping"], found["piled"]) == ([], [], False)
    cards = [*picture.cards()]
    assert found["cards"] == len(cards)
    protected = sum(card.protected for card in cards)
    words = 2 + 2 * len(picture.stacks) + len(cards) + sum(len(card.parts) for card in cards) + protected
    assert found["texts"] == words
    assert found["title"] == title(picture)
    assert (found["active"], found["handlers"], found["hacked"]) == (0, 0, False)


@NAMES
def test_the_svg_is_painted_by_itself(
    painted: dict[str, dict[str, int]], pictures: dict[str, Picture], name: str
) -> None:
    found = painted[name]
    assert found["painted"] > 400 + 2000 * sum(1 for _ in pictures[name].cards())
    assert found["width"] > 400
    assert found["height"] > 100


@pytest.mark.parametrize("dark", [False, True])
def test_it_can_be_read_in_light_and_dark(
    chromium: Chromium, pictures: dict[str, Picture], dark: bool
) -> None:
    found = chromium.ask(COLOURS, None, body=as_svg(pictures["fraud prod"]), dark=dark)
    assert (found["page"] < 0.1) is dark
    assert found["least"] > READABLE


def test_mermaid_draws_what_the_picture_says(chromium: Chromium, pictures: dict[str, Picture]) -> None:
    mermaid = modules(Path(__file__).parent) / "mermaid" / "dist" / "mermaid.min.js"
    texts = [as_mermaid(picture) for picture in pictures.values()]
    found = chromium.ask(FLOWCHART, texts, sources=(mermaid,))
    assert not found["hacked"]
    for picture, answer in zip(pictures.values(), found["answers"], strict=True):
        assert answer["type"] == "flowchart-v2"
        assert answer["active"] == 0
        assert sorted(answer["clusters"]) == sorted(stack.name for stack in picture.stacks)
        assert sorted(answer["nodes"]) == sorted(label(card) for card in picture.cards())
        assert answer["arrows"] == len([*picture.arrows()])
        assert answer["title"] == escaped(title(picture))


def test_hostile_names_are_shown_as_they_are(chromium: Chromium, pictures: dict[str, Picture]) -> None:
    texts = "return [...document.querySelectorAll('svg .bp-name.bp-mono')].map((text) => text.textContent);"
    shown = chromium.ask(texts, None, body=as_svg(pictures["hostile"]))
    assert sorted(shown) == sorted(f"models.{escaped_lines(name)}" for name in HOSTILE)


def label(card: Card) -> str:
    """What stands in an entry's node. Mermaid takes \\n for the end of a line, also where it is an escape."""
    lines = [f"{card.address} (protected)" if card.protected else card.address]
    for part in card.parts:
        needed = after(part, card)
        lines.append(f"{part.label}, after {', '.join(needed)}" if needed else part.label)
    return "\n".join(map(escaped, lines)).replace("\\n", "\n")


def escaped_lines(name: str) -> str:
    return "\n".join(escaped(line) for line in name.split("\n"))
