"""A serving entry to a Service, in words that every target understands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from bedplate.graph import Json, SecretRef
from bedplate.sections.serving import golden, images, model
from bedplate.sections.serving.gates import objectives, requests_to_tell
from bedplate.sections.serving.model import CONTAINER, Model
from bedplate.workloads import (
    Autoscaling,
    Batching,
    CanaryStep,
    Container,
    Gates,
    ModelRef,
    Patch,
    PredictionLog,
    Probes,
    Resources,
    Service,
    Slo,
    Yielded,
)

if TYPE_CHECKING:
    from bedplate.spec.project import Project

KEY = "serving"


def compile(entries: Mapping[str, Model], project: Project) -> Iterator[Yielded]:  # noqa: A001
    """A Service for each entry."""
    for key in sorted(entries):
        yield _service(key, entries[key], project)


def _service(key: str, entry: Model, project: Project) -> Service:
    expose = entry.expose
    return Service(
        address=f"{KEY}.{key}",
        name=entry.identity(key),
        models=tuple(ModelRef(name) for name in entry.served(key)),
        replicas=entry.replicas,
        autoscaling=_autoscaling(entry),
        resources=_resources(entry),
        slo=Slo(p95_s=_float(entry.slo.p95), error_rate=_float(entry.slo.error_rate)),
        probes=Probes(
            int(entry.probes.initial_delay),
            int(entry.probes.period),
            int(entry.probes.timeout),
            int(entry.probes.startup),
        ),
        timeout_s=_float(entry.timeout),
        batching=_batching(entry),
        canary=tuple(
            CanaryStep(str(step.weight.normalize()), int(step.hold)) for step in entry.rollout.canary
        ),
        gates=_gates(entry),
        image=entry.image or images.image(key, entry, project),
        container=_container(entry),
        port=expose.port,
        grpc_port=expose.grpc_port,
        host=expose.host,
        tls=SecretRef(expose.tls.secret) if expose.tls else None,
        api_key=expose.auth.api_key,
        tests=() if entry.runtime == CONTAINER else tuple(golden.compiled(key, entry, project)),
        prediction_log=_prediction_log(entry),
        patches=tuple(
            Patch(index, patch.kind, patch.name, cast(Mapping[str, Json], patch.patch))
            for index, patch in enumerate(entry.kubernetes.patches)
        ),
    )


def _autoscaling(entry: Model) -> Autoscaling | None:
    scaling = entry.autoscaling
    if scaling is None:
        return None
    return Autoscaling(scaling.min, scaling.max, scaling.metric, float(scaling.target))


def _resources(entry: Model) -> Resources:
    requests, limits = entry.resources.requests, entry.resources.limits
    return Resources(
        cpu_request=_float(requests.cpu),
        memory_request=requests.memory,
        cpu_limit=_float(limits.cpu),
        memory_limit=limits.memory,
        gpus=limits.gpu or 0,
    )


def _gates(entry: Model) -> Gates:
    p95, error_rate = objectives(entry)
    return Gates(
        _float(p95), _float(error_rate), max(requests_to_tell(entry), entry.rollout.gates.min_requests or 0)
    )


def _prediction_log(entry: Model) -> PredictionLog | None:
    told = entry.prediction_log
    if told is None:
        return None
    share = f"{told.sample.normalize():f}"
    return PredictionLog(share, int(told.retention), told.to, told.backlog, told.largest)


def _batching(entry: Model) -> Batching | None:
    told = entry.batching
    return None if told is None else Batching(told.max_batch_size, float(told.max_queue_delay))


def _container(entry: Model) -> Container | None:
    if entry.runtime != CONTAINER:
        return None
    told = entry.container or model.Container.model_construct()
    variables = tuple(sorted(told.env.items()))
    return Container(told.port, told.health, told.metrics, told.command, told.args, variables)


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
