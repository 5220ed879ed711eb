"""The grammar of a serving entry."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from bedplate.spec.entry import Entry
from bedplate.spec.model import SpecModel, optional, part, required
from bedplate.spec.numbers import Integer, Number
from bedplate.spec.places import BucketValue, HostNameValue, ImageValue
from bedplate.spec.quantities import CpuValue, Duration, DurationValue, MemoryValue, Percent
from bedplate.spec.raw import RawValue
from bedplate.spec.secrets import SecretValue, TextOrSecretValue, VariableNameValue
from bedplate.spec.types import (
    HttpPath,
    NameValue,
    OneOf,
    PathValue,
    TextValue,
)

BEDPLATE, CONTAINER = "bedplate", "container"
RUNTIMES = {BEDPLATE: "bedplate's own, for ONNX models", CONTAINER: "a container of yours, on a cluster"}
METRICS = {
    "cpu": "the percentage of the requested CPU that is used",
    "memory": "the percentage of the requested memory that is used",
    "concurrency": "requests that are answered at once",
    "rps": "requests per second",
}


class Requests(SpecModel):
    """Amounts of CPU and memory that are sure to be there."""

    cpu: CpuValue | None = optional(
        None, "Cores; 500m is half of one.", "1", absent="1 on a cluster, or the limit where that is less."
    )
    memory: MemoryValue | None = optional(
        None,
        "Bytes, with units as Kubernetes reads them.",
        "2Gi",
        absent="2Gi on a cluster, or the limit where that is less.",
    )


class Limits(SpecModel):
    """Amounts of CPU, memory and GPUs that are not to be passed."""

    cpu: CpuValue | None = optional(
        None, "Cores; 500m is half of one.", "2", absent="2 on a cluster, none on this machine."
    )
    memory: MemoryValue | None = optional(
        None,
        "Bytes, with units as Kubernetes reads them.",
        "4Gi",
        absent="4Gi on a cluster, none on this machine.",
    )
    gpu: Annotated[int, Integer(1, 16)] | None = optional(None, "Whole GPUs.", "1", absent="none.")


class ResourceNeeds(SpecModel):
    """What each replica needs, and what it may take at most."""

    requests: Requests = part(
        Requests, "What each replica is sure to get on a cluster.", "{cpu: 1, memory: 2Gi}"
    )
    limits: Limits = part(Limits, "What each replica gets at most.", "{cpu: 2, memory: 4Gi}")


class Autoscaling(SpecModel):
    """Replicas that follow the load."""

    min: Annotated[int, Integer(1, 1000)] = required("The fewest replicas.", "3")
    max: Annotated[int, Integer(1, 1000)] = required("The most replicas.", "20")
    metric: Annotated[str, OneOf(METRICS)] = optional("cpu", "What is kept near the target.", "concurrency")
    target: Annotated[Decimal, Number(Decimal("0.1"), Decimal(1_000_000))] = required(
        "What the metric shall be for each replica.", "70"
    )


class Traffic(SpecModel):
    """What is expected of the callers. It is what checks reckon with; nothing is limited by it."""

    expected_rps: Annotated[Decimal, Number(Decimal("0.001"), Decimal(10_000_000))] = required(
        "Requests per second on a usual day.", "50"
    )


class Objectives(SpecModel):
    """Service level objectives."""

    p95: DurationValue | None = optional(
        None, "95 of 100 requests are answered within this time.", "100ms", absent="nothing is promised."
    )
    error_rate: Annotated[Decimal, Percent()] | None = optional(
        None, "The share of requests that may fail.", "0.1%", absent="nothing is promised."
    )


class Probes(SpecModel):
    """When a replica counts as ready, and when as dead."""

    initial_delay: Annotated[Decimal, Duration(whole_seconds=True)] = optional(
        Decimal(10), "How long a cluster waits before it asks first.", "10s"
    )
    period: Annotated[Decimal, Duration(whole_seconds=True)] = optional(
        Decimal(5), "How often a cluster asks.", "5s"
    )
    timeout: Annotated[Decimal, Duration(whole_seconds=True)] = optional(
        Decimal(1), "How long an answer may take.", "1s"
    )
    startup: Annotated[Decimal, Duration(whole_seconds=True)] = optional(
        Decimal(60), "How long a replica may take from its start until it is ready.", "5m"
    )


class Test(SpecModel):
    """A request and the answer that it must get."""

    model: NameValue | None = optional(
        None, "The model that is asked.", "delay", absent="the one that is served, if it is one."
    )
    request: PathValue = required("A file with the body of an inference request in JSON.", "tests/late.json")
    expect: PathValue = required(
        "A file with the body of the answer; of it, what is written must be so.", "tests/late.out.json"
    )
    tolerance: Annotated[Decimal, Number(Decimal(0), Decimal(1))] = optional(
        Decimal(0), "How far numbers may be off, relative to the expected one.", "0.0001"
    )


class Step(SpecModel):
    """One step of a canary."""

    weight: Annotated[Decimal, Percent(below_hundred=True)] = required(
        "The share of requests that the new version gets.", "5%"
    )
    hold: Annotated[Decimal, Duration(whole_seconds=True)] = required("How long the step lasts.", "1h")


class Gates(SpecModel):
    """What must hold before each next step of a canary."""

    p95: DurationValue | None = optional(
        None, "95 of 100 requests are answered within this time.", "100ms", absent="the objective in slo."
    )
    error_rate: Annotated[Decimal, Percent()] | None = optional(
        None, "The share of requests that may fail.", "0.1%", absent="the objective in slo."
    )
    min_requests: Annotated[int, Integer(1, 1_000_000_000)] | None = optional(
        None,
        "With fewer requests nothing is decided, and the rollout pauses.",
        "3000",
        absent="as many as it takes to tell.",
    )


class Rollout(SpecModel):
    """How a change reaches the callers."""

    canary: tuple[Step, ...] = optional(
        (),
        "Steps of rising weight; after the last one, the new version gets everything.",
        "[{weight: 5%, hold: 1h}]",
    )
    gates: Gates = part(Gates, "What must hold before each next step.", "{min_requests: 3000}")


class PredictionLog(SpecModel):
    """What is asked of the models and what they answer, kept in Parquet."""

    sample: Annotated[Decimal, Percent()] = optional(
        Decimal(1), "The share of requests that is logged, chosen by their ids.", "10%"
    )
    retention: Annotated[Decimal, Duration(whole_seconds=True)] = optional(
        Decimal(30 * 86400), "How long files are kept.", "90d"
    )
    to: BucketValue | None = optional(
        None,
        "The bucket where finished files go. Who may write there, AWS's own files say.",
        "s3://acme-ml/flights/predictions",
        absent="a folder of this machine, .bedplate/predictions/ENVIRONMENT, which destroy leaves alone.",
    )
    backlog: MemoryValue = optional(
        2**30,
        "How much may wait on the disk for its way there. What comes beyond that is not logged, and counted.",
        "4Gi",
    )
    largest: MemoryValue = optional(
        2**20, "A request whose tensors are larger is logged without them, and counted.", "256Ki"
    )


class Batching(SpecModel):
    """Requests that come within a moment of each other, run as one."""

    max_batch_size: Annotated[int, Integer(2, 1024)] = optional(
        32, "The most rows that are run as one; a request of more runs alone.", "64"
    )
    max_queue_delay: DurationValue = optional(
        Decimal("0.002"), "How long a request may wait for others, 5ms at the most.", "1ms"
    )


class Auth(SpecModel):
    """Who may call."""

    api_key: SecretValue | None = optional(
        None, "The key that callers must present.", "{secret: delay-key}", absent="everybody may call."
    )


class Tls(SpecModel):
    """The certificate that callers are shown."""

    secret: NameValue = required(
        "The secret with the certificate and its key; on this machine its value is both, in PEM.", "delay-tls"
    )


class Expose(SpecModel):
    """Where callers find the server, and who they must be."""

    port: Annotated[int, Integer(1024, 65535)] | None = optional(
        None, "The port on this machine.", "8080", absent="one is chosen and kept; on a cluster it is 8080."
    )
    grpc_port: Annotated[int, Integer(1024, 65535)] | None = optional(
        None, "The port for gRPC, beside that for HTTP.", "9000", absent="it is asked over HTTP only."
    )
    host: HostNameValue | None = optional(
        None,
        "The host name under which a cluster's gateway serves it.",
        "delay.acme.example",
        absent="it is reached inside the cluster only.",
    )
    tls: Tls | None = optional(
        None,
        "The certificate that callers are shown.",
        "{secret: delay-tls}",
        absent="it is plain HTTP; on a cluster the gateway's listener has one.",
    )
    auth: Auth = part(Auth, "Who may call.", "{api_key: {secret: delay-key}}", absent="everybody.")


class Container(SpecModel):
    """A server of one's own: what runtime `container` starts from the entry's image."""

    port: Annotated[int, Integer(1, 65535)] = optional(8080, "The port that it listens on.", "8080")
    health: Annotated[str, HttpPath()] = optional(
        "/health", "The path that answers 200 when it is ready.", "/healthz"
    )
    metrics: Annotated[str, HttpPath()] | None = optional(
        None,
        "The path of its metrics for Prometheus, named as those of bedplate's own server: bedplate_requests_total "
        "with the label code, the histogram bedplate_request_duration_seconds, bedplate_in_flight.",
        "/metrics",
        absent="it has none, so that no gates can hold its canary, and no count of requests can scale it.",
    )
    command: tuple[TextValue, ...] = optional(
        (), "The program to run.", "[python, serve.py]", absent="the image's own."
    )
    args: tuple[TextValue, ...] = optional((), "What it is called with.", "[--verbose]")
    env: dict[VariableNameValue, TextOrSecretValue] = optional(
        {},
        "Variables of its environment: texts, and secrets by name.",
        "{LOG_LEVEL: info, TOKEN: {secret: hub-token}}",
    )


class Patch(SpecModel):
    """A change to one of the compiled objects, in Kubernetes' own words."""

    kind: TextValue = required("The object's kind.", "Deployment")
    name: TextValue | None = optional(
        None, "The object's name.", "delay", absent="the one object of this kind."
    )
    patch: RawValue = required(
        "A strategic merge patch.", "{spec: {template: {spec: {nodeSelector: {pool: gpu}}}}}"
    )


