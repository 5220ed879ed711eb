"""Records of requests, and how many of them become one frame of columns.

Packing costs a worker about a microsecond for a request: no loop over elements, and for columns that are the
same in all rows no column at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from bedplate.runtime.server.predictions import frames
from bedplate.runtime.server.predictions.frames import Buffer

if TYPE_CHECKING:  # what rolls the log does not load what runs models
    from bedplate.runtime.server.model import Array, Tensor

TEXTS = ("request_id", "client_id", "arm", "outcome")
# The datatypes of the protocol as they are kept; all of them hold every value.
KEPT: Mapping[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "FP16": np.float32,
    "FP32": np.float32,
    "FP64": np.float64,
    **{f"INT{bits}": np.dtype(f"int{bits}").type for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"uint{bits}").type for bits in (8, 16, 32, 64)},
}


class Signature(Protocol):
    """Of which model and version the records are, and which tensors they may have."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def inputs(self) -> Sequence[Tensor]: ...
    @property
    def outputs(self) -> Sequence[Tensor]: ...


class Record(NamedTuple):
    """One request. `timestamp_us` is Unix time; `inputs` and `outputs` are None where they are not kept."""

    request_id: str
    client_id: str | None
    arm: str | None
    outcome: str
    status: int
    timestamp_us: int
    latency_s: float
    omitted: bool
    inputs: Mapping[str, Array] | None
    outputs: Mapping[str, Array] | None


def pack(signature: Signature, records: Sequence[Record]) -> bytes:
    """The frame of some records of one model and version."""
    columns = Record(*zip(*records, strict=True))  # type: ignore[arg-type]
    meta: dict[str, object] = {
        "model": signature.name,
        "version": signature.version,
        "rows": len(records),
        "same": {},
    }
    buffers: list[Buffer] = []
    for name in TEXTS:
        values = getattr(columns, name)
        if len(set(values)) == 1:
            meta["same"][name] = values[0]  # type: ignore[index]
        else:
            buffers += _texts(values)
    buffers.append(np.array(columns.status, np.int16).tobytes())
    buffers.append(np.array(columns.timestamp_us, np.int64).tobytes())
    buffers.append(np.array(columns.latency_s, np.float64).tobytes())
    buffers.append(np.array(columns.omitted, np.bool_).tobytes())
    for side in ("inputs", "outputs"):
        rows: Sequence[Mapping[str, Array] | None] = getattr(columns, side)
        told = []
        for tensor in getattr(signature, side):
            description, parts = _tensor(tensor, [row.get(tensor.name) if row else None for row in rows])
            told.append(description)
            buffers += parts
        meta[side] = told
    return frames.pack(meta, buffers)


def _texts(values: Sequence[str | None]) -> tuple[bytes, bytes]:
    """Lengths in bytes (-1 for none), and the bytes."""
    # A lone surrogate cannot come from a request; one in a model's text must not end the log.
    encoded = [None if value is None else value.encode("utf-8", "replace") for value in values]
    lengths = [-1 if value is None else len(value) for value in encoded]
    return np.array(lengths, np.int64).tobytes(), b"".join(filter(None, encoded))


def _tensor(tensor: Tensor, values: Sequence[Array | None]) -> tuple[dict[str, object], list[Buffer]]:
    """What is said of a tensor's column, and its buffers: which rows have it, ranks, extents, sizes, data."""
    present = [value for value in values if value is not None]
    told: dict[str, object] = {"name": tensor.name, "datatype": tensor.datatype, "present": len(present)}
    parts: list[Buffer] = []
    if 0 < len(present) < len(values):
        parts.append(np.array([value is not None for value in values], np.bool_).tobytes())
    if not present:
        return told, parts
    shapes = [value.shape for value in present]
    if len(set(shapes)) == 1:
        told["shape"] = shapes[0]
    else:
        parts.append(np.array([len(shape) for shape in shapes], np.int64).tobytes())
        parts.append(np.fromiter(chain.from_iterable(shapes), np.int64).tobytes())
        parts.append(np.array([value.size for value in present], np.int64).tobytes())
    flat = np.concatenate(present, axis=None) if len(present) > 1 else present[0].reshape(-1)
    if tensor.datatype == "BYTES":
        parts += _texts([_text(value) for value in flat.tolist()])
    else:
        parts.append(np.ascontiguousarray(flat, KEPT[tensor.datatype]).tobytes())
    return told, parts


def _text(value: object) -> str:
    return value if isinstance(value, str) else bytes(value).decode("utf-8", "replace")  # type: ignore[call-overload]
