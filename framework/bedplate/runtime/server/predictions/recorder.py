"""A worker's side of the log: takes records, never waits, and says how many became durable.

Records are packed in the event loop, some hundreds at once, so that the thread beside it does little but
system calls and seldom holds the interpreter's lock. What cannot be taken or written is counted, not kept.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from bedplate.runtime.server import log
from bedplate.runtime.server.config import PredictionLog
from bedplate.runtime.server.infer import Answer, Signature
from bedplate.runtime.server.predictions.alike import Alike, alike
from bedplate.runtime.server.predictions.journal import Full, Journal
from bedplate.runtime.server.predictions.records import Records

_HASH = blake2b(digest_size=8, person=b"bedplate-sample")
Count = Callable[[str, int], None]

_PACK_AFTER_S = 0.25
_PACK_RECORDS = 1024
_PACK_BYTES = 2**20
_QUEUE_BYTES = 32 * 2**20  # of tensors that wait in memory
_RECORD_BYTES = 300  # what a record takes beside its tensors
_SAY_AGAIN_S = 60.0
_CLOSES_WITHIN_S = 5.0


class Recorder:
    """`count` is told what became of records: logged, queue_full, backlog_full, disk_error, omitted."""

    def __init__(self, told: PredictionLog, count: Count, clock: Callable[[], float] = time.time) -> None:
        self._record_bytes = told.record_bytes
        self._below = share_below(told.sample)
        self._count = count
        self._clock = clock
        self._journal = Journal(
            Path(told.spool), backlog_bytes=told.backlog_bytes, period_s=told.roll_s, clock=clock
        )
        self._pending: dict[Signature, Records] = {}
        self._alike: dict[Signature, Alike] = {}
        self._pending_bytes = self._pending_rows = 0
        self._timer: asyncio.TimerHandle | None = None
        self._frames: queue.SimpleQueue[tuple[bytes, int, int] | None] = queue.SimpleQueue()
        # The loop counts what it hands over, the thread what it is done with: no lock, no lost update.
        self._handed_bytes = self._done_bytes = 0
        self._said_at = -_SAY_AGAIN_S
        self._thread = threading.Thread(target=self._write_all, name="prediction-log", daemon=True)
        self._thread.start()

    def offer(
        self,
        signature: Signature,
        request_id: str,
        answer: Answer | None,
        status: int,
        outcome: str,
        seconds: float,
        arm: str | None = None,
    ) -> None:
        """Take the record of a request, if it is in the sample. Called in the event loop."""
        if self._below is not None and not in_sample(request_id, self._below):
            return
        if self._handed_bytes - self._done_bytes + self._pending_bytes > _QUEUE_BYTES:
            self._count("queue_full", 1)
            return
        if (
            answer is None
            or status != 200
            or not self._like_others(signature, request_id, arm, seconds, answer)
        ):
            self._single(signature, request_id, answer, status, outcome, seconds, arm)
        self._pending_rows += 1
        self._pending_bytes += _RECORD_BYTES
        if self._pending_bytes >= _PACK_BYTES or self._pending_rows >= _PACK_RECORDS:
            self._pack()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PACK_AFTER_S, self._pack)

    def _like_others(
        self, signature: Signature, request_id: str, arm: str | None, seconds: float, answer: Answer
    ) -> bool:
        """Take a record with those that are like it, if there are such."""
        found = self._alike.get(signature)
        if found is None:
            found = alike(signature, arm, answer, self._record_bytes)
            if found is None:
                return False
            self._alike[signature] = found
        if not found.take(request_id, arm, self._clock(), seconds, answer):
            return False
        self._pending_bytes += found.size
        return True

    def _single(
        self,
        signature: Signature,
        request_id: str,
        answer: Answer | None,
        status: int,
        outcome: str,
        seconds: float,
        arm: str | None,
    ) -> None:
        """Take a record by itself."""
        records = self._pending.get(signature)
        if records is None:
            records = self._pending[signature] = Records(signature)
        client_id = kept = shapes = values = None
        if answer is not None:
            request = answer.request
            client_id = request.id
            kept = records.kept(request, answer.arrays, self._record_bytes)
            if kept is None:
                self._count("omitted", 1)
            else:
                size, shapes, values = kept
                self._pending_bytes += size
        omitted = answer is not None and kept is None
        records.taken.append(
            (request_id, client_id, arm, outcome, status, self._clock(), seconds, omitted, shapes, values)
        )

    async def close(self) -> None:
        """Write what is there, and return when it is durable or takes too long."""
        self._pack()
        self._frames.put(None)
        await asyncio.to_thread(self._thread.join, _CLOSES_WITHIN_S)

    def _pack(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending, self._pending = self._pending, {}
        likes, self._alike = self._alike, {}
        self._pending_bytes = self._pending_rows = 0
        for records in pending.values():
            self._hand(records.pack(), len(records.taken))
        for found in likes.values():
            self._hand(found.pack(), found.rows)

    def _hand(self, frame: bytes, rows: int) -> None:
        self._handed_bytes += len(frame)
        self._frames.put((frame, rows, len(frame)))

    def _write_all(self) -> None:
        """The thread: whatever has come up to now is one write and one fsync."""
        ending = False
        while not ending:
            group: list[tuple[bytes, int, int]] = []
            with suppress(queue.Empty):
                first = self._frames.get(timeout=self._journal.left_s())
                while first is not None:
                    group.append(first)
                    first = self._frames.get_nowait()
                ending = True
            self._write(group)
        self._journal.close()

    def _write(self, group: list[tuple[bytes, int, int]]) -> None:
        if not group:
            self._journal.end_period()
            return
        rows = sum(rows for _, rows, _ in group)
        try:
            self._journal.append([frame for frame, _, _ in group])
        except Full as error:
            self._failed("backlog_full", rows, str(error))
        except OSError as error:
            self._failed("disk_error", rows, error.strerror or str(error))
        else:
            self._count("logged", rows)
        self._done_bytes += sum(size for _, _, size in group)

    def _failed(self, state: str, rows: int, reason: str) -> None:
        self._count(state, rows)
        if time.monotonic() - self._said_at >= _SAY_AGAIN_S:
            self._said_at = time.monotonic()
            log.write("error", "predictions not logged", reason=reason, state=state, records=rows)


def share_below(share: float) -> bytes | None:
    """The bound that the hash of a request id is held against; None where all are in the sample."""
    return None if share >= 1 else int(share * 2**64).to_bytes(8, "big")


def in_sample(request_id: str, below: bytes) -> bool:
    """Whether a request is in the sample: a matter of its id alone, the same in every process."""
    digest = _HASH.copy()
    digest.update(request_id.encode())
    return digest.digest() < below
