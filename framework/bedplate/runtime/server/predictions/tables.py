"""Frames as Arrow tables, with no loop over rows or elements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bedplate.runtime.server.predictions.frames import Frame
from bedplate.runtime.server.predictions.records import DTYPES, TEXTS

_HOUR_US = 3_600_000_000
_SHAPE = pa.list_(pa.int64())
# Many readers do not know half floats; single ones hold every value of them.
_KEPT = {**DTYPES, "FP16": np.float32}
_TYPES = {"BYTES": pa.string(), **{name: pa.from_numpy_dtype(np.dtype(kept)) for name, kept in _KEPT.items()}}
_ORDER = ("request_id", "client_id", "timestamp", "model", "version", "arm", "outcome", "status", "latency_s")

Numbers = NDArray[np.int64]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Part:
    """The rows of one model and version in one hour, given as the hours since 1970."""

    model: str
    hour: int
    table: pa.Table

    @property
    def date(self) -> datetime:
        return datetime.fromtimestamp(self.hour * 3600, UTC)


def parts(frames: Sequence[Frame]) -> Iterator[Part]:
    """All rows of the frames, each part as one table."""
    found: dict[tuple[str, int, pa.Schema], list[pa.RecordBatch]] = {}
    for frame in frames:
        batch = _batch(frame)
        hours = batch.column("timestamp").cast(pa.int64()).to_numpy() // _HOUR_US
        for hour in np.unique(hours).tolist():
            rows = batch if (hours == hour).all() else batch.filter(pa.array(hours == hour))
            found.setdefault((str(frame.meta["model"]), hour, batch.schema), []).append(rows)
    for (model, hour, schema), batches in found.items():
        yield Part(model, hour, pa.Table.from_batches(batches, schema))


def _batch(frame: Frame) -> pa.RecordBatch:
    columns = _Columns(frame)
    found = {**columns.texts(), **columns.numbers()}
    for name in ("model", "version"):
        found[name] = pa.repeat(str(frame.meta[name]), columns.rows)
    ordered = {name: found.pop(name) for name in _ORDER}
    return pa.RecordBatch.from_pydict({**ordered, **found, **columns.tensors()}, metadata={"bedplate": "1"})


@dataclass
class _Columns:
    """The columns of a frame, taken in the order in which records.pack put them."""

    frame: Frame
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows = cast(int, self.frame.meta["rows"])
        self._left = iter(self.frame.buffers)

    def texts(self) -> dict[str, pa.Array]:
        same = cast(Mapping[str, str | None], self.frame.meta["same"])
        return {
            name: pa.repeat(pa.scalar(same[name], pa.string()), self.rows) if name in same else self._texts()
            for name in TEXTS
        }

    def numbers(self) -> dict[str, pa.Array]:
        status = pa.array(self._take(np.int16))
        moments = pa.array(self._take(np.int64)).cast(pa.timestamp("us", "UTC"))
        latency = pa.array(self._take(np.float64))
        omitted = pa.array(self._take(np.bool_))
        return {"status": status, "timestamp": moments, "latency_s": latency, "omitted": omitted}

    def tensors(self) -> dict[str, pa.Array]:
        return {side: self._side(side) for side in ("inputs", "outputs")}

    def _side(self, side: str) -> pa.Array:
        """A struct with a member for each tensor; null where a row has none of them."""
        told = cast(Sequence[Mapping[str, object]], self.frame.meta[side])
        present = np.zeros(self.rows, np.bool_)
        members = []
        for tensor in told:
            mask, member = self._tensor(tensor)
            present |= mask
            members.append(member)
        return _struct(members, [str(tensor["name"]) for tensor in told], ~present)

    def _tensor(self, told: Mapping[str, object]) -> tuple[NDArray[np.bool_], pa.Array]:
        """Which rows have the tensor, and the column of it."""
        count, kept = cast(int, told["present"]), _TYPES[str(told["datatype"])]
        if count == 0:
            return np.zeros(self.rows, np.bool_), pa.nulls(
                self.rows, pa.struct([("shape", _SHAPE), ("data", pa.list_(kept))])
            )
        mask = np.ones(self.rows, np.bool_) if count == self.rows else self._take(np.bool_)
        if "shape" in told:
            shape = np.array(told["shape"], np.int64)
            ranks, extents = np.full(count, len(shape)), np.tile(shape, count)
            sizes = np.full(count, np.prod(shape, dtype=np.int64))
        else:
            ranks, extents, sizes = self._take(np.int64), self._take(np.int64), self._take(np.int64)
        values = self._values(str(told["datatype"]))
        shapes, data = _lists(extents, ranks, mask), _lists(values, sizes, mask)
        return mask, _struct([shapes, data], ["shape", "data"], ~mask)

    def _values(self, datatype: str) -> pa.Array:
        if datatype == "BYTES":
            return self._texts()
        return pa.array(self._take(DTYPES[datatype]).astype(_KEPT[datatype], copy=False))

    def _take(self, kind: type[T]) -> NDArray[T]:
        return np.frombuffer(self._next(), kind)

    def _next(self) -> memoryview:
        found = next(self._left, None)
        if found is None:
            raise ValueError("a buffer is missing")
        return found

    def _texts(self) -> pa.Array:
        lengths = self._take(np.int64)
        data = self._next()
        ends = np.zeros(len(lengths) + 1, np.int32)
        np.cumsum(np.maximum(lengths, 0), out=ends[1:])
        missing = lengths < 0
        valid = (
            None if not missing.any() else pa.py_buffer(np.packbits(~missing, bitorder="little").tobytes())
        )
        return pa.StringArray.from_buffers(
            len(lengths), pa.py_buffer(ends), pa.py_buffer(bytes(data)), valid, int(missing.sum())
        )


def _lists(values: object, sizes: Numbers, mask: NDArray[np.bool_]) -> pa.ListArray:
    """One list for each row, empty where the mask has no value; `sizes` are those of the rows that have one."""
    all_sizes = np.zeros(len(mask), np.int64)
    all_sizes[mask] = sizes
    ends = np.zeros(len(mask) + 1, np.int32)
    np.cumsum(all_sizes, out=ends[1:])
    return pa.ListArray.from_arrays(
        pa.array(ends), values if isinstance(values, pa.Array) else pa.array(values)
    )


def _struct(members: Sequence[pa.Array], names: Sequence[str], missing: NDArray[np.bool_]) -> pa.StructArray:
    mask = pa.array(missing) if missing.any() else None
    return pa.StructArray.from_arrays(list(members), names=list(names), mask=mask)
