"""Counts and latencies of all workers of a service, as one Prometheus page that any worker answers.

Each worker writes its own memory-mapped files into a folder that the master owns
(PROMETHEUS_MULTIPROC_DIR, set before this module is imported). Counters never go back: what a dead
worker counted is folded into one file, and only its gauges are forgotten.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from bisect import bisect_left
from collections import Counter as Counted
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from bedplate.runtime.server.predictions import journal

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
UNKNOWN = "unknown"

_EDGES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LOG_STATES = ("logged", "omitted", "queue_full", "backlog_full", "disk_error")
_SIZES = tuple(2**power for power in range(11))
_FOLDED = "0"  # stands where a file's name has the process id


class Metrics:
    """The instruments of one worker. Label values come from the configuration only."""

    def __init__(
        self,
        folder: Path,
        models: Iterable[tuple[str, str]],
        slo_p95_s: float | None,
        spool: Path | None = None,
        *,
        batched: bool = False,
    ) -> None:
        self._folder = folder
        self._spool = spool
        with _locked(folder):
            _fold_the_dead(folder)
        registry = CollectorRegistry()
        edges = sorted({*_EDGES_S, *([slo_p95_s] if slo_p95_s else [])})
        durations = Histogram(
            "bedplate_request_duration_seconds",
            "Time from a request's head to its answer, of answered inference requests.",
            ["model", "version", "arm"],
            buckets=edges,
            registry=registry,
        )
        self._requests = Counter(
            "bedplate_requests",
            "Inference requests by how they ended.",
            ["model", "version", "arm", "code", "outcome"],
            registry=registry,
        )
        self._in_flight = Gauge(
            "bedplate_in_flight",
            "Inference requests that hold a place in a worker.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        logged = Counter(
            "bedplate_prediction_log_records",
            "Records of requests for the prediction log, by what became of them; logged: they are durable.",
            ["state"],
            registry=registry,
        )
        self._logged = {state: logged.labels(state) for state in LOG_STATES}
        # Children are resolved once: looking one up costs more than counting with it.
        self._all_durations = durations
        self._durations: dict[tuple[str, str, str], Histogram] = {}
        self._counters: dict[tuple[str, str, str, int, str], Counter] = {}
        # What was counted since the loop came round: writing a value down costs more than any sum.
        self._ended: dict[tuple[str, str, str, int, str], int] = {}
        self._took: dict[tuple[str, str, str], list[float]] = {}
        self._known = frozenset(models)
        if batched:
            sizes = Histogram(
                "bedplate_batch_size",
                "Rows that were run as one, of each run of a server that batches.",
                ["model", "version"],
                buckets=_SIZES,
                registry=registry,
            )
            self._sizes = {pair: sizes.labels(*pair) for pair in self._known}
        for name, version in self._known:
            self._duration(name, version, "")
            self._counter(name, version, "", 200, "ok")

    def count(self, name: str, version: str, arm: str, code: int, outcome: str, seconds: float) -> None:
        """Count one request; a pair that the configuration does not know counts as unknown.

        `arm` is of the configuration too, empty where no arm was chosen. Called in the event loop, and written
        down when that comes round.
        """
        if not self._ended:
            asyncio.get_running_loop().call_soon(self.write)
        if (name, version) not in self._known:
            name = version = UNKNOWN
        elif outcome == "ok":
            key = (name, version, arm)
            if key in self._took:
                self._took[key].append(seconds)
            else:
                self._took[key] = [seconds]
        ended = (name, version, arm, code, outcome)
        self._ended[ended] = self._ended.get(ended, 0) + 1

    def write(self) -> None:
        """Write down what was counted since the last time."""
        for (name, version, arm), took in self._took.items():
            _observe(self._duration(name, version, arm), took)
        for ended, requests in self._ended.items():
            self._counter(*ended).inc(requests)
        self._took.clear()
        self._ended.clear()

    def _duration(self, name: str, version: str, arm: str) -> Histogram:
        key = (name, version, arm)
        duration = self._durations.get(key)
        if duration is None:
            duration = self._durations[key] = self._all_durations.labels(*key)
        return duration

    def _counter(self, name: str, version: str, arm: str, code: int, outcome: str) -> Counter:
        key = (name, version, arm, code, outcome)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = self._requests.labels(name, version, arm, str(code), outcome)
        return counter

    def in_flight(self, change: int) -> None:
        self._in_flight.inc(change)

    def ran(self, name: str, version: str, rows: int) -> None:
        """Count a batch."""
        self._sizes[name, version].observe(rows)

    def predictions(self, state: str, records: int) -> None:
        """Count records of the prediction log; `omitted` ones, whose tensors are too large, are logged too."""
        self._logged[state].inc(records)

    def page(self) -> bytes:
        """The page over all workers, of what is written down."""
        registry = CollectorRegistry()
        with _locked(self._folder):
            MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
            if self._spool is not None:
                registry.register(_Backlog(self._spool))
            return generate_latest(registry)


def _observe(histogram: Histogram, values: list[float]) -> None:
    """Observe all at once, which `observe` cannot."""
    histogram._sum.inc(sum(values))
    edges = histogram._upper_bounds
    for index, found in Counted(bisect_left(edges, value) for value in values).items():
        histogram._buckets[index].inc(found)


class Rolling:
    """The instruments of the process that rolls the prediction log; of the one before it its counts are kept."""

    def __init__(self, folder: Path) -> None:
        with _locked(folder):
            _fold_the_dead(folder)
        self._failures = Counter(
            "bedplate_prediction_log_failures",
            "Attempts to roll, deliver or forget files of the prediction log that failed.",
            ["step"],
            registry=CollectorRegistry(),
        )

    def failed(self, step: str) -> None:
        self._failures.labels(step).inc()


class _Backlog:
    """What has not reached its destination, as it is when somebody asks."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool

    def collect(self) -> Iterator[Metric]:
        with suppress(OSError):  # what cannot be looked at has no size
            yield GaugeMetricFamily(
                "bedplate_prediction_log_backlog_bytes",
                "Records and files of the prediction log that are not at their destination yet.",
                journal.size_of(self._spool),
            )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Folding moves values between files; nobody may read half of that."""
    with (folder / "fold.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fold_the_dead(folder: Path) -> None:
    for file in sorted(folder.glob("*.db")):
        kind, _, process = file.stem.rpartition("_")
        if process == _FOLDED or _alive(int(process)):
            continue
        if kind in ("counter", "histogram"):
            _fold(file, folder / f"{kind}_{_FOLDED}.db")
        file.unlink()


def _fold(dead: Path, into: Path) -> None:
    total = MmapedDict(str(into))  # type: ignore[no-untyped-call]
    try:
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(dead)):  # type: ignore[no-untyped-call]
            total.write_value(key, total.read_value(key)[0] + value, 0.0)  # type: ignore[no-untyped-call]
    finally:
        total.close()  # type: ignore[no-untyped-call]


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
