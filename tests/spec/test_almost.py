from __future__ import annotations

import pytest

from bedplate.spec.almost import one_slip


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("paymets", "payments"),
        ("pyaments", "payments"),
        ("payment", "payments"),
        ("iriss", "iris"),
        ("delay-frauds", "delay-fraud"),
        ("shopbasket", "shop-basket"),
        ("dellay-eu", "delay-eu"),
    ],
)
def test_a_slip_is_one_letter_or_a_dash(written: str, known: str) -> None:
    assert one_slip(written, known)
    assert one_slip(known, written)


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("delay-a", "delay-b"),
        ("modela", "modelb"),
        ("model", "modelx"),
        ("eu1", "eu2"),
        ("eu1-delay", "eu2-delay"),
        ("shard10", "shard1"),
        ("fraud-us", "fraud-uk"),
        ("fraud-eu-north", "fraud-us-north"),
        ("irs", "iris"),
        ("delay-v1-canary", "delay-v2-canary"),
        ("payments", "payments"),
        ("delay", "fraud"),
    ],
)
def test_what_tells_siblings_apart_is_no_slip(written: str, known: str) -> None:
    assert not one_slip(written, known)
    assert not one_slip(known, written)
