"""Records of answers that are alike, as nearly all of one model are: columns from the first one on.

They differ in their names, times and values alone. A record costs a worker an append for each of these, and a
frame of them next to nothing; all other records go through `records`.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from bedplate.runtime.server.predictions import records
from bedplate.runtime.server.predictions.frames import Buffer

if TYPE_CHECKING:  # what rolls the log does not load what runs models
    from collections.abc import Sequence

    from bedplate.runtime.server.infer import Answer, Signature, Wanted
    from bedplate.runtime.server.model import Array


class Alike:
    """Answers of one model for all its outputs, in the order of its signature; their status is 200.

    `size` is how many bytes the tensors of each are.
    """

    def __init__(self, signature: Signature, arm: str | None, answer: Answer) -> None:
        self._signature = signature
        self._inputs = [tensor.name for tensor in signature.inputs]
        self._arm = arm
        self._asked = answer.request.outputs
        self._look_at(answer)
        self._shapes = [array.shape for array in self._given]
        self._sizes = [array.nbytes for array in self._given]
        self.size = sum(self._sizes)
        self._taken: list[tuple[str, str | None, float, float]] = []
        self._values: list[bytes] = []  # all tensors of a record, one after the other

    def take(
        self, request_id: str, arm: str | None, timestamp_s: float, latency_s: float, answer: Answer
    ) -> bool:
        """Take a record; False of one that is not like the others."""
        request = answer.request
        if request.feeds is not self._feeds or answer.arrays is not self._arrays:
            self._look_at(answer)  # else they are the very arrays of the last one, with other values in them
            self._fits = [array.shape for array in self._given] == self._shapes
        if arm != self._arm or not self._fits or not self._all_asked(request.outputs):
            return False
        self._values.append(b"".join(self._given))  # type: ignore[arg-type]  # arrays are buffers
        self._taken.append((request_id, request.id, timestamp_s, latency_s))
        return True

    def _look_at(self, answer: Answer) -> None:
        """Take an answer's arrays for those that come."""
        self._feeds, self._arrays = answer.request.feeds, answer.arrays
        self._given: Sequence[Array] = [*map(self._feeds.__getitem__, self._inputs), *self._arrays]
        self._fits = True

    def _all_asked(self, outputs: Sequence[Wanted]) -> bool:
        """Whether these are all outputs, in the signature's order."""
        if outputs is not self._asked and [wanted.tensor for wanted in outputs] != [*self._signature.outputs]:
            return False
        self._asked = outputs
        return True

    @property
    def rows(self) -> int:
        return len(self._taken)

    def pack(self) -> bytes:
        """Their frame."""
        told = [
            {"name": tensor.name, "datatype": tensor.datatype, "present": self.rows, "shape": shape}
            for tensor, shape in zip(
                (*self._signature.inputs, *self._signature.outputs), self._shapes, strict=True
            )
        ]
        ids, client_ids, timestamps, latencies = zip(*self._taken, strict=True)
        texts: dict[str, Sequence[str | None]] = {
            "request_id": ids,
            "client_id": client_ids,
            "arm": [self._arm] * self.rows,
            "outcome": ["ok"] * self.rows,
        }
        plain: list[Buffer] = [
            np.full(self.rows, 200, np.int16).tobytes(),
            records.microseconds(timestamps),
            np.array(latencies).tobytes(),
            bytes(self.rows),
        ]
        return records.frame(self._signature, texts, plain, told, self._columns())

    def _columns(self) -> Sequence[bytes]:
        """The values of each tensor in all records."""
        table = np.frombuffer(b"".join(self._values), np.uint8).reshape(self.rows, self.size)
        ends = [*accumulate(self._sizes)]
        return [table[:, end - size : end].tobytes() for size, end in zip(self._sizes, ends, strict=True)]


def alike(signature: Signature, arm: str | None, answer: Answer, most_bytes: int) -> Alike | None:
    """What takes answers like this one; None where they have no such form, or are larger than is kept."""
    tensors = (*signature.inputs, *signature.outputs)
    if any(tensor.datatype == "BYTES" for tensor in tensors):
        return None
    if [wanted.tensor for wanted in answer.request.outputs] != list(signature.outputs):
        return None
    found = Alike(signature, arm, answer)
    return found if 0 < found.size <= most_bytes else None