class KubernetesPart(SpecModel):
    """What only a cluster understands. Other targets have no use for it."""

    patches: tuple[Patch, ...] = optional(
        (),
        "Changes to the compiled objects, checked by the policies afterwards.",
        "[{kind: Deployment, patch: {spec: {template: {spec: {priorityClassName: high}}}}}]",
    )


class Model(Entry):
    """A server of models that answers the Open Inference Protocol."""

    NOT_BOTH = (("model", "models"), ("replicas", "autoscaling"))

    model: NameValue | None = optional(
        None, "The model to serve.", "delay", absent="the one of the entry's own key, unless `models` says."
    )
    models: tuple[NameValue, ...] = optional((), "The models to serve, if they are several.", "[delay, hub]")
    runtime: Annotated[str, OneOf(RUNTIMES)] = optional(BEDPLATE, "The server.", "container")
    image: ImageValue | None = optional(
        None,
        "The image that a cluster runs. In production by digest.",
        "ghcr.io/acme/delay@sha256:" + 64 * "0",
        absent="the one that bedplate.lock pins, or the newest of the environment's registry.",
    )
    container: Container | None = optional(
        None, "How runtime `container` is started and asked.", "{port: 8080, health: /healthz}"
    )
    replicas: Annotated[int, Integer(1, 64)] | None = optional(
        None, "How many of it there are.", "3", absent="1 on this machine, 3 on a cluster."
    )
    autoscaling: Autoscaling | None = optional(
        None, "Replicas that follow the load.", "{min: 3, max: 20, metric: cpu, target: 70}", absent="none."
    )
    resources: ResourceNeeds = part(
        ResourceNeeds,
        "What each replica needs, and what it may take at most.",
        "{requests: {cpu: 1, memory: 2Gi}, limits: {cpu: 2, memory: 4Gi}}",
    )
    traffic: Traffic | None = optional(
        None, "What is expected of the callers.", "{expected_rps: 50}", absent="unknown."
    )
    slo: Objectives = part(Objectives, "Service level objectives.", "{p95: 100ms, error_rate: 0.1%}")
    timeout: DurationValue | None = optional(
        None,
        "A request that is not answered within this time gets a 504; one that still waits then is not run at all.",
        "2s",
        absent="30s.",
    )
    probes: Probes = part(
        Probes, "When a replica counts as ready, and when as dead.", "{startup: 5m, period: 10s}"
    )
    tests: tuple[Test, ...] = optional(
        (),
        "Requests and the answers that they must get: every version of a model is asked before it serves anybody.",
        "[{request: tests/late.json, expect: tests/late.out.json}]",
    )
    rollout: Rollout = part(
        Rollout,
        "How a change reaches the callers.",
        "{canary: [{weight: 5%, hold: 1h}], gates: {min_requests: 3000}}",
        absent="at once, when the new version has proved itself.",
    )
    batching: Batching | None = optional(
        None,
        "Runs requests that come within a moment of each other as one. It is worth its wait where a model takes "
        "milliseconds for one row and little more for many; {} is enough.",
        "{max_batch_size: 32, max_queue_delay: 2ms}",
        absent="every request runs by itself.",
    )
    prediction_log: PredictionLog | None = optional(
        None,
        "Keeps requests and answers in Parquet, for monitoring, experiments and retraining. Callers' data is "
        "kept only where somebody wrote that it shall be; {} is enough.",
        "{sample: 10%, retention: 90d}",
        absent="nothing of a request is kept.",
    )
    expose: Expose = part(Expose, "Where callers find the server.", "{port: 8080}")
    kubernetes: KubernetesPart = part(
        KubernetesPart,
        "What only a cluster understands.",
        "{patches: [{kind: Deployment, patch: {metadata: {labels: {team: hub}}}}]}",
    )

    def served(self, key: str) -> tuple[str, ...]:
        """The keys of the models that the entry under `key` serves; none where a container brings its own."""
        if self.models:
            return self.models
        if self.model is None and self.runtime == CONTAINER:
            return ()
        return (self.model or key,)
