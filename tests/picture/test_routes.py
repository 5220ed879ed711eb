"""The arrows: each from and to the side of its cards, and between the cards on its way."""

from __future__ import annotations

import re
from itertools import pairwise

from bedplate.picture.layout import Box, Layout, laid_out
from bedplate.picture.routes import Route, routes
from tests.picture.pictures import crossing

NUMBER = r"-?\d+(?:\.\d)?"
LAYOUT = laid_out(crossing())
ROUTES = {(route.used, route.user): route for route in routes(crossing(), LAYOUT)}


def points(path: str) -> list[tuple[float, float]]:
    """Where the path begins, and the end of each of its curves."""
    assert re.fullmatch(rf"M{NUMBER} {NUMBER}(C{NUMBER}( {NUMBER}){{5}})+", path)
    pieces = [[float(n) for n in re.findall(NUMBER, piece)] for piece in re.split("[MC]", path) if piece]
    return [(piece[-2], piece[-1]) for piece in pieces]


def box(layout: Layout, address: str) -> Box:
    return next(p.box for column in layout.columns for p in column.cards if p.card.address == address)


def touches(point: tuple[float, float], x: float, card: Box) -> bool:
    return abs(point[0] - x) < 0.11 and card.y < point[1] < card.bottom


def test_every_arrow_is_there_once() -> None:
    assert len(ROUTES) == len([*routes(crossing(), LAYOUT)]) == len([*crossing().arrows()])


def test_forward_it_leads_from_the_right_side_to_the_left() -> None:
    for used, user in [("models.a", "serving.a"), ("models.a", "later.y"), ("serving.a", "later.y")]:
        start, *_, end = points(ROUTES[used, user].path)
        assert touches(start, box(LAYOUT, used).right, box(LAYOUT, used))
        assert touches(end, box(LAYOUT, user).x - 7, box(LAYOUT, user))


def test_back_it_leads_from_the_left_side_to_the_right() -> None:
    start, *_, end = points(ROUTES["later.z", "models.a"].path)
    assert touches(start, box(LAYOUT, "later.z").x, box(LAYOUT, "later.z"))
    assert touches(end, box(LAYOUT, "models.a").right + 7, box(LAYOUT, "models.a"))
    assert all(left[0] > right[0] for left, right in pairwise(points(ROUTES["later.z", "models.a"].path)))


def test_within_a_stack_it_leads_around_the_left() -> None:
    start, end = points(ROUTES["serving.a", "serving.b"].path)
    assert touches(start, box(LAYOUT, "serving.a").x, box(LAYOUT, "serving.a"))
    assert touches(end, box(LAYOUT, "serving.b").x - 7, box(LAYOUT, "serving.b"))


def test_over_a_stack_it_leads_between_the_cards() -> None:
    serving = LAYOUT.columns[2]
    for used, user in [("models.a", "later.y"), ("models.c", "later.z"), ("later.z", "models.a")]:
        _, one, other, _ = points(ROUTES[used, user].path)
        assert {one[0], other[0]} == {round(serving.box.x, 1), round(serving.box.right, 1)}
        assert one[1] == other[1]
        assert not any(placed.box.y < one[1] < placed.box.bottom for placed in serving.cards)


def test_arrows_that_touch_the_same_side_stand_apart() -> None:
    def end(route: Route) -> float:
        return points(route.path)[-1][1]

    ends = [end(route) for (_, user), route in ROUTES.items() if user == "serving.b"]
    assert len(ends) == len({*ends}) == 3
    assert all(box(LAYOUT, "serving.b").y < y < box(LAYOUT, "serving.b").bottom for y in ends)


def test_the_head_points_into_the_card() -> None:
    for (_, user), route in ROUTES.items():
        (tip, *back) = [tuple(map(float, p.split())) for p in re.split("[MLZ]", route.head) if p]
        card = box(LAYOUT, user)
        assert min(abs(tip[0] - card.x), abs(tip[0] - card.right)) < 0.11
        assert all(not (card.x < x < card.right) for x, _ in back)


def test_only_what_a_text_refers_to_is_not_firm() -> None:
    assert {pair for pair, route in ROUTES.items() if not route.firm} == {
        ("later.z", "models.a"),
        ("models.c", "later.z"),
    }
