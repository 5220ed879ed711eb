"""What the world is given as a name, however long its parts are."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bedplate.spec.names import NAME, world_name
from bedplate.targets.kubernetes.names import LABEL_LENGTH, dns_name

NAMES = st.from_regex(NAME, fullmatch=True)
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_any_names_make_a_label(parts: list[str]) -> None:
    assert LABEL.fullmatch(dns_name(*parts))


@given(NAMES)
def test_a_name_of_the_language_is_never_cut(name: str) -> None:
    assert dns_name(name) == world_name(name)
    assert dns_name(name, "stable") == f"{name.replace('_', '-')}-stable"


def test_what_is_cut_keeps_its_difference() -> None:
    whole = "a" * 40
    one, other = dns_name(whole, whole, "one"), dns_name(whole, whole, "other")

    assert len(one) == len(other) == LABEL_LENGTH
    assert one[:50] == other[:50]
    assert one != other
