"""Serving: model servers, how big they are, what they promise, and where they listen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bedplate.diagnostics import Diagnostic, Related, did_you_mean
from bedplate.spec.model import SpecModel
from bedplate.spec.quantities import CpuValue, Duration, DurationValue, MemoryValue, Percent
from bedplate.spec.types import (
    Integer,
    NameValue,
    OneOf,
    SecretValue,
)
from bedplate.workloads import CanaryStep, ModelRef, Resources, Service, Slo, Yielded

if TYPE_CHECKING:
    from bedplate.spec.project import Project

KEY = "serving"


class Amounts(SpecModel):
    """Amounts of CPU and memory."""

    cpu: CpuValue | None = Field(None, description="Cores; 500m is half of one.", examples=["1"])
    memory: MemoryValue | None = Field(
        None, description="Bytes, with units as Kubernetes reads them.", examples=["2Gi"]
    )


class ResourceNeeds(SpecModel):
    """What the server needs, and what it may take at most."""

    requests: Amounts = Field(
        default_factory=Amounts.model_construct,
        description="What each replica is sure to get.",
        examples=["{cpu: 1, memory: 2Gi}"],
    )
    limits: Amounts = Field(
        default_factory=Amounts.model_construct,
        description="What each replica gets at most.",
        examples=["{cpu: 2, memory: 4Gi}"],
    )


class Objectives(SpecModel):
    """Service level objectives."""

    p95: DurationValue | None = Field(
        None, description="95 of 100 requests are answered within this time.", examples=["100ms"]
    )
    error_rate: Annotated[Decimal, Percent()] | None = Field(
        None, description="The share of requests that may fail.", examples=["0.1%"]
    )


class Step(SpecModel):
    """One step of a canary."""

    weight: Annotated[Decimal, Percent(below_hundred=True)] = Field(
        description="The share of requests that the new version gets.", examples=["5%"]
    )
    hold: Annotated[Decimal, Duration(whole_seconds=True)] = Field(
        description="How long the step lasts.", examples=["1h"]
    )


class Rollout(SpecModel):
    """How a change reaches the callers."""

    canary: tuple[Step, ...] = Field(
        (),
        description="Steps of rising weight; after the last one, the new version gets everything.",
        examples=["[{weight: 5%, hold: 1h}]"],
    )


class Auth(SpecModel):
    """Who may call."""

    api_key: SecretValue | None = Field(
        None, description="The key that callers must present.", examples=["{secret: delay-key}"]
    )


class Expose(SpecModel):
    """Where the server listens."""

    port: Annotated[int, Integer(1024, 65535)] | None = Field(
        None, description="The port; left out, one is chosen and kept.", examples=["8080"]
    )
    auth: Auth = Field(
        default_factory=Auth.model_construct,
        description="Who may call.",
        examples=["{api_key: {secret: delay-key}}"],
    )


class Model(SpecModel):
    """A model server that answers the Open Inference Protocol."""

    model: NameValue | None = Field(
        None, description="The model to serve; left out, the one of the entry's own name.", examples=["delay"]
    )
    runtime: Annotated[str, OneOf(("bedplate",))] = Field(
        "bedplate", description="The server that runs the model.", examples=["bedplate"]
    )
    replicas: Annotated[int, Integer(1, 64)] = Field(
        1, description="How many processes answer.", examples=["3"]
    )
    resources: ResourceNeeds = Field(
        default_factory=ResourceNeeds.model_construct,
        description="What the server needs, and what it may take at most.",
        examples=["{limits: {cpu: 2, memory: 4Gi}}"],
    )
    slo: Objectives = Field(
        default_factory=Objectives.model_construct,
        description="Service level objectives.",
        examples=["{p95: 100ms, error_rate: 0.1%}"],
    )
    rollout: Rollout = Field(
        default_factory=Rollout.model_construct,
        description="How a change reaches the callers.",
        examples=["{canary: [{weight: 5%, hold: 1h}]}"],
    )
    expose: Expose = Field(
        default_factory=Expose.model_construct,
        description="Where the server listens.",
        examples=["{port: 8080}"],
    )


def files(entries: Mapping[str, Model]) -> Iterator[tuple[tuple[str, ...], str]]:
    yield from ()


def check(entries: Mapping[str, Model], project: Project) -> Iterator[Diagnostic]:
    """Unknown models, requests over limits, canary weights that do not rise, ports taken twice."""
    known = project.declared("models")
    for name, entry in entries.items():
        yield from _unknown_model(name, entry, known)
        yield from _over_limit(name, entry.resources)
        yield from _falling_weights(name, entry.rollout)
    yield from _shared_ports(entries, project)


def compile(entries: Mapping[str, Model], project: Project) -> Iterator[Yielded]:  # noqa: A001
    for name in sorted(entries):
        yield _service(name, entries[name])


def _service(name: str, entry: Model) -> Service:
    requests, limits = entry.resources.requests, entry.resources.limits
    return Service(
        address=f"{KEY}.{name}",
        name=name,
        models=(ModelRef(entry.model or name),),
        replicas=entry.replicas,
        resources=Resources(
            cpu_request=_float(requests.cpu),
            memory_request=requests.memory,
            cpu_limit=_float(limits.cpu),
            memory_limit=limits.memory,
        ),
        slo=Slo(p95_s=_float(entry.slo.p95), error_rate=_float(entry.slo.error_rate)),
        canary=tuple(
            CanaryStep(str(step.weight.normalize()), int(step.hold)) for step in entry.rollout.canary
        ),
        port=entry.expose.port,
        api_key=entry.expose.auth.api_key,
    )


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _unknown_model(name: str, entry: Model, known: frozenset[str]) -> Iterator[Diagnostic]:
    wanted = entry.model or name
    if wanted in known:
        return
    near = did_you_mean(wanted, known)
    there_are = f"there are: {', '.join(sorted(known))}" if known else "there are none: add it under models"
    missing = "" if entry.model else ", and this entry names no other"
    yield Diagnostic(
        "BP201",
        f"there is no model {wanted}{missing}",
        (KEY, name, "model"),
        help=f"did you mean {near}?" if near else there_are,
    )


def _over_limit(name: str, resources: ResourceNeeds) -> Iterator[Diagnostic]:
    requests, limits = resources.requests, resources.limits
    over = {
        "cpu": requests.cpu is not None and limits.cpu is not None and requests.cpu > limits.cpu,
        "memory": requests.memory is not None
        and limits.memory is not None
        and requests.memory > limits.memory,
    }
    for resource in (key for key, is_over in over.items() if is_over):
        yield Diagnostic(
            "BP203",
            f"the request for {resource} is over its limit",
            (KEY, name, "resources", "requests", resource),
            help="lower the request or raise the limit",
        )


def _falling_weights(name: str, rollout: Rollout) -> Iterator[Diagnostic]:
    for index, (before, step) in enumerate(pairwise(rollout.canary), 1):
        if step.weight <= before.weight:
            yield Diagnostic(
                "BP204",
                f"canary weights must rise; {_percent(step.weight)} comes after {_percent(before.weight)}",
                (KEY, name, "rollout", "canary", index, "weight"),
                help="order the steps by weight",
            )


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f}%"


def _shared_ports(entries: Mapping[str, Model], project: Project) -> Iterator[Diagnostic]:
    taken: dict[int, str] = {}
    for name, entry in entries.items():
        port = entry.expose.port
        if port is None:
            continue
        first = taken.setdefault(port, name)
        if first != name:
            yield Diagnostic(
                "BP202",
                f"the port {port} is taken by {KEY}.{first}",
                (KEY, name, "expose", "port"),
                help="choose another port, or leave it out",
                related=(Related(project.span((KEY, first, "expose", "port")), "taken here"),),
            )
