"""Records of answers that are alike, as nearly all of one model are: columns from the first one on.

They differ in their names, times and values alone. A record costs a worker an append for each of these, and a
frame of them next to nothing; all other records go through `records`.
"""

from __future__ import annotations

from operator import attrgetter, methodcaller
from typing import TYPE_CHECKING

import numpy as np

from bedplate.runtime.server.predictions import records
from bedplate.runtime.server.predictions.frames import Buffer

if TYPE_CHECKING:  # what rolls the log does not load what runs models
    from collections.abc import Sequence

    from bedplate.runtime.server.infer import Answer, Signature, Wanted
    from bedplate.runtime.server.model import Array

_shape, _tobytes = attrgetter("shape"), methodcaller("tobytes")


class Alike:
    """Answers of one model for all its outputs, in the order of its signature; their status is 200.

    `size` is how many bytes the tensors of each are.
    """

    def __init__(self, signature: Signature, arm: str | None, answer: Answer) -> None:
        self._signature = signature
        self._inputs = [tensor.name for tensor in signature.inputs]
        self._arm = arm
        self._asked = answer.request.outputs
        given = self._given(answer)
        self._shapes = [array.shape for array in given]
        self.size = sum(array.nbytes for array in given)
        self._taken: list[tuple[str, str | None, float, float]] = []
        self._values: list[list[bytes]] = []

    def take(
        self, request_id: str, arm: str | None, timestamp_s: float, latency_s: float, answer: Answer
    ) -> bool:
        """Take a record; False of one that is not like the others."""
        request = answer.request
        given = self._given(answer)
        if arm != self._arm or list(map(_shape, given)) != self._shapes:
            return False
        if not self._all_asked(request.outputs):
            return False
        self._values.append(list(map(_tobytes, given)))
        self._taken.append((request_id, request.id, timestamp_s, latency_s))
        return True

    def _all_asked(self, outputs: Sequence[Wanted]) -> bool:
        """Whether these are all outputs, in the signature's order."""
        return outputs is self._asked or [wanted.tensor for wanted in outputs] == [*self._signature.outputs]

    def _given(self, answer: Answer) -> Sequence[Array]:
        feeds = answer.request.feeds
        if len(feeds) == 1:
            return [*feeds.values(), *answer.arrays]
        return [*[feeds[name] for name in self._inputs], *answer.arrays]

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
        columns = zip(*self._values, strict=True)
        return records.frame(self._signature, texts, plain, told, list(map(b"".join, columns)))


def alike(signature: Signature, arm: str | None, answer: Answer, most_bytes: int) -> Alike | None:
    """What takes answers like this one; None where they have no such form, or are larger than is kept."""
    tensors = (*signature.inputs, *signature.outputs)
    if any(tensor.datatype == "BYTES" for tensor in tensors):
        return None
    if [wanted.tensor for wanted in answer.request.outputs] != list(signature.outputs):
        return None
    found = Alike(signature, arm, answer)
    return found if found.size <= most_bytes else None
