"""ONNX models made by hand, each with one trait that a test needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Written:
    path: Path
    sha256: str


def write(path: Path, model: onnx.ModelProto | bytes) -> Written:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    path.write_bytes(data)
    return Written(path, hashlib.sha256(data).hexdigest())


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    tensors: list[onnx.TensorProto] | None = None,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, tensors or [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def value(name: str, kind: int, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def classifier(bias: float = 0.0) -> onnx.ModelProto:
    """x FP32[-1,4] -> total FP32[-1], label INT64[-1]; total is the row's sum plus the bias."""
    tensors = [numpy_helper.from_array(np.array([bias], np.float32), "bias")]
    axis = numpy_helper.from_array(np.array([1], np.int64), "axis")
    nodes = [
        helper.make_node("ReduceSum", ["x", "axis"], ["sum"], keepdims=0),
        helper.make_node("Add", ["sum", "bias"], ["total"]),
        helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
    ]
    outputs = [value("total", TensorProto.FLOAT, ["N"]), value("label", TensorProto.INT64, ["N"])]
    return model(nodes, [value("x", TensorProto.FLOAT, ["N", 4])], outputs, [*tensors, axis])


def pair() -> onnx.ModelProto:
    """a, b INT64[-1,2] -> sum INT64[-1,2]."""
    inputs = [value(name, TensorProto.INT64, ["N", 2]) for name in ("a", "b")]
    outputs = [value("sum", TensorProto.INT64, ["N", 2])]
    return model([helper.make_node("Add", ["a", "b"], ["sum"])], inputs, outputs)


def echo(kind: int) -> onnx.ModelProto:
    """in -> out, both [-1] of the kind."""
    node = helper.make_node("Identity", ["in"], ["out"])
    return model([node], [value("in", kind, ["N"])], [value("out", kind, ["N"])])


def grid() -> onnx.ModelProto:
    """in -> out, both FP32[-1,-1]."""
    ends = [value(name, TensorProto.FLOAT, ["N", "M"]) for name in ("in", "out")]
    return model([helper.make_node("Identity", ["in"], ["out"])], ends[:1], ends[1:])


def cast(source: int, target: int) -> onnx.ModelProto:
    node = helper.make_node("Cast", ["in"], ["out"], to=target)
    return model([node], [value("in", source, ["N"])], [value("out", target, ["N"])])


def reciprocal() -> onnx.ModelProto:
    """in FP32[-1] -> out FP32[-1]: zero becomes infinity, 1e-39 too."""
    node = helper.make_node("Reciprocal", ["in"], ["out"])
    return model([node], [value("in", TensorProto.FLOAT, ["N"])], [value("out", TensorProto.FLOAT, ["N"])])


def lookup() -> onnx.ModelProto:
    """index INT64[-1] -> row FP32[-1]: fails when run on an index above 2."""
    table = numpy_helper.from_array(np.arange(3, dtype=np.float32), "table")
    node = helper.make_node("Gather", ["table", "index"], ["row"])
    outputs = [value("row", TensorProto.FLOAT, ["N"])]
    return model([node], [value("index", TensorProto.INT64, ["N"])], outputs, [table])


def positions() -> onnx.ModelProto:
    """x FP32[-1] -> at INT64[1,-1]: where x is not zero; how many these are hangs on its values."""
    node = helper.make_node("NonZero", ["x"], ["at"])
    inputs, outputs = [value("x", TensorProto.FLOAT, ["N"])], [value("at", TensorProto.INT64, [1, "M"])]
    return model([node], inputs, outputs)


def counting() -> onnx.ModelProto:
    """k INT64[1] -> y FP32: k matrix products in a loop, a millisecond each or so."""
    square = numpy_helper.from_array(np.eye(256, dtype=np.float32), "square")
    start = numpy_helper.from_array(np.eye(256, dtype=np.float32), "start")
    always = numpy_helper.from_array(np.array(True), "always")
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["goes_on"]),
            helper.make_node("MatMul", ["before", "square"], ["product"]),
            helper.make_node("Tanh", ["product"], ["after"]),
        ],
        "body",
        [
            value("i", TensorProto.INT64, []),
            value("on", TensorProto.BOOL, []),
            value("before", TensorProto.FLOAT, [256, 256]),
        ],
        [value("goes_on", TensorProto.BOOL, []), value("after", TensorProto.FLOAT, [256, 256])],
    )
    one = numpy_helper.from_array(np.array([], np.int64), "scalar")
    nodes = [
        helper.make_node("Reshape", ["k", "scalar"], ["times"]),
        helper.make_node("Loop", ["times", "always", "start"], ["last"], body=body),
        helper.make_node("ReduceSum", ["last"], ["y"], keepdims=0),
    ]
    inputs, outputs = [value("k", TensorProto.INT64, [1])], [value("y", TensorProto.FLOAT, [])]
    return model(nodes, inputs, outputs, [square, start, always, one])


def slow(products: int = 24) -> onnx.ModelProto:
    """x FP32[1] -> y FP32: some tenths of a second of matrix products, whatever x is."""
    square = numpy_helper.from_array(np.eye(900, dtype=np.float32), "square")
    nodes = [helper.make_node("Mul", ["square", "x"], ["m0"])]
    nodes += [helper.make_node("MatMul", [f"m{i}", "square"], [f"m{i + 1}"]) for i in range(products)]
    nodes.append(helper.make_node("ReduceSum", [f"m{products}"], ["y"], keepdims=0))
    inputs, outputs = [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [])]
    return model(nodes, inputs, outputs, [square])
