"""Tensors as bytes: the binary tensor extension of the Open Inference Protocol.

Little-endian and in row order; a BOOL is one byte, 0 or 1; an element of BYTES is its length, as UINT32, and
then its bytes. What is read is copied: nothing that runs shares memory with a request's body.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from bedplate.runtime.server.model import Array, Tensor
from bedplate.runtime.server.refused import refuse

_LENGTH = struct.Struct("<I")


def read(data: memoryview, tensor: Tensor, shape: Sequence[int], count: int) -> Array:
    """An input's bytes as an array of its shape, which has `count` elements; raises Refused."""
    if tensor.datatype == "BYTES":
        return _texts(data, tensor, count).reshape(shape)
    dtype = np.dtype(tensor.dtype).newbyteorder("<")
    if len(data) != count * dtype.itemsize:
        refuse(
            f"input '{tensor.name}': {count} elements of {tensor.datatype} are {count * dtype.itemsize} bytes, "
            f"binary_data_size is {len(data)}"
        )
    if tensor.datatype == "BOOL":
        truths = np.frombuffer(data, np.uint8)
        if count and truths.max() > 1:
            refuse(f"input '{tensor.name}': a byte of a BOOL is neither 0 nor 1")
        return truths.astype(np.bool_).reshape(shape)
    return np.frombuffer(data, dtype).astype(tensor.dtype).reshape(shape)


def whole_shape(size: int, tensor: Tensor) -> tuple[list[int], int]:
    """The shape that an input of `size` bytes has when nothing else was said; raises Refused.

    At most one extent may be free; a text is the only one of its tensor.
    """
    free = [axis for axis, extent in enumerate(tensor.shape) if extent < 0]
    if tensor.datatype == "BYTES":
        if len(tensor.shape) != 1 or tensor.shape[0] not in (-1, 1):
            refuse(f"input '{tensor.name}' takes more than one text, so that it cannot be sent raw")
        return [1], 1
    if len(free) > 1:
        refuse(f"input '{tensor.name}' has more than one free extent, so that it cannot be sent raw")
    shape = [extent if extent >= 0 else 1 for extent in tensor.shape]
    row = int(np.prod(shape, dtype=object)) * np.dtype(tensor.dtype).itemsize
    if free and row:
        shape[free[0]], rest = divmod(size, row)
        if rest:
            refuse(f"input '{tensor.name}': {size} bytes are no multiple of the {row} of one row")
    return shape, int(np.prod(shape, dtype=object))


def written(array: Array, tensor: Tensor) -> bytes:
    """An output's bytes."""
    if tensor.datatype == "BYTES":
        parts = []
        for text in array.reshape(-1).tolist():
            encoded = text.encode() if isinstance(text, str) else bytes(text)
            parts += [_LENGTH.pack(len(encoded)), encoded]
        return b"".join(parts)
    return np.ascontiguousarray(array, np.dtype(tensor.dtype).newbyteorder("<")).tobytes()


def text(data: memoryview, tensor: Tensor) -> Array:
    """A raw text, without its length."""
    return np.array([_decoded(bytes(data), tensor)], dtype=object)


def _texts(data: memoryview, tensor: Tensor, count: int) -> Array:
    if len(data) < count * _LENGTH.size:  # before anything of `count` elements exists
        refuse(f"input '{tensor.name}': {count} elements of BYTES do not fit into {len(data)} bytes")
    array: Array = np.empty(count, dtype=object)
    at = 0
    for index in range(count):
        if at + _LENGTH.size > len(data):
            refuse(f"input '{tensor.name}': expected {count} elements of BYTES, got {index}")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            refuse(f"input '{tensor.name}': element {index} of BYTES is cut off")
        array[index] = _decoded(bytes(data[at : at + length]), tensor)
        at += length
    if at != len(data):
        refuse(f"input '{tensor.name}': {len(data) - at} bytes are left after {count} elements of BYTES")
    return array


def _decoded(element: bytes, tensor: Tensor) -> str:
    # onnxruntime would make the text "b'...'" of bytes, and its strings are UTF-8
    try:
        return element.decode("utf-8")
    except UnicodeDecodeError:
        refuse(f"input '{tensor.name}': an element of BYTES is not UTF-8")
