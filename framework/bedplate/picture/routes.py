"""The ways of the arrows: out of the side of a card, through the gaps of the columns between, into a card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bedplate.picture.layout import CARD_GAP, Box, Column, Layout, length
from bedplate.picture.model import LINK, RESOURCE, Picture

Point = tuple[float, float]
# Where arrows may touch a card's side: not at its round corners.
_CORNER, _SPREAD = 10, 10
_TIP, _LOOP = 7, 28


@dataclass(frozen=True, slots=True)
class Route:
    """An arrow as an SVG path, and its head. `firm`: something is handed over; else a text refers to it."""

    used: str
    user: str
    path: str
    head: str
    firm: bool


@dataclass(frozen=True, slots=True)
class _End:
    """Where an arrow touches a card: at its left (-1) or its right (1)."""

    address: str
    box: Box
    side: int

    def x(self, away: float = 0) -> float:
        return (self.box.right if self.side > 0 else self.box.x) + self.side * away


@dataclass(frozen=True, slots=True)
class _Arrow:
    start: _End
    end: _End
    firm: bool
    between: tuple[Column, ...] = ()


def routes(picture: Picture, layout: Layout) -> Iterator[Route]:
    """Every arrow, those that begin and end higher first."""
    arrows = sorted(_arrows(picture, layout), key=_height)
    touches = Counter(key for arrow in arrows for key in _keys(arrow))
    taken: Counter[tuple[str, int]] = Counter()
    for arrow in arrows:
        ends = (arrow.start, arrow.end)
        leaving, arriving = (
            _apart(end.box, taken[key], touches[key]) for end, key in zip(ends, _keys(arrow), strict=True)
        )
        taken.update(_keys(arrow))
        tip = (arrow.end.x(_TIP), arriving)
        if arrow.start.side == arrow.end.side:
            path = _loop((arrow.start.x(), leaving), tip, arrow.start.side)
        else:
            between = _between(arrow.between, leaving, arriving, forward=arrow.start.side > 0)
            path = _curve([(arrow.start.x(), leaving), *between, tip])
        head = _head(arrow.end.x(), arriving, -arrow.end.side)
        yield Route(arrow.start.address, arrow.end.address, path, head, arrow.firm)


def _arrows(picture: Picture, layout: Layout) -> Iterator[_Arrow]:
    places = {
        placed.card.address: (number, placed.box)
        for number, column in reversed([*enumerate(layout.columns)])
        for placed in column.cards
    }
    for used, user, why in picture.arrows():
        (first, start), (last, end) = places[used], places[user]
        between = layout.columns[min(first, last) + 1 : max(first, last)]
        ways = _End(used, start, 1 if first < last else -1), _End(user, end, 1 if first > last else -1)
        yield _Arrow(*ways, LINK in why or RESOURCE in why, between if first < last else between[::-1])


def _height(arrow: _Arrow) -> tuple[float, float, str, str]:
    return (arrow.start.box.y, arrow.end.box.y, arrow.start.address, arrow.end.address)


def _keys(arrow: _Arrow) -> tuple[tuple[str, int], tuple[str, int]]:
    return (arrow.start.address, arrow.start.side), (arrow.end.address, arrow.end.side)


def _apart(box: Box, number: int, many: int) -> float:
    """The height of one of the many arrows that touch a side of a card."""
    step = min(_SPREAD, (box.height - 2 * _CORNER) / max(many - 1, 1))
    return box.middle + (number - (many - 1) / 2) * step


def _between(columns: tuple[Column, ...], start: float, end: float, *, forward: bool) -> Iterator[Point]:
    """Into and out of each column in between, at the gap between two of its cards that is least of a detour."""
    for number, column in enumerate(columns, 1):
        straight = start + (end - start) * number / (len(columns) + 1)
        gap = min(_gaps(column), key=lambda y: (abs(y - straight), y))
        sides = (column.box.x, column.box.right)
        yield from ((x, gap) for x in (sides if forward else sides[::-1]))


def _gaps(column: Column) -> Iterator[float]:
    boxes = [placed.box for placed in column.cards]
    yield boxes[0].y - CARD_GAP / 2
    yield from ((above.bottom + below.y) / 2 for above, below in pairwise(boxes))
    yield boxes[-1].bottom + CARD_GAP / 2


def _curve(points: list[Point]) -> str:
    """Through the points, level at each of them."""
    parts = [f"M{length(points[0][0])} {length(points[0][1])}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        bend = (x2 - x1) / 2
        parts.append(
            f"C{length(x1 + bend)} {length(y1)} {length(x2 - bend)} {length(y2)} {length(x2)} {length(y2)}"
        )
    return "".join(parts)


def _loop(start: Point, end: Point, side: int) -> str:
    """Within one column: around its side."""
    out = length(start[0] + side * _LOOP)
    bends = f"{out} {length(start[1])} {out} {length(end[1])}"
    return f"M{length(start[0])} {length(start[1])}C{bends} {length(end[0])} {length(end[1])}"


def _head(x: float, y: float, way: int) -> str:
    back = x - way * _TIP
    return f"M{length(x)} {length(y)}L{length(back)} {length(y - 4)}L{length(back)} {length(y + 4)}Z"
