"""What is wrong across the fields of serving entries, and between them and the models."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from bedplate.diagnostics import Diagnostic, PathKey, Related, meant_or
from bedplate.secret_shapes import has_credentials, names_a_secret
from bedplate.sections.models import version_of
from bedplate.sections.serving import batching, gates, golden, images
from bedplate.sections.serving.model import BEDPLATE, CONTAINER, Model
from bedplate.spec.names import world_name
from bedplate.workloads import SIDES

if TYPE_CHECKING:
    from bedplate.spec.project import Project

KEY = "serving"
# What a model's bytes grow to in the server's memory, at the least: they are read, and then built.
_MEMORY_PER_BYTE = 2
_NO_VALUE = ", and a secret's value cannot stand in the spec"
# A worker writes as much at once when it has been held up.
_LEAST_BACKLOG = 64 * 2**20
_CPU_PERIOD_S = Decimal("0.1")


def check(entries: Mapping[str, Model], project: Project) -> Iterator[Diagnostic]:
    """Every entry by itself, against the models, and against each other."""
    known = project.declared("models")
    for key, entry in entries.items():
        if known is not None:
            yield from _at(key, _models(key, entry, project, known))
        yield from _at(key, _runtime(entry))
        yield from _at(key, _variables(entry))
        yield from _at(key, _resources(key, entry, project))
        yield from _at(key, _autoscaling(entry))
        yield from _at(key, _probes(entry))
        yield from _at(key, _throttling(entry))
        yield from _at(key, _weights(entry))
        yield from _at(key, batching.check(key, entry, project))
        yield from _at(key, gates.check(entry))
        yield from _at(key, golden.check(key, entry, project))
        yield from _at(key, images.check(key, entry, project))
    yield from _ports(entries, project)
    yield from _sides(entries, project)


def _at(key: str, found: Iterator[Diagnostic]) -> Iterator[Diagnostic]:
    """Diagnostics of an entry, whose paths begin at it."""
    for diagnostic in found:
        yield replace(diagnostic, path=(KEY, key, *diagnostic.path))


def _models(key: str, entry: Model, project: Project, known: Collection[str]) -> Iterator[Diagnostic]:
    for index, wanted in enumerate(entry.served(key)):
        path: tuple[PathKey, ...] = ("models", index) if entry.models else ("model",)
        if wanted in entry.served(key)[:index]:
            yield Diagnostic("BP237", f"{wanted} is listed twice", path, help="take one of them out")
            continue
        if wanted in known:
            yield from _format(wanted, path, entry, project)
            continue
        if wanted in project.elsewhere.get("models", ()):
            yield Diagnostic(
                "BP201",
                f"the model {wanted} does not exist in {project.environment.name}",
                path,
                help=f"add {project.environment.name} to models.{wanted}.environments",
            )
            continue
        there_are = (
            f"there are: {', '.join(sorted(known))}" if known else "there are none: add it under models"
        )
        missing = "" if entry.model or entry.models else ", and this entry names no other"
        yield Diagnostic(
            "BP201",
            f"there is no model {wanted}{missing}",
            path,
            help=meant_or(wanted, known, there_are),
        )


def _format(wanted: str, path: tuple[PathKey, ...], entry: Model, project: Project) -> Iterator[Diagnostic]:
    model = project.sections.get("models", {}).get(wanted)
    if model is not None and entry.runtime == BEDPLATE and model.format != "onnx":
        yield Diagnostic(
            "BP214",
            f"runtime bedplate serves models in ONNX, and {wanted} is a {model.format}",
            path,
            help="export it to ONNX, or serve it with runtime: container",
        )


def _runtime(entry: Model) -> Iterator[Diagnostic]:
    if entry.runtime == CONTAINER and entry.image is None:
        yield Diagnostic(
            "BP212",
            "runtime container needs an image",
            ("runtime",),
            help="add image: REGISTRY/PATH@sha256:...",
        )
    if entry.runtime != CONTAINER and entry.container is not None:
        yield Diagnostic(
            "BP213",
            f"container means nothing to runtime {entry.runtime}",
            ("container",),
            help="say runtime: container, or take it out",
            at_key=True,
        )
    elif entry.runtime == BEDPLATE and entry.resources.limits.gpu is not None:
        yield Diagnostic(
            "BP216",
            "runtime bedplate computes on CPUs",
            ("resources", "limits", "gpu"),
            help="serve it with runtime: container and an image that uses GPUs, or take gpu out",
        )
    for path, said, what in (
        (("timeout",), entry.timeout, "answers in time or says so"),
        (("batching",), entry.batching, "runs requests as one"),
        (("expose", "grpc_port"), entry.expose.grpc_port, "is asked on a port for gRPC"),
    ):
        if entry.runtime != BEDPLATE and said is not None:
            yield Diagnostic(
                "BP245",
                f"only bedplate's own server {what}, and this is runtime {entry.runtime}",
                path,
                help="tell the container itself, or take it out",
                at_key=True,
            )
    if entry.runtime != BEDPLATE and entry.prediction_log is not None:
        yield Diagnostic(
            "BP236",
            f"only bedplate's own server logs predictions, and this is runtime {entry.runtime}",
            ("prediction_log",),
            help="say runtime: bedplate, or take it out",
            at_key=True,
        )
    if entry.prediction_log is not None and entry.prediction_log.backlog < _LEAST_BACKLOG:
        yield Diagnostic(
            "BP236",
            f"a backlog of {_mebibytes(entry.prediction_log.backlog)} does not hold what one write may be",
            ("prediction_log", "backlog"),
            help=f"{_mebibytes(_LEAST_BACKLOG)} or more",
        )
    if entry.tests and entry.runtime == CONTAINER and not entry.models and entry.model is None:
        yield Diagnostic(
            "BP225",
            "a test needs a model's signature, and this entry names no model",
            ("tests",),
            help="say which model the container serves, or take the tests out",
            at_key=True,
        )


def _variables(entry: Model) -> Iterator[Diagnostic]:
    """Values in plain text under names of secrets; a path is where a secret is, not what it is."""
    for name, value in entry.container.env.items() if entry.container else ():
        if isinstance(value, str) and (why := _tells(name, value)):
            help_text = f"name it: {name}: {{secret: NAME}}"
            yield Diagnostic("BP110", f"{why}{_NO_VALUE}", ("container", "env", name), help=help_text)
    for index, patch in enumerate(entry.kubernetes.patches):
        for path, why in _told_in(patch.patch, ("kubernetes", "patches", index, "patch")):
            help_text = "take it from a Secret: valueFrom: {secretKeyRef: {name: NAME, key: KEY}}"
            yield Diagnostic("BP110", f"{why}{_NO_VALUE}", path, help=help_text)


def _tells(name: str, value: str) -> str | None:
    """Why a text under this name is a secret's value, None where it is none."""
    if has_credentials(value):
        return "this address holds credentials"
    if value and not value.startswith("/") and names_a_secret(name):
        return f"{name} is what a secret is called"
    return None


