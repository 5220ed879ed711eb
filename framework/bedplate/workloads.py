"""What sections yield, in words that every target understands.

A section never says "Deployment" or "process": it yields workloads (what must run, and the files it
needs), and contributions (what one section gives another). A target lowers workloads to resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bedplate.graph import SecretRef


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that must be where workloads can read it, known by its content.

    `path` is relative to the project folder, with forward slashes; `sha256` is hexadecimal; `size` in bytes.
    """

    address: str
    name: str
    path: str
    sha256: str
    size: int
    aliases: tuple[str, ...] = ()


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
class Slo:
    """Service level objectives: 95th percentile of latency in seconds, and share of failed requests."""

    p95_s: float | None = None
    error_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits and requests: CPUs (fractions allowed) and memory in bytes."""

    cpu_request: float | None = None
    memory_request: int | None = None
    cpu_limit: float | None = None
    memory_limit: int | None = None


@dataclass(frozen=True, slots=True)
class CanaryStep:
    """A new version gets `weight_share` (exact, such as "0.05") of the requests for `hold_s` seconds."""

    weight_share: str
    hold_s: int


@dataclass(frozen=True, slots=True)
class Service:
    """A model server that answers the Open Inference Protocol.

    `name` is its identity in the world, `address` the spec's own name of it (`serving.delay`).
    `port` None: the target chooses one and keeps it. `api_key`: callers must present it.
    """

    address: str
    name: str
    models: tuple[ModelRef | ServedModel, ...]
    replicas: int = 1
    resources: Resources = Resources()
    slo: Slo = Slo()
    canary: tuple[CanaryStep, ...] = ()
    port: int | None = None
    api_key: SecretRef | None = None
    aliases: tuple[str, ...] = ()


Workload = Artifact | Service


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A contribution of `models`: which content and which version stand behind a model's key."""

    key: str
    served: ServedModel


Contribution = ModelVersion
Yielded = Workload | Contribution


@dataclass(frozen=True, slots=True)
class FileFact:
    """What the loader saw of a file that the spec names: sha256 in hexadecimal, size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything outside the spec that compiling may look at, read once by the loader.

    `files` maps a path as written in the spec to what was seen of it; `spec` is the sha256 of its text.
    """

    files: Mapping[str, FileFact] = field(default_factory=dict)
    spec: str = ""
