"""A model in memory: the bytes that were hashed are the bytes that were checked and are run."""

from __future__ import annotations

import hashlib
import math
import os
import stat
import time
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from bedplate import onnx_file
from bedplate.runtime.server import cores
from bedplate.runtime.server.config import Config, ModelFile
from bedplate.runtime.server.log import one_line

Array = NDArray[np.generic]

# onnxruntime's errors have no common base but Exception; some come as plain built-in ones.
RUN_ERRORS: tuple[type[Exception], ...] = (
    *(
        value
        for value in vars(ort_state).values()
        if isinstance(value, type) and issubclass(value, Exception) and not issubclass(value, Warning)
    ),
    RuntimeError,
    ValueError,
)

_PROTOBUF_LIMIT_BYTES = 2**31 - 1
_CHUNK_BYTES = 8 * 2**20

DATATYPES: Mapping[str, tuple[str, type[np.generic]]] = {
    "tensor(bool)": ("BOOL", np.bool_),
    "tensor(uint8)": ("UINT8", np.uint8),
    "tensor(uint16)": ("UINT16", np.uint16),
    "tensor(uint32)": ("UINT32", np.uint32),
    "tensor(uint64)": ("UINT64", np.uint64),
    "tensor(int8)": ("INT8", np.int8),
    "tensor(int16)": ("INT16", np.int16),
    "tensor(int32)": ("INT32", np.int32),
    "tensor(int64)": ("INT64", np.int64),
    "tensor(float16)": ("FP16", np.float16),
    "tensor(float)": ("FP32", np.float32),
    "tensor(double)": ("FP64", np.float64),
    "tensor(string)": ("BYTES", np.object_),
}


# Operators whose work a value of an input may decide: how often they run what, or how large their output is.
_BY_VALUE = frozenset(
    {"CenterCropPad", "ConstantOfShape", "Expand", "If", "Loop", "MaxUnpool", "NonMaxSuppression", "OneHot"}
    | {"Pad", "Range", "Resize", "Scan", "SequenceMap", "Tile", "Upsample"}
)


class NotLoadable(ValueError):
    """The model cannot be served; the text says why in one line."""


class Tensor(NamedTuple):
    """One input or output of a signature; a shape's -1 is any extent."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    dtype: type[np.generic]


class Model:
    """A loaded, verified and warmed-up model with its signature.

    `runs_by_value`: how long a run takes may hang on what is in its inputs, so that no earlier run tells it.
    """

    def __init__(
        self, file: ModelFile, session: onnxruntime.InferenceSession, operators: Set[str] = frozenset()
    ) -> None:
        self.name = file.name
        self.version = file.version
        self.inputs = tuple(_tensor(node, "input") for node in session.get_inputs())
        self.outputs = tuple(_tensor(node, "output") for node in session.get_outputs())
        self.runs_by_value = not _BY_VALUE.isdisjoint(operators)
        self._session = session
        self._seconds_per_element = 0.0

    def run(
        self, feeds: Mapping[str, Array], outputs: Sequence[str], elements: int | None = None
    ) -> list[Array]:
        """Run the model; raises one of RUN_ERRORS or MemoryError. `elements` are those of the feeds, if known."""
        started = time.perf_counter()
        found: list[Array] = self._session.run(outputs, feeds)
        self._took(time.perf_counter() - started, elements or _elements(feeds))
        return found

    def bind(self, feeds: Mapping[str, Array], outputs: Mapping[str, Array]) -> onnxruntime.IOBinding:
        """What `run_bound` reads and writes: arrays of numbers, none of them empty, that stay where they are."""
        binding = self._session.io_binding()
        for bind, arrays in ((binding.bind_input, feeds), (binding.bind_output, outputs)):
            for name, array in arrays.items():
                bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        return binding

    def run_bound(self, binding: onnxruntime.IOBinding, elements: int) -> None:
        """Run the model as `run` does, whose errors it raises, also where an output's shape is another now."""
        started = time.perf_counter()
        self._session.run_with_iobinding(binding)
        self._took(time.perf_counter() - started, elements)

    def _took(self, seconds: float, elements: int) -> None:
        spent = seconds / elements
        # Down at once, up slowly: a run that had to wait for a core says little, a slow model says it again.
        grown = self._seconds_per_element + (spent - self._seconds_per_element) * 0.02
        self._seconds_per_element = min(spent, grown)

    def expected_s(self, feeds: Mapping[str, Array], elements: int | None = None) -> float:
        """How long a run on these feeds should take, learned from the runs so far (one row costs most)."""
        if self.runs_by_value:
            return math.inf
        return self._seconds_per_element * (elements or _elements(feeds))

    def warm_up(self) -> None:
        """Run once on zeros (empty strings), every free dimension 1, to find what only running finds."""
        feeds = {tensor.name: _zeros(tensor, tensor.shape) for tensor in self.inputs}
        names = [tensor.name for tensor in self.outputs]
        self.run(feeds, names)  # the first run allocates and is slow; the second tells the cost
        started = time.perf_counter()
        self.run(feeds, names)
        self._seconds_per_element = (time.perf_counter() - started) / _elements(feeds)

    def check_batches(self) -> None:
        """Raises NotLoadable unless a run on the rows of several requests gives the rows of their answers."""
        fixed = next((tensor.name for tensor in self.inputs if tensor.shape[:1] != (-1,)), None)
        if fixed is not None:
            raise NotLoadable(f"cannot be batched: its input {fixed!r} has no free first dimension")
        names = [tensor.name for tensor in self.outputs]
        for rows in (2, 3):
            feeds = {tensor.name: _zeros(tensor, (rows, *tensor.shape[1:])) for tensor in self.inputs}
            try:
                found = self.run(feeds, names)
            except RUN_ERRORS as error:
                raise NotLoadable(f"cannot be batched: it fails on {rows} rows: {error}") from error
            for name, array in zip(names, found, strict=True):
                if array.shape[:1] != (rows,):
                    shape = list(array.shape)
                    raise NotLoadable(f"cannot be batched: {rows} rows give an output {name!r} of {shape}")