def _told_in(value: object, path: tuple[PathKey, ...]) -> Iterator[tuple[tuple[PathKey, ...], str]]:
    """Secrets' values in a patch, also those of variables: {name: DB_PASSWORD, value: ...}."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            name = value["name"] if key == "value" and isinstance(value.get("name"), str) else key
            if isinstance(item, str) and (why := _tells(name, item)):
                yield (*path, key), why
            else:
                yield from _told_in(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _told_in(item, (*path, index))


def _resources(key: str, entry: Model, project: Project) -> Iterator[Diagnostic]:
    requests, limits = entry.resources.requests, entry.resources.limits
    over = {
        "cpu": requests.cpu is not None and limits.cpu is not None and requests.cpu > limits.cpu,
        "memory": requests.memory is not None
        and limits.memory is not None
        and requests.memory > limits.memory,
    }
    for resource in (name for name, is_over in over.items() if is_over):
        yield Diagnostic(
            "BP203",
            f"the request for {resource} is over its limit",
            ("resources", "requests", resource),
            help="lower the request or raise the limit",
        )
    if limits.memory is None or entry.runtime != BEDPLATE:
        return
    models = project.sections.get("models", {})
    pins = [version_of(name, models[name], project) for name in entry.served(key) if name in models]
    needed = sum(pin.size for pin in pins if pin) * _MEMORY_PER_BYTE
    if needed > limits.memory:
        yield Diagnostic(
            "BP227",
            f"its models take {_mebibytes(needed)} of memory at the least, more than the limit",
            ("resources", "limits", "memory"),
            help=f"raise it well over {_mebibytes(needed)}",
        )


def _mebibytes(amount: int) -> str:
    return f"{-(-amount // 2**20)}Mi"


def _autoscaling(entry: Model) -> Iterator[Diagnostic]:
    scaling = entry.autoscaling
    if scaling is None:
        return
    if scaling.min > scaling.max:
        yield Diagnostic(
            "BP215", f"min {scaling.min} is over max {scaling.max}", ("autoscaling", "min"), help="swap them"
        )
    if scaling.metric in ("cpu", "memory") and scaling.target > 100:
        yield Diagnostic(
            "BP215",
            f"a target of {scaling.target.normalize():f} percent of the request is never calm",
            ("autoscaling", "target"),
            help="give the percentage of the request to stay near, such as 70",
        )
    most = scaling.max * scaling.target
    if scaling.metric == "rps" and entry.traffic is not None and entry.traffic.expected_rps > most:
        yield Diagnostic(
            "BP229",
            f"{scaling.max} replicas at {scaling.target.normalize():f} requests per second are "
            f"{most.normalize():f}, and {entry.traffic.expected_rps.normalize():f} are expected",
            ("autoscaling", "max"),
            help=f"{-(-entry.traffic.expected_rps // scaling.target)} replicas or more",
        )


def _probes(entry: Model) -> Iterator[Diagnostic]:
    probes = entry.probes
    if probes.timeout > probes.period:
        yield Diagnostic(
            "BP228",
            "a probe may take longer than there is between two of them",
            ("probes", "timeout"),
            help=f"at most the period, {int(probes.period)}s",
        )
    if probes.initial_delay >= probes.startup:
        yield Diagnostic(
            "BP228",
            "the first probe comes when the replica must be ready already",
            ("probes", "startup"),
            help=f"more than the initial delay, {int(probes.initial_delay)}s",
        )


def _throttling(entry: Model) -> Iterator[Diagnostic]:
    """A share of a core is given anew every 100 ms (the kernel's CFS bandwidth control): the rest is waiting."""
    p95, cpu = entry.slo.p95, entry.resources.limits.cpu
    if p95 is None or cpu is None or cpu >= 1:
        return
    waits = _CPU_PERIOD_S * (1 - cpu)
    if p95 <= waits:
        yield Diagnostic(
            "BP228",
            f"with {int(cpu * 1000)}m of a core a request may wait {int(waits * 1000)} ms for its share alone",
            ("resources", "limits", "cpu"),
            help=f"give it a whole core, or promise more than {int(waits * 1000)}ms",
        )


def _weights(entry: Model) -> Iterator[Diagnostic]:
    for index, (before, step) in enumerate(pairwise(entry.rollout.canary), 1):
        if step.weight <= before.weight:
            yield Diagnostic(
                "BP204",
                f"canary weights must rise; {percent(step.weight)} comes after {percent(before.weight)}",
                ("rollout", "canary", index, "weight"),
                help="order the steps by weight",
            )


def percent(share: Decimal) -> str:
    """A share as it is written: `0.05` is 5%."""
    return f"{(share * 100).normalize():f}%"


def _ports(entries: Mapping[str, Model], project: Project) -> Iterator[Diagnostic]:
    taken: dict[int, tuple[str, str]] = {}
    for key, entry in entries.items():
        for field, port in (("port", entry.expose.port), ("grpc_port", entry.expose.grpc_port)):
            if port is None:
                continue
            first = taken.setdefault(port, (key, field))
            shared = project.environment.is_one_machine or first[0] == key
            if shared and first != (key, field):
                yield Diagnostic(
                    "BP202",
                    f"the port {port} is taken by {KEY}.{first[0]}",
                    (KEY, key, "expose", field),
                    help="choose another port, or leave it out",
                    related=(Related(project.span((KEY, first[0], "expose", first[1])), "taken here"),),
                )


def _sides(entries: Mapping[str, Model], project: Project) -> Iterator[Diagnostic]:
    """Entries that are called in the world as one side of another's canary is."""
    called = {world_name(entry.identity(key)): key for key, entry in entries.items()}
    for key, entry in entries.items():
        for side in SIDES if entry.rollout.canary else ():
            name = world_name(f"{entry.identity(key)}-{side}")
            if name in called:
                yield Diagnostic(
                    "BP113",
                    f"{KEY}.{called[name]} has the name of one side of the canary of {KEY}.{key}: {name}",
                    (KEY, called[name]),
                    help="rename one of them",
                    related=(Related(project.span((KEY, key), at_key=True), "the canary"),),
                    at_key=True,
                )
