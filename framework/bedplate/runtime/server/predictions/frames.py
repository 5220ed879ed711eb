"""Frames: checksummed blocks of named buffers, one after the other in a file.

    magic, CRC-32 of all that follows but the padding, length of the meta, length of the frame | meta | buffers

A file that was cut off anywhere holds whole frames and then a torn one: a reader takes those, and stops. All
begins at multiples of eight bytes, so that a buffer is an aligned array where it lies.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

_HEAD = struct.Struct("<4sIQQ")
_MAGIC = b"bpl1"
_ALIGNED = 8

Buffer = bytes | memoryview


@dataclass(frozen=True)
class Frame:
    """A frame as read: what was said of it, and its buffers in their order."""

    meta: Mapping[str, object]
    buffers: Sequence[memoryview]


@dataclass(frozen=True)
class Found:
    """The whole frames of a file, and how many bytes of it they are."""

    frames: Sequence[Frame]
    whole_bytes: int


def pack(meta: Mapping[str, object], buffers: Sequence[Buffer]) -> bytes:
    """One frame. `meta` must not have the key `lengths`."""
    told = orjson.dumps({**meta, "lengths": [len(buffer) for buffer in buffers]})
    parts: list[Buffer] = [told, _padding(len(told))]
    for buffer in buffers:
        parts += (buffer, _padding(len(buffer)))
    checksum = length = 0
    for part in parts:
        checksum, length = zlib.crc32(part, checksum), length + len(part)
    return b"".join((_HEAD.pack(_MAGIC, checksum, len(told), length), *parts))


def unpack(data: bytes) -> Found:
    """The frames of a file's bytes, up to the first that is not whole."""
    frames, at, view = [], 0, memoryview(data)
    while (frame := _frame(view, at)) is not None:
        frames.append(frame)
        at += _HEAD.size + _HEAD.unpack_from(view, at)[3]
    return Found(frames, at)


def _frame(view: memoryview, at: int) -> Frame | None:
    if len(view) - at < _HEAD.size:
        return None
    magic, checksum, told, length = _HEAD.unpack_from(view, at)
    body = view[at + _HEAD.size :][:length]
    if magic != _MAGIC or len(body) != length or told > length or zlib.crc32(body) != checksum:
        return None
    meta: dict[str, object] = orjson.loads(body[:told])
    buffers, start = [], told + len(_padding(told))
    for size in meta.pop("lengths"):  # type: ignore[attr-defined]
        buffers.append(body[start : start + size])
        start += size + len(_padding(size))
    return Frame(meta, buffers)


def _padding(length: int) -> bytes:
    return b"\0" * (-length % _ALIGNED)
