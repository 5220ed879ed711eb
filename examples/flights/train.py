"""Trains models/delay.onnx: will this flight arrive more than 15 minutes late? Run it as `python train.py`.

Beside the model it writes what the test months say about it (models/delay.metrics.json), and a dozen flights
of those months for ask.py to send (data/flights.json). The same data gives the same bytes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
from flights import FEATURES, TEXTS, WEATHER, WHOLE_NUMBERS, Flights, data_folder, load
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

SEED = 2013
ASKED_ON_TIME, ASKED_LATE = 9, 3
PARITY = 1e-5


def fit(flights: Flights) -> Pipeline:
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer(
        [("texts", codes, list(TEXTS)), ("numbers", "passthrough", [*WHOLE_NUMBERS, *WEATHER])]
    )
    trees = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.05, early_stopping=False, random_state=SEED
    )
    return Pipeline([("columns", columns), ("trees", trees)]).fit(flights.features, flights.late)


def convert(pipeline: Pipeline) -> bytes:
    """ONNX with one input [n, 1] per feature, and the outputs `label` [n] and `probability` [n, 2]."""
    types = {
        **{name: StringTensorType([None, 1]) for name in TEXTS},
        **{name: Int64TensorType([None, 1]) for name in WHOLE_NUMBERS},
        **{name: FloatTensorType([None, 1]) for name in WEATHER},
    }
    model = convert_sklearn(
        pipeline,
        "delay",
        [(name, types[name]) for name in FEATURES],
        final_types=[("label", Int64TensorType([None])), ("probability", FloatTensorType([None, 2]))],
        options={"zipmap": False},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    model.opset_import.sort(key=lambda opset: opset.domain)  # the converter leaves them in a set's order
    return bytes(model.SerializeToString(deterministic=True))


def predict(model: bytes, features: pd.DataFrame) -> np.ndarray:
    """The probability of being late, as the served model computes it."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    inputs = {name: features[[name]].to_numpy() for name in FEATURES}
    answers: list[np.ndarray] = session.run(["probability"], inputs)
    return answers[0][:, 1]


def measure(late: pd.Series, probability: np.ndarray, base_rate: float) -> dict[str, float]:
    """How good the probabilities are; beside them, those of always saying the training months' base rate."""
    always = np.full(len(late), base_rate)
    return {
        "flights": len(late),
        "late": round(float(late.mean()), 4),
        "predicted_late": round(float(probability.mean()), 4),
        "roc_auc": round(float(roc_auc_score(late, probability)), 4),
        "log_loss": round(float(log_loss(late, probability)), 4),
        "log_loss_of_base_rate": round(float(log_loss(late, always)), 4),
    }


def flights_to_ask(flights: Flights) -> list[dict[str, object]]:
    """A dozen drawn at random among the test months, late ones about as many as there were."""
    late = flights.late == 1
    drawn = pd.concat(
        [
            flights.table[~late].sample(ASKED_ON_TIME, random_state=SEED),
            flights.table[late].sample(ASKED_LATE, random_state=SEED),
        ]
    ).sort_index()
    return [
        {
            "flight": f"{row['carrier']} {row['flight']}",
            "route": f"{row['origin']}-{row['dest']}",
            "departure": "{year}-{month:02}-{day:02} {hour:02}:{minute:02}".format(**row),
            "arrived_late_min": int(row["arr_delay"]),
            "inputs": {name: _shortest(row[name]) if name in WEATHER else row[name] for name in FEATURES},
        }
        for _, row in drawn.iterrows()
    ]


def _shortest(value: float) -> float:
    """64.94 for the float32 nearest to it, rather than 64.94000244140625."""
    return float(str(np.float32(value)))


def train(folder: Path, every: int = 1) -> Mapping[str, object]:
    """Writes everything under `folder`, the model last, and returns the metrics."""
    flights = load(data_folder(), every)
    training, test = flights.months(1, 9), flights.months(10, 12)
    pipeline = fit(training)
    model = convert(pipeline)
    probability = predict(model, test.features)
    difference = float(np.abs(probability - pipeline.predict_proba(test.features)[:, 1]).max())
    if difference > PARITY:
        raise SystemExit(f"the ONNX model differs from the trained one by {difference:.1e}: not written")
    base_rate = float(training.late.mean())
    metrics = {
        "question": "arrives more than 15 minutes late",
        "set_aside": flights.set_aside,
        "training": {"months": "2013-01..09", "flights": len(training.table), "late": round(base_rate, 4)},
        "test": {"months": "2013-10..12", **measure(test.late, probability, base_rate)},
    }
    _write(folder / "data" / "flights.json", _json(flights_to_ask(test)))
    _write(folder / "models" / "delay.metrics.json", _json(metrics))
    _write(folder / "models" / "delay.onnx", model)
    return metrics


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a half-written model must not be served."""
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    os.replace(beside, path)


def main() -> None:
    started = time.monotonic()
    print("training on the flights out of New York in January to September 2013 ...", flush=True)
    metrics = train(Path(__file__).resolve().parent)
    json.dump(metrics, sys.stdout, indent=2)
    print(f"\nmodels/delay.onnx written in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
