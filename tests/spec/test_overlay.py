from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.spec.load import load_text
from bedplate.spec.overlay import overlay
from bedplate.spec.tree import Map
from tests.spec.instance import instance


def tree(text: str) -> Map:
    loaded = load_text(text.encode(), "bedplate.yaml", Path("/"))
    assert loaded.tree is not None
    return loaded.tree


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ("{a: {b: 1, c: 2}}", "{a: {b: 3}}", "{a: {b: 3, c: 2}}"),
        ("{a: [1, 2]}", "{a: [3]}", "{a: [3]}"),
        ("{a: {b: 1}}", "{a: 2}", "{a: 2}"),
        ("{a: 1}", "{a: {b: ~, c: 1}}", "{a: {c: 1}}"),
        ("{a: {b: 1, c: 2}}", "{a: {b: ~}}", "{a: {c: 2}}"),
        ("{a: 1}", "{b: ~}", "{a: 1}"),
        ("{s: {type: sqlite, path: x}}", "{s: {type: redis}}", "{s: {type: redis}}"),
        (
            "{s: {type: sqlite, path: x}}",
            "{s: {type: sqlite, size: 1}}",
            "{s: {type: sqlite, path: x, size: 1}}",
        ),
        (
            "{s: {replicas: 3, model: m}}",
            "{s: {autoscaling: {min: 1}}}",
            "{s: {autoscaling: {min: 1}, model: m}}",
        ),
        ("{m: {path: x, format: onnx}}", "{m: {mlflow: y}}", "{m: {mlflow: y, format: onnx}}"),
    ],
)
def test_merging(base: str, over: str, merged: str) -> None:
    assert instance(overlay(tree(base), tree(over))) == instance(tree(merged))


def test_what_an_override_does_not_name_is_the_same_node() -> None:
    base = tree("{a: {x: 1}, b: {y: 1}}")
    result = overlay(base, tree("{a: {x: 2}}"))

    assert isinstance(result, Map)
    assert result.items["b"] is base.items["b"]


def test_what_was_removed_is_remembered() -> None:
    result = overlay(tree("{a: 1, b: 2}"), tree("{a: ~}"))

    assert isinstance(result, Map)
    assert result.removed["a"].column == 1