def _zeros(tensor: Tensor, shape: Sequence[int]) -> Array:
    """Zeros or empty strings, every free dimension 1."""
    empty = "" if tensor.datatype == "BYTES" else 0
    return np.full([1 if extent < 0 else extent for extent in shape], empty, dtype=tensor.dtype)


def _elements(feeds: Mapping[str, Array]) -> int:
    if len(feeds) == 1:
        (array,) = feeds.values()
        return array.size or 1
    return sum(array.size for array in feeds.values()) or 1


def load(file: ModelFile, config: Config) -> Model:
    """Read, verify, build and warm up a model; raises NotLoadable."""
    try:
        data = _read(file, config.memory_bytes)
        operators = onnx_file.check(data)
        session = onnxruntime.InferenceSession(
            data, sess_options=_options(config), providers=["CPUExecutionProvider"]
        )
        model = Model(file, session, operators)
        if config.batching is not None:
            model.check_batches()
        model.warm_up()
    except MemoryError as error:
        raise not_loadable(file, f"does not fit into memory ({_memory(config)})") from error
    except OSError as error:
        raise not_loadable(file, f"cannot be read: {error.strerror}") from error
    except (onnx_file.NotLoadable, NotLoadable) as error:
        raise not_loadable(file, str(error)) from error
    except RUN_ERRORS as error:
        raise not_loadable(file, _because(error, config)) from error
    return model


def _because(error: Exception, config: Config) -> str:
    text = one_line(str(error))
    if "bad_alloc" in text or "llocate" in text:
        return f"does not fit into memory ({_memory(config)}): {text}"
    return f"onnxruntime refuses it: {text}"


def _memory(config: Config) -> str:
    return f"the limit is {config.memory_bytes} bytes" if config.memory_bytes else "no limit is set"


def not_loadable(file: ModelFile, reason: str) -> NotLoadable:
    """Why a model cannot be served, with the model's name before it."""
    return NotLoadable(one_line(f"model {file.name} version {file.version}: {reason}"))


def _read(file: ModelFile, memory_bytes: int | None) -> bytes:
    """The file's bytes, if they are what the configuration says; opened once, hashed as read."""
    # O_NONBLOCK: opening a FIFO must not hang before fstat can refuse it
    with open(os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise NotLoadable("is not a regular file")
        if memory_bytes is not None and status.st_size > memory_bytes:
            raise NotLoadable(
                f"is {status.st_size} bytes, more than the memory limit of {memory_bytes} bytes"
            )
        if status.st_size > _PROTOBUF_LIMIT_BYTES:
            raise NotLoadable(f"is {status.st_size} bytes; an ONNX file ends at 2 GiB")
        digest, chunks = hashlib.sha256(), []
        while chunk := opened.read(_CHUNK_BYTES):
            digest.update(chunk)
            chunks.append(chunk)
    if digest.hexdigest() != file.sha256:
        raise NotLoadable(f"has SHA-256 {digest.hexdigest()}, expected {file.sha256}")
    return b"".join(chunks)


def _options(config: Config) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # what matters arrives as an exception
    # Spinning threads take the cores away from the other workers.
    alone = config.workers == 1 and config.threads <= cores.available()
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if alone else "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def _tensor(node: onnxruntime.NodeArg, role: str) -> Tensor:
    if node.type not in DATATYPES:
        advice = "; export the classifier with the option zipmap off" if "seq(map" in node.type else ""
        raise NotLoadable(f"its {role} {node.name!r} is a {node.type}, not a tensor{advice}")
    datatype, dtype = DATATYPES[node.type]
    shape = tuple(extent if type(extent) is int and extent >= 0 else -1 for extent in node.shape)
    return Tensor(node.name, datatype, shape, dtype)
