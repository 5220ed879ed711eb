"""Where things stand: apart, in their columns, beside what they are connected with."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest

from bedplate.picture.layout import ACROSS, CARD_GAP, MARGIN, Box, Layout, laid_out
from bedplate.picture.model import Picture, Stack
from tests.picture.pictures import card, crossing, hostile, of_spec
from tests.whole import REPOSITORY


def fleet() -> Picture:
    return of_spec(REPOSITORY / "examples" / "fleet" / "bedplate.yaml", "staging")


def inside(inner: Box, outer: Box) -> bool:
    return (
        outer.x <= inner.x
        and inner.right <= outer.right + 1e-6
        and outer.y <= inner.y
        and inner.bottom <= outer.bottom + 1e-6
    )


def middles(layout: Layout) -> dict[str, float]:
    return {placed.card.address: placed.box.middle for column in layout.columns for placed in column.cards}


@pytest.mark.parametrize("drawn", [crossing(), hostile(), fleet()], ids=lambda drawn: drawn.project[:7])
def test_nothing_lies_on_another_or_outside(drawn: Picture) -> None:
    layout = laid_out(drawn)
    page = Box(0, 0, layout.width, layout.height)
    for left, right in pairwise(layout.columns):
        assert left.box.right < right.box.x
    for column in layout.columns:
        assert inside(column.box, page)
        assert all(inside(placed.box, column.box) for placed in column.cards)
        for above, below in pairwise(column.cards):
            assert below.box.y - above.box.bottom >= CARD_GAP - 1e-6
        for placed in column.cards:
            assert all(inside(part.box, placed.box) for part in placed.parts)
            for one, other in combinations(placed.parts, 2):
                apart = one.box.right < other.box.x or one.box.bottom < other.box.y
                assert apart or other.box.right < one.box.x


def test_the_resources_of_a_stack_stand_below_each_other() -> None:
    (serving,) = [c for c in laid_out(fleet()).columns if c.stack.name == "serving"]
    assert len({tuple(part.box.x for part in placed.parts) for placed in serving.cards}) == 1
    assert (
        len({part.box.x for placed in serving.cards for part in placed.parts}) == ACROSS - 1
    )  # of nine, in threes


def test_a_model_stands_at_the_height_of_the_service_that_alone_uses_it() -> None:
    found = middles(laid_out(fleet()))
    level = [
        name
        for name in found
        if name.startswith("serving.") and found.get(f"models.{name[8:]}") == found[name]
    ]
    assert len(level) > 25


def test_two_models_stand_around_the_service_that_uses_both() -> None:
    models = Stack("models", (card("models.c"), card("models.a"), card("models.b")))
    both = card("serving.x", 12, ("models.a", "models.b"))
    serving = Stack("serving", (card("serving.y", 12, ("models.c",)), both, card("serving.z", 12)))
    found = middles(laid_out(Picture("p", "e", "local", (models, serving))))
    assert (found["models.a"] + found["models.b"]) / 2 == pytest.approx(found["serving.x"])
    assert found["models.c"] == found["serving.y"]


def test_cards_are_sorted_so_that_arrows_do_not_cross() -> None:
    models = Stack("models", (card("models.a"), card("models.b"), card("models.c")))
    users = (("serving.x", "models.c"), ("serving.y", "models.b"), ("serving.z", "models.a"))
    serving = Stack("serving", tuple(card(user, 1, (used,)) for user, used in users))
    layout = laid_out(Picture("p", "e", "local", (models, serving)))
    sorted_so = [placed.card.address for placed in layout.columns[1].cards]
    assert sorted_so == ["serving.z", "serving.y", "serving.x"]


def test_a_picture_of_nothing_has_room_for_its_words() -> None:
    layout = laid_out(Picture("p", "e", "local", ()))
    assert layout.columns == ()
    assert layout.width > 2 * MARGIN + 400
