"""Records of requests, and how many of them become one frame of columns.

Packing costs a worker about a microsecond for a request: no loop over elements, and for columns that are the
same in all rows no column at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from math import prod
from operator import attrgetter, methodcaller
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bedplate.runtime.server.predictions import frames
from bedplate.runtime.server.predictions.frames import Buffer

if TYPE_CHECKING:  # what rolls the log does not load what runs models
    from bedplate.runtime.server.infer import Request, Signature
    from bedplate.runtime.server.model import Array, Tensor

TEXTS = ("request_id", "client_id", "arm", "outcome")
Shape = tuple[int, ...]
Values = bytes | list[str]
# How the values of the protocol's datatypes lie in a frame.
DTYPES: Mapping[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    **{f"INT{bits}": np.dtype(f"int{bits}").type for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"uint{bits}").type for bits in (8, 16, 32, 64)},
}


class Record(NamedTuple):
    """One request. `timestamp_s` is Unix time.

    `shapes` and `values` are those of the signature's inputs and outputs in their order, None for a tensor
    that was not asked for, and None altogether where tensors are not kept. A tensor's values are its bytes,
    those of BYTES its texts.
    """

    request_id: str
    client_id: str | None
    arm: str | None
    outcome: str
    status: int
    timestamp_s: float
    latency_s: float
    omitted: bool
    shapes: Sequence[Shape | None] | None
    values: Sequence[Values | None] | None


# A record as it is taken: a tuple is made ten times as fast as a Record, whose members it has.
Taken = tuple[
    str,
    str | None,
    str | None,
    str,
    int,
    float,
    float,
    bool,
    Sequence[Shape | None] | None,
    Sequence[Values | None] | None,
]


# What is kept of a request's tensors, in the signature's order: how many bytes it is, shapes, values.
Kept = tuple[int, Sequence[Shape | None], Sequence[Values | None]]


class Records:
    """Records of one model and version that wait to be packed.

    What is kept of a request is copied at once: to hold on to its arrays made each next request slower than
    the copies do, as it then lived in memory that no cache had seen.
    """

    def __init__(self, signature: Signature) -> None:
        self.taken: list[Taken] = []
        self._signature = signature
        self._inputs = [tensor.name for tensor in signature.inputs]
        self._outputs = list(signature.outputs)
        self._texts = any(tensor.datatype == "BYTES" for tensor in (*signature.inputs, *signature.outputs))
        self._shapes: list[Shape] = []

    def kept(self, request: Request, arrays: Sequence[Array], most_bytes: int) -> Kept | None:
        """What is kept of a request's tensors; None where it is more than so many bytes."""
        if self._texts or list(map(_tensor_of, request.outputs)) != self._outputs:
            return self._kept_of_some(request, arrays, most_bytes)
        feeds = request.feeds
        given = [feeds[name] for name in self._inputs]
        given += arrays
        size = sum(map(_nbytes, given))
        if size > most_bytes:
            return None
        shapes = list(map(_shape, given))
        if shapes == self._shapes:  # as in most requests: to keep one of them is less than to keep all
            shapes = self._shapes
        else:
            self._shapes = shapes
        return size, shapes, list(map(_tobytes, given))

    def _kept_of_some(self, request: Request, arrays: Sequence[Array], most_bytes: int) -> Kept | None:
        asked = {wish.tensor.name: array for wish, array in zip(request.outputs, arrays, strict=True)}
        given = [*map(request.feeds.get, self._inputs), *(asked.get(tensor.name) for tensor in self._outputs)]
        size = sum(_size(array) for array in given if array is not None)
        if size > most_bytes:
            return None
        shapes = [None if array is None else array.shape for array in given]
        return size, shapes, [None if array is None else _values(array) for array in given]

    def pack(self) -> bytes:
        """Their frame."""
        return pack(self._signature, self.taken)


