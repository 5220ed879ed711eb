"""Golden tests: requests whose answers are known, sent to a model before it serves anybody.

Of the expected answer its outputs are compared, and of each what is written there: datatype, shape, data. Numbers may
be off by the tolerance, relative to the expected one; all else must be the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from math import isclose

from bedplate.runtime.server import infer
from bedplate.runtime.server.config import Golden, Limits
from bedplate.runtime.server.model import Model
from bedplate.runtime.server.refused import Refused, shown


class NotAsExpected(ValueError):
    """The model does not give the answer of a test; the text says where they differ."""


def prove(model: Model, test: Golden, limits: Limits) -> None:
    """Raises NotAsExpected, or what Model.run raises."""
    try:
        request = infer.read(test.request.encode(), model, limits)
        arrays = model.run(request.feeds, [wanted.tensor.name for wanted in request.outputs])
        answer = infer.answer(model, request, "test", arrays)
    except Refused as error:
        raise NotAsExpected(f"the test {test.source} cannot be asked: {error}") from error
    outputs = {output["name"]: output for output in json.loads(answer.body[: answer.json_bytes])["outputs"]}
    for expected in json.loads(test.expect)["outputs"]:
        wrong = _difference(expected, outputs.get(expected["name"]), test.tolerance)
        if wrong is not None:
            raise NotAsExpected(f"the test {test.source} is not met: output {shown(expected['name'])}{wrong}")


def _difference(
    expected: Mapping[str, object], found: Mapping[str, object] | None, tolerance: float
) -> str | None:
    if found is None:
        return " is not in the answer"
    for key in ("datatype", "shape"):
        if key in expected and expected[key] != found[key]:
            return f" has the {key} {shown(found[key])}, expected {shown(expected[key])}"
    if "data" not in expected:
        return None
    wanted, given = _flat(expected["data"]), _flat(found.get("data"))
    if len(wanted) != len(given):
        return f" has {len(given)} elements, expected {len(wanted)}"
    for index, (one, other) in enumerate(zip(wanted, given, strict=True)):
        if not _same(one, other, tolerance):
            return f" is {shown(other)} at {index}, expected {shown(one)}"
    return None


def _same(expected: object, found: object, tolerance: float) -> bool:
    numbers = (int, float)
    if type(expected) in numbers and type(found) in numbers:
        return isclose(found, expected, rel_tol=0.0, abs_tol=tolerance * abs(expected))  # type: ignore[arg-type]
    return type(expected) is type(found) and expected == found


def _flat(data: object) -> list[object]:
    if not isinstance(data, list):
        return [data]
    return [*chain.from_iterable(map(_flat, data))]
