"""Trains models/quote.onnx: what will this used bicycle sell for? It needs numpy and onnx, and takes a second.

The sales are made up, by a rule that is written here, with the noise of real ones; the same numbers give the same
bytes. The model is a least-squares fit of the logarithm of the price.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
FEATURES = ("list_price", "age_years", "km_per_year", "condition")
SALES, DECIMALS = 2_000, 4
ASKED = {"list_price": 1900, "age_years": 3, "km_per_year": 2500, "condition": 4}


def sales() -> tuple[np.ndarray, np.ndarray]:
    """Bicycles [n, features], and the logarithm of what each was sold for [n]."""
    numbers = np.random.default_rng(7)
    bicycles = np.c_[
        numbers.uniform(400, 6000, SALES).round(),
        numbers.uniform(0.5, 12, SALES).round(1),
        numbers.uniform(200, 9000, SALES).round(),
        numbers.integers(1, 6, SALES),
    ]
    rule = np.array([0.00035, -0.11, -0.00004, 0.09])
    return bicycles, 5.9 + bicycles @ rule + 0.15 * numbers.standard_normal(SALES)


def fit(bicycles: np.ndarray, log_price: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights [features] and the constant."""
    scale = 10.0 ** np.array([-3, 0, -3, 0])  # prices and distances in thousands, so that rounding is fair
    inputs = np.c_[bicycles * scale, np.ones(len(bicycles))]
    found = np.linalg.lstsq(inputs, log_price, rcond=None)[0].round(DECIMALS)
    return found[:-1] * scale, float(found[-1])


def to_onnx(weights: np.ndarray, constant: float) -> bytes:
    """One input [n, 1] for each feature -> price [n, 1]."""
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Concat", list(FEATURES), ["features"], axis=1),
            helper.make_node("Gemm", ["features", "weights", "constant"], ["log_price"]),
            helper.make_node("Exp", ["log_price"], ["price"]),
        ],
        "quote",
        [tensor(name, TensorProto.FLOAT, ["n", 1]) for name in FEATURES],
        [tensor("price", TensorProto.FLOAT, ["n", 1])],
        [
            numpy_helper.from_array(weights[:, None].astype(np.float32), "weights"),
            numpy_helper.from_array(np.array([constant], dtype=np.float32), "constant"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def train(folder: Path) -> float:
    """Writes the model and its test under `folder`; the usual error on sales that were kept back."""
    bicycles, log_price = sales()
    kept_back = np.arange(SALES) % 4 == 3
    weights, constant = fit(bicycles[~kept_back], log_price[~kept_back])
    off = np.abs(np.exp(bicycles[kept_back] @ weights + constant - log_price[kept_back]) - 1)
    price = float(np.exp(np.array([*ASKED.values()]) @ weights + constant))
    request = [
        {"name": name, "datatype": "FP32", "shape": [1, 1], "data": [value]} for name, value in ASKED.items()
    ]
    answer = {"name": "price", "datatype": "FP32", "shape": [1, 1], "data": [round(price, 2)]}
    write(folder / "tests" / "roadster.json", _json({"inputs": request}))
    write(folder / "tests" / "roadster.out.json", _json({"outputs": [answer]}))
    write(folder / "models" / "quote.onnx", to_onnx(weights, constant))
    return float(np.median(off))


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def write(path: Path, content: bytes) -> None:
    """Whole or not at all: a half-written model must not be served."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    os.replace(beside, path)


if __name__ == "__main__":
    print(f"models/quote.onnx: usually {train(HERE):.0%} off the price of a sale that it had not seen")
