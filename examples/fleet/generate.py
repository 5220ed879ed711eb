"""Writes the fleet: forty models, the three files of the teams that own them, and tests of those that run here.

Forty models that differ in names and numbers are a table, so they are written as one. The models are made up: what
each weighs is drawn from its own name. The same table gives the same bytes. It needs onnx and PyYAML.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import yaml
from onnx import TensorProto, helper

HERE = Path(__file__).resolve().parent
HEADER = "# Written by generate.py for the team {team}: change the table there, not this file.\n"
MARKETS = {"de": ["staging", "prod-eu"], "fr": ["staging", "prod-eu"], "us": ["staging", "prod-us"]}
EVERYWHERE = ["staging", "prod-eu", "prod-us"]


@dataclass(frozen=True)
class Subject:
    """What a team predicts: how many features a model takes, what is asked of it, and how fast it must be."""

    name: str
    features: int
    rps: int
    p95: str
    by_market: bool = True


@dataclass(frozen=True)
class Model:
    """One model, and the environments that it is in."""

    name: str
    subject: Subject
    environments: list[str]

    @property
    def path(self) -> str:
        return f"models/{self.name}.onnx"


TEAMS = {
    "growth": (
        Subject("churn", 12, 20, "200ms"),
        Subject("upsell", 8, 40, "100ms"),
        Subject("ranking", 24, 400, "50ms"),
        Subject("mailing", 6, 20, "500ms"),
        Subject("discount", 9, 80, "100ms"),
    ),
    "risk": (
        Subject("card", 10, 200, "50ms"),
        Subject("transfer", 8, 60, "80ms"),
        Subject("login", 5, 300, "40ms"),
        Subject("refund", 7, 20, "200ms"),
        Subject("chargeback", 11, 20, "200ms"),
    ),
    "supply": (
        Subject("demand", 16, 20, "500ms"),
        Subject("returns", 9, 20, "200ms"),
        Subject("lead_time", 6, 20, "500ms", by_market=False),
        Subject("restock", 14, 20, "500ms", by_market=False),
        Subject("route", 12, 20, "500ms", by_market=False),
        Subject("spoilage", 5, 20, "500ms", by_market=False),
    ),
}
# One model of each team is served on a laptop too.
LOCAL = ("card_de", "churn_de", "demand_de")


def models(team: str) -> list[Model]:
    found = []
    for subject in TEAMS[team]:
        if subject.by_market:
            found += [
                Model(f"{subject.name}_{market}", subject, places) for market, places in MARKETS.items()
            ]
        else:
            found.append(Model(subject.name, subject, EVERYWHERE))
    return found


def environments(model: Model) -> list[str]:
    return ["local", *model.environments] if model.name in LOCAL else model.environments


def team_file(team: str) -> str:
    """The entries of a team. What is asked for in all markets together is served by one server."""
    entries: dict[str, dict[str, Any]] = {"models": {}, "serving": {}}
    together = [model for model in models(team) if not model.subject.by_market]
    for model in models(team):
        entries["models"][model.name] = {"path": model.path, "environments": environments(model)}
        if model not in together:
            entries["serving"][model.name] = service(model)
    if together:
        entries["serving"]["planning"] = {
            "models": [model.name for model in together],
            "environments": EVERYWHERE,
            "traffic": {"expected_rps": sum(model.subject.rps for model in together)},
            "slo": {"p95": "500ms"},
        }
    text = yaml.dump(entries, Dumper=_Plain, sort_keys=False, default_flow_style=None, width=110)
    return HEADER.format(team=team) + text


class _Plain(yaml.SafeDumper):
    """Without anchors: an entry is read where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def service(model: Model) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "environments": environments(model),
        "traffic": {"expected_rps": model.subject.rps},
        "slo": {"p95": model.subject.p95},
    }
    if model.name in LOCAL:
        test = {"request": f"tests/{model.name}.json", "expect": f"tests/{model.name}.out.json"}
        entry["tests"] = [{**test, "tolerance": 0.001}]
    return entry


def weights(model: Model) -> list[float]:
    """From -1 to 1 in thousandths, one for each feature and one that stands alone."""
    digest = hashlib.shake_256(model.name.encode()).digest(2 * (model.subject.features + 1))
    pairs = zip(digest[::2], digest[1::2], strict=True)
    return [((high << 8 | low) % 2001 - 1000) / 1000 for high, low in pairs]


def to_onnx(model: Model) -> bytes:
    """features [n, features] -> score [n, 1], from 0 to 1."""
    count, values = model.subject.features, weights(model)
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["features", "weights", "bias"], ["odds"]),
            helper.make_node("Sigmoid", ["odds"], ["score"]),
        ],
        model.name,
        [tensor("features", TensorProto.FLOAT, ["n", count])],
        [tensor("score", TensorProto.FLOAT, ["n", 1])],
        [
            helper.make_tensor("weights", TensorProto.FLOAT, [count, 1], values[:-1]),
            helper.make_tensor("bias", TensorProto.FLOAT, [1], values[-1:]),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString(deterministic=True))


def test(model: Model) -> tuple[bytes, bytes]:
    """A request whose features are all a half, and its answer."""
    count, values = model.subject.features, weights(model)
    score = 1 / (1 + math.exp(-(sum(values[:-1]) / 2 + values[-1])))
    request = {"name": "features", "datatype": "FP32", "shape": [1, count], "data": [0.5] * count}
    answer = {"name": "score", "datatype": "FP32", "shape": [1, 1], "data": [round(score, 5)]}
    return _json({"inputs": [request]}), _json({"outputs": [answer]})


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def files() -> Iterator[tuple[str, bytes]]:
    """Every file of the fleet but the spec itself."""
    for team in TEAMS:
        yield f"teams/{team}.yaml", team_file(team).encode()
        for model in models(team):
            yield model.path, to_onnx(model)
            if model.name in LOCAL:
                request, answer = test(model)
                yield f"tests/{model.name}.json", request
                yield f"tests/{model.name}.out.json", answer


def generate(folder: Path) -> int:
    """Writes the fleet under `folder`, and takes away models that are no longer in it."""
    written = dict(files())
    for name, content in written.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        beside.write_bytes(content)
        os.replace(beside, path)
    for path in folder.glob("models/*.onnx"):
        if path.relative_to(folder).as_posix() not in written:
            path.unlink()
    return len(written)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    print(f"{generate(target)} files written, {sum(len(models(team)) for team in TEAMS)} models among them")