def pack(signature: Signature, records: Sequence[Taken]) -> bytes:
    """The frame of some records of one model and version."""
    columns = Record(*zip(*records, strict=True))  # type: ignore[arg-type]
    plain: list[Buffer] = [
        np.array(columns.status, np.int16).tobytes(),
        microseconds(columns.timestamp_s),  # type: ignore[arg-type]
        np.array(columns.latency_s, np.float64).tobytes(),
        np.array(columns.omitted, np.bool_).tobytes(),
    ]
    told, buffers, tensors = [], [], (*signature.inputs, *signature.outputs)
    nothing = (None,) * len(tensors)
    shapes = zip(*(row or nothing for row in columns.shapes), strict=True)  # type: ignore[union-attr]
    values = zip(*(row or nothing for row in columns.values), strict=True)  # type: ignore[union-attr]
    for tensor, its_shapes, its_values in zip(tensors, shapes, values, strict=True):
        description, parts = _tensor(tensor, its_shapes, its_values)
        told.append(description)
        buffers += parts
    texts = {name: getattr(columns, name) for name in TEXTS}
    return frame(signature, texts, plain, told, buffers)


def microseconds(seconds: Sequence[float]) -> bytes:
    """A column of Unix times."""
    return (np.array(seconds) * 1e6).astype(np.int64).tobytes()


def frame(
    signature: Signature,
    texts: Mapping[str, Sequence[str | None]],
    plain: Sequence[Buffer],
    told: Sequence[Mapping[str, object]],
    tensors: Sequence[Buffer],
) -> bytes:
    """The frame of columns: TEXTS; status, timestamp, latency, omitted; and those of the tensors, as told."""
    same: dict[str, str | None] = {}
    buffers: list[Buffer] = []
    for name in TEXTS:
        values = texts[name]
        if name != "request_id" and values.count(values[0]) == len(values):
            same[name] = values[0]
        else:
            buffers += _texts(values)
    rows, count = len(texts["request_id"]), len(signature.inputs)
    meta = {"model": signature.name, "version": signature.version, "rows": rows, "same": same}
    return frames.pack(
        {**meta, "inputs": told[:count], "outputs": told[count:]}, [*buffers, *plain, *tensors]
    )


_nbytes, _shape, _tobytes = attrgetter("nbytes"), attrgetter("shape"), methodcaller("tobytes")
_tensor_of = attrgetter("tensor")


def _size(array: Array) -> int:
    return sum(map(len, array.reshape(-1).tolist())) if array.dtype.hasobject else array.nbytes


def _values(array: Array) -> Values:
    if not array.dtype.hasobject:
        return array.tobytes()
    texts: list[str | bytes] = array.reshape(-1).tolist()
    return [text if isinstance(text, str) else bytes(text).decode("utf-8", "replace") for text in texts]


def _texts(values: Sequence[str | None]) -> tuple[bytes, bytes]:
    """Lengths in bytes (-1 for none), and the bytes."""
    if None not in values and (text := "".join(values)).isascii():  # type: ignore[arg-type]
        return np.fromiter(map(len, values), np.int64, len(values)).tobytes(), text.encode()  # type: ignore[arg-type]
    # A lone surrogate cannot come from a request; one in a model's text must not end the log.
    encoded = [None if value is None else value.encode("utf-8", "replace") for value in values]
    lengths = [-1 if value is None else len(value) for value in encoded]
    return np.array(lengths, np.int64).tobytes(), b"".join(filter(None, encoded))


def _tensor(
    tensor: Tensor, shapes: Sequence[Shape | None], values: Sequence[Values | None]
) -> tuple[dict[str, object], list[Buffer]]:
    """What is said of a tensor's column, and its buffers: which rows have it, ranks, extents, data."""
    present = [shape for shape in shapes if shape is not None]
    told: dict[str, object] = {"name": tensor.name, "datatype": tensor.datatype, "present": len(present)}
    parts: list[Buffer] = []
    if not present:
        return told, parts
    if len(present) < len(shapes):
        parts.append(np.array([shape is not None for shape in shapes], np.bool_).tobytes())
        values = [value for value in values if value is not None]
    if present.count(present[0]) == len(present):
        told["shape"] = present[0]
    else:
        parts.append(np.array([len(shape) for shape in present], np.int64).tobytes())
        parts.append(np.fromiter(chain.from_iterable(present), np.int64).tobytes())
        parts.append(np.array([prod(shape) for shape in present], np.int64).tobytes())
    if tensor.datatype == "BYTES":
        parts += _texts(list(chain.from_iterable(values)))  # type: ignore[arg-type]
    else:
        parts.append(b"".join(values))  # type: ignore[arg-type]
    return told, parts
