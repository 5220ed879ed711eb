"""Where everything stands, in pixels: a column per stack in the order of application, a card per entry.

The columns are given, so that nothing has to be found out but the order of cards in a column and their heights
above the ground: each is put beside the mean of what it is connected with, as in the layered drawing of
Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures" (1981).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from bedplate.picture.model import Card, Part, Picture, Stack
from bedplate.picture.words import NOTE, after, counts, title
from bedplate.report import escaped

# A character's width as a share of its size: the widest of the fonts that svg.py asks for, and a little more.
MONO, SANS = 0.61, 0.68
NAME_SIZE, PART_SIZE, CAPTION_SIZE, TITLE_SIZE = 13, 11, 12, 18
MARGIN, GUTTER, PAD = 24, 72, 12
HEAD, TOP = 44, 96
NAME_HEIGHT, PART_HEIGHT, PART_GAP, CARD_GAP = 34, 22, 6, 12
GAP, PART_PAD, FOOT = 16, 8, 24
ACROSS, ROWS = 4, 3
TAG = "protected"


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class PlacedPart:
    part: Part
    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class PlacedCard:
    card: Card
    box: Box
    parts: tuple[PlacedPart, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A stack's panel and its cards from top to bottom."""

    stack: Stack
    box: Box
    cards: tuple[PlacedCard, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    width: float
    height: float
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class _Grid:
    """The resources of a column's cards stand below each other: `widths` are those of their own columns."""

    widths: tuple[float, ...]
    width: float

    def height(self, card: Card) -> float:
        rows = -(-len(card.parts) // len(self.widths)) if card.parts else 0
        return NAME_HEIGHT + (rows * (PART_HEIGHT + PART_GAP) - PART_GAP + PAD if rows else 0)


# An unplaced column: its stack, how wide it will be, and its cards in order.
_Unplaced = tuple[Stack, _Grid, tuple[Card, ...]]
_Neighbours = Mapping[str, Sequence[str]]


def laid_out(picture: Picture) -> Layout:
    """The picture with a place for everything."""
    neighbours = _neighbours(picture)
    unplaced = [(stack, _grid(stack), cards) for stack, cards in _ordered(picture, neighbours)]
    tops = _tops(unplaced, neighbours)
    bottom = max(
        (tops[n][c.address] + grid.height(c) for n, (_, grid, cards) in enumerate(unplaced) for c in cards),
        default=TOP,
    )
    columns: list[Column] = []
    x = float(MARGIN)
    for (stack, grid, cards), top in zip(unplaced, tops, strict=True):
        box = Box(x, TOP - HEAD, grid.width + 2 * PAD, bottom + PAD - (TOP - HEAD))
        placed = tuple(_placed(card, grid, x + PAD, top[card.address]) for card in cards)
        columns.append(Column(stack, box, placed))
        x = box.right + GUTTER
    words = max(sans(NOTE, CAPTION_SIZE), sans(title(picture), TITLE_SIZE))
    width = max(x - GUTTER, MARGIN + words) + MARGIN
    return Layout(width, bottom + PAD + MARGIN + FOOT, tuple(columns))


def mono(text: str, size: float) -> float:
    return len(escaped(text)) * size * MONO


def sans(text: str, size: float) -> float:
    return len(escaped(text)) * size * SANS


def length(value: float) -> str:
    """A length as SVG has it: with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def _neighbours(picture: Picture) -> _Neighbours:
    found: dict[str, list[str]] = {}
    for used, user, _ in picture.arrows():
        found.setdefault(used, []).append(user)
        found.setdefault(user, []).append(used)
    return found


def _ordered(picture: Picture, neighbours: _Neighbours) -> list[tuple[Stack, tuple[Card, ...]]]:
    """The cards of each stack so that few arrows cross: by the mean of their neighbours in earlier stacks."""
    ranks: dict[str, float] = {}
    found = []
    for stack in picture.stacks:
        keyed = []
        for number, card in enumerate(stack.cards):
            near = [ranks[other] for other in neighbours.get(card.address, ()) if other in ranks]
            own = number / len(stack.cards)
            keyed.append((sum(near) / len(near) if near else own, number, card))
        cards = tuple(card for _, _, card in sorted(keyed, key=lambda key: key[:2]))
        ranks |= {card.address: number / len(cards) for number, card in enumerate(cards)}
        found.append((stack, cards))
    return found


def _grid(stack: Stack) -> _Grid:
    """As wide as its widest resources in each column, its longest name, and its heading."""
    most = max((len(card.parts) for card in stack.cards), default=0)
    across = min(ACROSS, -(-most // ROWS))
    widths = [0.0] * across
    for card in stack.cards:
        for number, part in enumerate(card.parts):
            needed = mono(_text(part, card), PART_SIZE) + 2 * PART_PAD
            widths[number % across] = max(widths[number % across], needed)
    names = (
        mono(c.address, NAME_SIZE) + (GAP + sans(TAG, CAPTION_SIZE) if c.protected else 0)
        for c in stack.cards
    )
    inside = max(sum(widths) + PART_GAP * max(across - 1, 0), *names)
    heading = sans(stack.name, NAME_SIZE) + GAP + sans(counts(stack), CAPTION_SIZE)
    return _Grid(tuple(widths), max(inside + 2 * PAD, heading))


def _tops(columns: Sequence[_Unplaced], neighbours: _Neighbours) -> list[dict[str, float]]:
    """For each column the upper edges of its cards: the tallest is filled, the others go beside it."""
    heights = [[grid.height(card) for card in cards] for _, grid, cards in columns]
    total = [sum(column) + CARD_GAP * (len(column) - 1) for column in heights]
    if not total:
        return []
    tallest = total.index(max(total))
    found: list[dict[str, float]] = [{} for _ in columns]
    middles: dict[str, float] = {}
    for number in (tallest, *range(tallest - 1, -1, -1), *range(tallest + 1, len(columns))):
        cards = columns[number][2]
        wanted = []
        for card, height in zip(cards, heights[number], strict=True):
            near = [middles[other] for other in neighbours.get(card.address, ()) if other in middles]
            wanted.append(sum(near) / len(near) - height / 2 if near else None)
        tops = _apart(wanted, heights[number], TOP + total[tallest])
        for card, top, height in zip(cards, tops, heights[number], strict=True):
            found[number][card.address] = top
            middles.setdefault(card.address, top + height / 2)
    return found


def _apart(wanted: Sequence[float | None], heights: Sequence[float], ground: float) -> list[float]:
    """Upper edges as near as can be to the wanted ones, in their order, apart, and above the ground.

    Least squares by pooling what is too near to each other: Barlow, Bartholomew, Bremner and Brunk,
    "Statistical Inference under Order Restrictions" (1972). A card without a wish follows the one above.
    """
    packed = [0.0, *accumulate(height + CARD_GAP for height in heights)]
    pools: list[tuple[float, int]] = []
    wish = float(TOP)
    for want, offset in zip(wanted, packed, strict=False):
        wish = wish if want is None else want - offset
        pool = (wish, 1)
        while pools and pools[-1][0] >= pool[0]:
            mean, many = pools.pop()
            pool = ((mean * many + pool[0] * pool[1]) / (many + pool[1]), many + pool[1])
        pools.append(pool)
    lowest = ground + CARD_GAP - packed[-1]
    tops = [min(max(mean, TOP), lowest) for mean, many in pools for _ in range(many)]
    return [top + offset for top, offset in zip(tops, packed, strict=False)]


def _placed(card: Card, grid: _Grid, x: float, y: float) -> PlacedCard:
    parts = []
    for number, part in enumerate(card.parts):
        row, column = divmod(number, len(grid.widths))
        left = x + PAD + sum(grid.widths[:column]) + PART_GAP * column
        top = y + NAME_HEIGHT + row * (PART_HEIGHT + PART_GAP)
        parts.append(PlacedPart(part, _text(part, card), Box(left, top, grid.widths[column], PART_HEIGHT)))
    return PlacedCard(card, Box(x, y, grid.width, grid.height(card)), tuple(parts))


def _text(part: Part, card: Card) -> str:
    needed = after(part, card)
    return f"{part.label} after {', '.join(needed)}" if needed else part.label
