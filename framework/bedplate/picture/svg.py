"""The laid out picture as one SVG document, complete in itself: no script, no link, nothing from elsewhere.

It is built as data and serialized once, so that no name can become markup. Its colours follow the reader's
setting of light or dark; no element has an id, so that several pictures can stand in one page.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from bedplate.picture import layout as at
from bedplate.picture.layout import Box, Column, Layout, PlacedCard, PlacedPart, laid_out, length
from bedplate.picture.model import Picture
from bedplate.picture.routes import Route, routes
from bedplate.picture.words import NOTE, counts, description, part_tip, summary, tip, title
from bedplate.report import escaped

ACCENTS = 5
_STYLE = """
.bp{--page:#fff;--panel:#f6f8fa;--card:#fff;--line:#d1d9e0;--text:#1f2328;--quiet:#59636e;--arrow:#818b98;
--warm:#9a6700;--a0:#818b98;--a1:#0969da;--a2:#1a7f37;--a3:#8250df;--a4:#bc4c00;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif}
@media (prefers-color-scheme:dark){.bp{--page:#0d1117;--panel:#151b23;--card:#1c232d;--line:#3d444d;--text:#e6edf3;
--quiet:#9198a1;--arrow:#7d8590;--warm:#d29922;--a0:#7d8590;--a1:#4493f8;--a2:#3fb950;--a3:#ab7df8;--a4:#db6d28}}
.bp-page{fill:var(--page)}.bp-panel{fill:var(--panel);stroke:var(--line)}
.bp-card{fill:var(--card);stroke:var(--line)}.bp-part{fill:var(--panel);stroke:var(--line)}
.bp text{fill:var(--text)}
.bp .bp-mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.bp .bp-title{font-size:18px;font-weight:600}.bp .bp-name{font-size:13px;font-weight:600}
.bp .bp-kind{font-size:11px}.bp .bp-quiet{fill:var(--quiet);font-size:12px}.bp .bp-rest{fill:var(--quiet)}
.bp .bp-warm{fill:var(--warm);font-size:12px}
.bp-arrow{fill:none;stroke:var(--arrow);stroke-width:1.5}.bp-text{stroke-dasharray:4 3}.bp-head{fill:var(--arrow)}
.bp-a0{fill:var(--a0)}.bp-a1{fill:var(--a1)}.bp-a2{fill:var(--a2)}.bp-a3{fill:var(--a3)}.bp-a4{fill:var(--a4)}
"""


def as_svg(picture: Picture) -> str:
    """The document's text."""
    layout = laid_out(picture)
    width, height = length(layout.width), length(layout.height)
    told = {"class": "bp", "role": "img", "aria-label": _shown(f"{title(picture)}. {summary(picture)}")}
    size = {"viewBox": f"0 0 {width} {height}", "width": width, "height": height}
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, **told})
    _text_of(root, "title", title(picture))
    _text_of(root, "desc", description(picture))
    _text_of(root, "style", _STYLE)
    SubElement(root, "rect", {"class": "bp-page", "width": width, "height": height})
    _heading(root, picture, layout)
    for number, column in enumerate(layout.columns):
        _panel(root, column, number)
    arrows = SubElement(root, "g")
    for route in routes(picture, layout):
        _arrow(arrows, route)
    for number, column in enumerate(layout.columns):
        for placed in column.cards:
            _card(root, placed, number % ACCENTS)
    indent(root, space=" ")
    return tostring(root, encoding="unicode") + "\n"


def _heading(root: Element, picture: Picture, layout: Layout) -> None:
    _word(root, "bp-title", title(picture), at.MARGIN, 30)
    _word(root, "bp-quiet", NOTE, at.MARGIN, layout.height - at.MARGIN + 4)


def _panel(root: Element, column: Column, number: int) -> None:
    group = SubElement(root, "g")
    box = column.box
    _rect(group, "bp-panel", box, 8)
    line = box.y + at.HEAD / 2
    _word(group, "bp-name", column.stack.name, box.x + at.PAD, line)
    count = counts(column.stack)
    _word(group, "bp-quiet", count, box.right - at.PAD, line, {"text-anchor": "end"})


def _arrow(root: Element, route: Route) -> None:
    group = SubElement(root, "g")
    _text_of(group, "title", f"{route.user} uses {route.used}")
    SubElement(group, "path", {"class": "bp-arrow" if route.firm else "bp-arrow bp-text", "d": route.path})
    SubElement(group, "path", {"class": "bp-head", "d": route.head})


def _card(root: Element, placed: PlacedCard, accent: int) -> None:
    group = SubElement(root, "g")
    box = placed.box
    _text_of(group, "title", tip(placed.card))
    _rect(group, "bp-card", box, 6)
    bar = Box(box.x, box.y + 8, 3, box.height - 16)
    _rect(group, f"bp-a{accent}", bar, 1.5)
    line = box.y + at.NAME_HEIGHT / 2
    _word(group, "bp-mono bp-name", placed.card.address, box.x + at.PAD, line)
    if placed.card.protected:
        _word(group, "bp-warm", at.TAG, box.right - at.PAD, line, {"text-anchor": "end"})
    for part in placed.parts:
        _part(group, part)


def _part(root: Element, placed: PlacedPart) -> None:
    group = SubElement(root, "g")
    _text_of(group, "title", part_tip(placed.part))
    _rect(group, "bp-part", placed.box, 4)
    kind, space, rest = placed.text.partition(" ")
    word = _word(group, "bp-mono bp-kind", kind + space, placed.box.x + at.PART_PAD, placed.box.middle)
    if rest:
        _text_of(word, "tspan", rest, {"class": "bp-rest"})


def _rect(root: Element, name: str, box: Box, radius: float) -> None:
    size = {
        "x": length(box.x),
        "y": length(box.y),
        "width": length(box.width),
        "height": length(box.height),
        "rx": length(radius),
    }
    SubElement(root, "rect", {"class": name, **size})


def _word(
    root: Element, name: str, text: str, x: float, y: float, more: Mapping[str, str] | None = None
) -> Element:
    """A text whose middle is at `y`, which not every reader of SVG can be told by dominant-baseline."""
    told = {"class": name, "x": length(x), "y": length(y), "dy": ".35em", **(more or {})}
    return _text_of(root, "text", text, told)


def _text_of(root: Element, tag: str, text: str, attributes: Mapping[str, str] | None = None) -> Element:
    element = SubElement(root, tag, dict(attributes or {}))
    element.text = _shown(text)
    return element


def _shown(text: str) -> str:
    """What XML cannot hold, such as a control character, is made visible; lines stay lines."""
    return "\n".join(escaped(line) for line in text.split("\n"))
