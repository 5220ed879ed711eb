"""A model behind FastAPI as its tutorials show it: a pydantic model for the request and one for the answer."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
app = FastAPI()


class Rows(BaseModel):
    rows: list[list[float]] = Field(min_length=1)


class Predictions(BaseModel):
    predictions: list[float]


@app.post("/predict")
def predict(asked: Rows) -> Predictions:
    (found,) = session.run(["y"], {"x": np.array(asked.rows, np.float32)})
    return Predictions(predictions=found.ravel().tolist())


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning", access_log=False)
