"""Trains models/cards.onnx, models/transfers.onnx and models/device.onnx: is this payment a fraud?

The payments are made up: real ones belong to the people who paid. What makes a fraud likely is written in KINDS,
so that what a model is worth can be told from what it could be worth at best. It needs numpy and onnx, and the
same numbers give the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
PAYMENTS, HIDDEN, PENALTY, STEPS, DECIMALS = 12_000, 24, 1e-4, 25, 3
Array = np.ndarray


@dataclass(frozen=True)
class Kind:
    """A kind of payment: its features (mean, spread, pull on the odds of fraud), and how rare a fraud is."""

    seed: int
    features: Mapping[str, tuple[float, float, float]]
    base: float
    together: float


KINDS = {
    "cards": Kind(
        11,
        {
            "log_amount": (3.6, 1.1, 0.9),
            "hours_since_last": (20.0, 12.0, -0.5),
            "km_from_home": (12.0, 9.0, 1.1),
            "payments_last_hour": (1.2, 1.0, 0.8),
        },
        -6.2,
        1.9,
    ),
    "transfers": Kind(
        12,
        {
            "log_amount": (6.1, 1.4, 0.7),
            "days_known_receiver": (180.0, 120.0, -1.4),
            "balance_share": (0.2, 0.15, 1.2),
        },
        -6.8,
        1.7,
    ),
    "device": Kind(
        13,
        {
            "device_age_days": (300.0, 200.0, -1.2),
            "accounts_on_device": (1.3, 0.8, 1.5),
            "failed_logins": (0.4, 0.9, 1.0),
        },
        -6.5,
        1.4,
    ),
}


def payments(kind: Kind) -> tuple[Array, Array]:
    """What is known of each payment [n, features], and whether it was a fraud [n]."""
    numbers = np.random.default_rng(kind.seed)
    table = np.array(list(kind.features.values()))
    usual = numbers.standard_normal((PAYMENTS, len(table)))
    odds = kind.base + usual @ table[:, 2] + kind.together * (usual[:, 0] > 1) * (usual[:, 1] < -0.5)
    fraud = numbers.random(PAYMENTS) < 1 / (1 + np.exp(-odds))
    return np.maximum(table[:, 0] + usual * table[:, 1], 0), fraud.astype(float)


def layers(kind: Kind, known: Array, fraud: Array) -> list[Array]:
    """A network with one hidden layer: its first layer is drawn, its last one has the one best value (Newton)."""
    table = np.array(list(kind.features.values()))
    drawn = np.random.default_rng(kind.seed + 1000).standard_normal((len(table), HIDDEN)).round(DECIMALS)
    first = (drawn / table[:, 1:2]).round(DECIMALS + 2)
    shift = (-(table[:, 0] / table[:, 1]) @ drawn).round(DECIMALS)
    inputs = np.c_[np.maximum(known @ first + shift, 0), np.ones(len(known))]
    last = np.zeros(HIDDEN + 1)
    for _ in range(STEPS):
        said = 1 / (1 + np.exp(-inputs @ last))
        slope = inputs.T @ (said - fraud) / len(fraud) + PENALTY * last
        curve = (inputs.T * (said * (1 - said))) @ inputs / len(fraud) + PENALTY * np.eye(HIDDEN + 1)
        last -= np.linalg.solve(curve, slope)
    last = last.round(DECIMALS)
    return [first, shift, last[:-1, None], last[-1:]]


def to_onnx(name: str, kind: Kind, parameters: list[Array]) -> bytes:
    """features [n, features] -> fraud [n, 1], a probability."""
    names = ["first", "shift", "last", "bias"]
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["features", "first", "shift"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["active"]),
            helper.make_node("Gemm", ["active", "last", "bias"], ["odds"]),
            helper.make_node("Sigmoid", ["odds"], ["fraud"]),
        ],
        name,
        [tensor("features", TensorProto.FLOAT, ["n", len(kind.features)])],
        [tensor("fraud", TensorProto.FLOAT, ["n", 1])],
        [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in zip(names, parameters, strict=True)
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.doc_string = "features: " + ", ".join(kind.features)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def predict(parameters: list[Array], known: Array) -> Array:
    first, shift, last, bias = parameters
    return np.asarray(1 / (1 + np.exp(-(np.maximum(known @ first + shift, 0) @ last + bias))))[:, 0]


def caught(said: Array, fraud: Array, share: float = 0.01) -> float:
    """The share of the frauds that are among the most suspicious `share` of all payments."""
    most = np.argsort(-said, kind="stable")[: int(len(said) * share)]
    return float(fraud[most].sum() / fraud.sum())


def train(folder: Path) -> dict[str, dict[str, float]]:
    """Writes the models and their tests under `folder`; what was measured on payments that were kept back."""
    measured = {}
    for name, kind in KINDS.items():
        known, fraud = payments(kind)
        kept_back = np.arange(len(known)) % 4 == 3
        parameters = layers(kind, known[~kept_back], fraud[~kept_back])
        said = predict(parameters, known[kept_back])
        write(folder / "models" / f"{name}.onnx", to_onnx(name, kind, parameters))
        usual = [[mean for mean, _, _ in kind.features.values()]]
        strange = [[mean + 1.5 * spread * np.sign(pull) for mean, spread, pull in kind.features.values()]]
        asked = np.array([*usual, *strange]).round(2)
        write_test(folder / "tests", name, asked, predict(parameters, asked))
        measured[name] = {
            "frauds": round(float(fraud.mean()), 4),
            "caught_in_1_percent": round(caught(said, fraud[kept_back]), 3),
        }
    return measured


def write_test(folder: Path, name: str, asked: Array, said: Array) -> None:
    """A usual payment and a strange one, and what the model says of them."""
    request = {
        "name": "features",
        "datatype": "FP32",
        "shape": [*asked.shape],
        "data": asked.ravel().tolist(),
    }
    answer = {"name": "fraud", "datatype": "FP32", "shape": [len(said), 1], "data": said.round(6).tolist()}
    write(folder / f"{name}.json", (json.dumps({"inputs": [request]}, indent=2) + "\n").encode())
    write(folder / f"{name}.out.json", (json.dumps({"outputs": [answer]}, indent=2) + "\n").encode())


def write(path: Path, content: bytes) -> None:
    """Whole or not at all: a half-written model must not be served."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    os.replace(beside, path)


def main() -> None:
    for name, measured in train(HERE).items():
        share, found = measured["frauds"], measured["caught_in_1_percent"]
        print(f"models/{name}.onnx: {share:.1%} of payments are frauds, {found:.0%} of them in the worst 1%")


if __name__ == "__main__":
    main()
