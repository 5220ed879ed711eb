"""A ModelInferRequest as a body of JSON with tensors behind it, and such an answer as a ModelInferResponse.

So every rule of a request is checked in one place, whatever it came in.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import orjson
from google.protobuf.message import Message

from bedplate.runtime.server.head import Form
from bedplate.runtime.server.infer import Answer
from bedplate.runtime.server.refused import refuse, shown
from bedplate.runtime.server.rpc.messages import Inference, Input, Parameter, message

_LENGTH = struct.Struct("<I")
# The list that holds a datatype's typed contents, and how its elements lie in bytes.
_CONTENTS: Mapping[str, tuple[str, str]] = {
    "BOOL": ("bool_contents", "?"),
    **{f"INT{bits}": ("int_contents", f"<i{bits // 8}") for bits in (8, 16, 32)},
    "INT64": ("int64_contents", "<i8"),
    **{f"UINT{bits}": ("uint_contents", f"<u{bits // 8}") for bits in (8, 16, 32)},
    "UINT64": ("uint64_contents", "<u8"),
    "FP32": ("fp32_contents", "<f4"),
    "FP64": ("fp64_contents", "<f8"),
    "BYTES": ("bytes_contents", ""),
}
_InferResponse = message("ModelInferResponse")
_Output = message("ModelInferResponse.InferOutputTensor")


def body(request: Inference) -> tuple[bytes, Form]:
    """A request's body, and how it came; raises Refused."""
    blobs = _blobs(request)
    inputs: list[dict[str, object]] = [
        {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.shape),
            "parameters": {**_said(tensor.parameters), "binary_data_size": len(blob)},
        }
        for tensor, blob in zip(request.inputs, blobs, strict=True)
    ]
    tree: dict[str, object] = {"inputs": inputs}
    if request.id:
        tree["id"] = request.id
    tree["parameters"] = {**_said(request.parameters), "binary_data_output": True}
    if request.outputs:
        tree["outputs"] = [
            {"name": output.name, "parameters": {**_said(output.parameters), "binary_data": True}}
            for output in request.outputs
        ]
    text = orjson.dumps(tree)
    return b"".join((text, *blobs)), Form(len(text))


def response(answer: Answer) -> Message:
    """The ModelInferResponse that says the same."""
    text = answer.body[: answer.json_bytes]
    tree, at = orjson.loads(text), len(text)
    outputs, blobs = [], []
    for output in tree["outputs"]:
        size = output["parameters"]["binary_data_size"]
        outputs.append(_Output(name=output["name"], datatype=output["datatype"], shape=output["shape"]))
        blobs.append(answer.body[at : at + size])
        at += size
    return _InferResponse(
        model_name=tree["model_name"],
        model_version=tree["model_version"],
        id=tree["id"],
        outputs=outputs,
        raw_output_contents=blobs,
    )


def _blobs(request: Inference) -> Sequence[bytes]:
    """The inputs' bytes, in their order: either all of them raw, or each of them typed."""
    raw = request.raw_input_contents
    if not raw:
        return [_typed(tensor) for tensor in request.inputs]
    if any(tensor.contents.ListFields() for tensor in request.inputs):
        refuse("raw_input_contents and an input's contents exclude each other")
    if len(raw) != len(request.inputs):
        refuse(f"there are {len(request.inputs)} inputs and {len(raw)} raw_input_contents")
    return raw


def _typed(tensor: Input) -> bytes:
    known = _CONTENTS.get(tensor.datatype)
    given = {field.name: values for field, values in tensor.contents.ListFields()}
    if known is None:
        if given:
            refuse(
                f"input {shown(tensor.name)} is {shown(tensor.datatype)}, which only raw_input_contents can hold"
            )
        return b""
    name, layout = known
    values = given.pop(name, ())
    if given:
        refuse(
            f"input {shown(tensor.name)} is {tensor.datatype}, whose contents are {name}, not {next(iter(given))}"
        )
    if not layout:
        return b"".join(part for text in values for part in (_LENGTH.pack(len(text)), text))
    try:
        return np.array(values, dtype=layout).tobytes()
    except OverflowError:
        refuse(f"input {shown(tensor.name)} holds a number that {tensor.datatype} cannot")


def _said(parameters: Mapping[str, Parameter]) -> dict[str, object]:
    """Parameters as JSON has them."""
    found: dict[str, object] = {}
    for name, value in parameters.items():
        choice = value.WhichOneof("parameter_choice")
        if choice is None:
            refuse(f"parameter {shown(name)} has no value")
        found[name] = getattr(value, choice)
    return found
