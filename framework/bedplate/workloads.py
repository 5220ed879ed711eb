"""What sections yield, in words that every target understands.

A section never says "Deployment" or "process": it yields workloads (what must run, and the files it
needs), and contributions (what one section gives another). A target lowers workloads to resources.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.graph import Json, SecretRef, Value


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that must be where workloads can read it, known by its content.

    It is the project's file at `path` (relative, with forward slashes), or the version of MLflow's registry at
    `uri`, kept by the MLflow at `tracking_uri`. `sha256` is hexadecimal; `size` in bytes.
    """

    address: str
    name: str
    sha256: str
    size: int
    path: str = ""
    uri: str = ""
    tracking_uri: str = ""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model by the key of its entry in `models`; the link stage puts a ServedModel in its place."""

    key: str


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as a server needs it. `version` is what clients see; `sha256` is what must be loaded."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class GoldenTest:
    """A request that a model is sent before it serves, and the answer that it must give; both are JSON texts.

    `source` is the request's file, to name it by. `tolerance` is relative to the expected numbers.
    """

    model: ModelRef | ServedModel
    source: str
    request: str
    expect: str
    tolerance: float


@dataclass(frozen=True, slots=True)
class Slo:
    """Service level objectives: 95th percentile of latency in seconds, and share of failed requests."""

    p95_s: float | None = None
    error_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits and requests: CPUs (fractions allowed), memory in bytes, whole GPUs."""

    cpu_request: float | None = None
    memory_request: int | None = None
    cpu_limit: float | None = None
    memory_limit: int | None = None
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Autoscaling:
    """Replicas between `least` and `most` that keep `metric` near `target` for each of them."""

    least: int
    most: int
    metric: str
    target: float


@dataclass(frozen=True, slots=True)
class Probes:
    """Seconds: before the first probe, between probes, for an answer, until it must be ready."""

    initial_delay_s: int = 10
    period_s: int = 5
    timeout_s: int = 1
    startup_s: int = 60


SIDES = ("stable", "canary")
"""What the two sides of a canary are called in the world, after the service's name and a dash."""


@dataclass(frozen=True, slots=True)
class CanaryStep:
    """A new version gets `weight_share` (exact, such as "0.05") of the requests for `hold_s` seconds."""

    weight_share: str
    hold_s: int


@dataclass(frozen=True, slots=True)
class Gates:
    """What must hold before each next step, decided on `min_requests` or more."""

    p95_s: float | None = None
    error_rate: float | None = None
    min_requests: int = 0


@dataclass(frozen=True, slots=True)
class PredictionLog:
    """Requests and answers that are kept: a `share` of them (exact, such as "0.1"), for so long.

    `to` is a place in a bucket, None where the target chooses. At most `backlog_bytes` wait for their way there;
    tensors over `record_bytes` are left out.
    """

    share: str
    retention_s: int
    to: str | None
    backlog_bytes: int
    record_bytes: int


@dataclass(frozen=True, slots=True)
class Container:
    """A server of the user's own. `command` and `args` empty: the image's; `metrics`: the path, if it has any."""

    port: int
    health: str
    metrics: str | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str | SecretRef], ...] = ()


@dataclass(frozen=True, slots=True)
class Patch:
    """A strategic merge patch of a compiled object; `index` is its place in the spec's list."""

    index: int
    kind: str
    name: str | None
    patch: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Batching:
    """Requests that are run as one: how many rows at the most, and how long one may wait for others."""

    max_batch_size: int
    max_queue_delay_s: float


@dataclass(frozen=True, slots=True)
class Service:
    """A model server, bedplate's own or, with `container`, one of the user's.

    `name` is its identity in the world, `address` the spec's own name of it (`serving.delay`).
    What is None or empty was left out, and the target chooses. `api_key`: callers must present it.
    """

    address: str
    name: str
    models: tuple[ModelRef | ServedModel, ...]
    replicas: int | None = None
    autoscaling: Autoscaling | None = None
    resources: Resources = Resources()
    slo: Slo = Slo()
    probes: Probes = Probes()
    canary: tuple[CanaryStep, ...] = ()
    gates: Gates = Gates()
    image: str | None = None
    container: Container | None = None
    port: int | None = None
    host: str | None = None
    tls: SecretRef | None = None
    api_key: SecretRef | None = None
    tests: tuple[GoldenTest, ...] = ()
    patches: tuple[Patch, ...] = ()
    prediction_log: PredictionLog | None = None
    timeout_s: float | None = None
    batching: Batching | None = None
    grpc_port: int | None = None

    def drain_s(self, least: int) -> int:
        """How long a server that ends may take for what it has: as long as a request may, `least` at the least."""
        return max(least, math.ceil(self.timeout_s or 0))

    def timeouts(self, least_drain_s: int, stop_s: int) -> dict[str, Value]:
        """What its server is told: seconds until it must be ready, have drained, and `stop_s` later have stopped."""
        drain_s = self.drain_s(least_drain_s)
        found: dict[str, Value] = {
            "ready_s": self.probes.startup_s,
            "drain_s": drain_s,
            "stop_s": drain_s + stop_s,
        }
        return found if self.timeout_s is None else {**found, "request_s": self.timeout_s}


Workload = Artifact | Service


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A contribution of `models`: which content and which version stand behind a model's key."""

    key: str
    served: ServedModel


Contribution = ModelVersion
Yielded = Workload | Contribution
