from __future__ import annotations

import pytest

from bedplate.engine.provider.diff import differences
from bedplate.engine.provider.wire import UNKNOWN, Decoded, Secret


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": 1.0}, {"a": 1.0}, []),
        ({"a": 1.0}, {"a": 2.0}, [("a", "changed")]),
        ({"a": True}, {"a": 1.0}, [("a", "changed")]),
        ({"a": 1.0}, {}, [("a", "removed")]),
        ({}, {"a": False}, [("a", "added")]),
        ({"a": {"b": 1.0, "c": 2.0}}, {"a": {"b": 1.0, "c": 3.0}}, [("a.c", "changed")]),
        ({"a": [1.0]}, {"a": [1.0, 2.0]}, [("a[1]", "added")]),
        ({"a": [1.0]}, {"a": "x"}, [("a", "changed")]),
        ({"a": {"b.c": 1.0}}, {"a": {"b.c": 2.0}}, [('a["b.c"]', "changed")]),
        ({"a-b": 1.0}, {"a-b": 2.0}, [('["a-b"]', "changed")]),
        ({"a": "x"}, {"a": UNKNOWN}, [("a", "changed")]),
        ({"a": Secret("x")}, {"a": "x"}, []),
        ({"a": Secret("x")}, {"a": Secret("y")}, [("a", "changed")]),
    ],
)
def test_differences(old: dict[str, Decoded], new: dict[str, Decoded], found: list[tuple[str, str]]) -> None:
    assert [(d.path, d.change) for d in differences(old, new)] == found
    assert all(d.key in old | new for d in differences(old, new))
