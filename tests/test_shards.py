"""Placing entries among the shards of their section: even, stable, and moving no more than it must."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from bedplate.lockfile import LockFile, LockFileError, parse, to_text
from bedplate.shards import parts, placed, shard_of, stack_name, without_shard

NAMES = [f"model-{number}" for number in range(2000)]


@dataclass(frozen=True)
class Item:
    name: str


@pytest.mark.parametrize("shards", [2, 5, 8, 64])
def test_names_are_spread_evenly(shards: int) -> None:
    sizes = Counter(shard_of(name, shards) for name in NAMES)
    assert set(sizes) == set(range(shards))
    mean = len(NAMES) / shards
    assert all(abs(size - mean) < 5 * mean**0.5 for size in sizes.values()), sizes


@pytest.mark.parametrize(("before", "after"), [(4, 5), (5, 4), (2, 8), (8, 2)])
def test_only_names_of_shards_that_come_or_go_move(before: int, after: int) -> None:
    fewer = min(before, after)
    for name in NAMES:
        old, new = shard_of(name, before), shard_of(name, after)
        assert old == new or max(old, new) >= fewer


def test_a_name_s_shard_never_changes_between_versions() -> None:
    assert [shard_of(name, 8) for name in ("delay", "fraud", "iris", "a", "b")] == [3, 2, 1, 4, 3]


def test_every_shard_is_there_also_where_nothing_falls_to_it() -> None:
    assert placed([Item("a")], None) == {None: (Item("a"),)}
    found = placed([Item("delay")], 8)
    assert list(found) == list(range(8))
    assert [shard for shard, items in found.items() if items] == [3]


@pytest.mark.parametrize(("section", "shard"), [("serving", None), ("serving", 0), ("models", 12)])
def test_a_stack_s_name_says_section_and_shard(section: str, shard: int | None) -> None:
    assert parts(stack_name(section, shard)) == (section, shard)


def test_whose_a_resource_is_does_not_depend_on_its_shard() -> None:
    assert without_shard("flights-serving-12") == without_shard("flights-serving") == "flights-serving"
    assert without_shard("flights-2-serving") == "flights-2-serving"


def test_the_lock_file_keeps_the_numbers() -> None:
    lock = LockFile().with_shards("prod", "serving", 4).with_shards("prod", "models", 2)
    assert parse(to_text(lock)) == lock
    assert lock.shards_of("prod", "serving") == 4
    assert lock.shards_of("local", "serving") is None
    undivided = lock.with_shards("prod", "serving", 1).with_shards("prod", "models", 1)
    assert undivided == LockFile()
    assert "shards" not in to_text(undivided)


@pytest.mark.parametrize("count", ["1", "0", "-2", "65", "true", "2.5", "many", "[]"])
def test_the_lock_file_refuses_what_is_no_number_of_shards(count: str) -> None:
    with pytest.raises(LockFileError):
        parse(f"version: 1\nshards: {{prod: {{serving: {count}}}}}\n")
