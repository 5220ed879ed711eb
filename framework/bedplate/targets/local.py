"""The local target: supervised processes and files on this machine, through bedplate's own provider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bedplate.diagnostics import Diagnostic
from bedplate.graph import Ref, Resource, Value
from bedplate.local_ports import FIRST, LAST
from bedplate.spec.project import Environment
from bedplate.targets.lowered import Lowered
from bedplate.workloads import Artifact, ServedModel, Service, Workload

SUPERVISOR = "supervisor"
READY_S, DRAIN_S, STOP_S = 60, 10, 20


def refuse(workload: Workload, environment: Environment) -> Iterator[Diagnostic]:
    """A canary, which needs two versions behind one endpoint, and a port that may be given to another."""
    if not isinstance(workload, Service):
        return
    entry = workload.address.split(".")
    if workload.canary:
        yield Diagnostic(
            code="BP220",
            message=f"the target local of environment {environment.name} cannot do a canary rollout yet",
            path=(*entry, "rollout", "canary"),
            help="leave rollout out here: a changed model is verified beside the old one, then switched",
            environment=environment.name,
            at_key=True,
        )
    if workload.port is not None and FIRST <= workload.port <= LAST:
        yield Diagnostic(
            code="BP221",
            message=f"port {workload.port} is one that the target local of environment {environment.name} "
            "gives out by itself",
            path=(*entry, "expose", "port"),
            help=f"choose one outside {FIRST} to {LAST}, or leave it out: then one is chosen and kept",
            environment=environment.name,
        )


def base(workloads: Sequence[Workload], environment: Environment) -> Lowered:
    """One supervisor, where there is something to run."""
    if not any(isinstance(workload, Service) for workload in workloads):
        return Lowered()
    supervisor = Resource(
        name=SUPERVISOR,
        type="bedplate:local:Supervisor",
        properties={"environment": environment.name, "state": "running"},
    )
    return Lowered((supervisor,))


def lower(workload: Workload, environment: Environment) -> Lowered:
    """An Artifact is a file in the content-addressed store, a Service a supervised model server."""
    if isinstance(workload, Artifact):
        return _artifact(workload, environment)
    return _service(workload, environment)


def _artifact(artifact: Artifact, environment: Environment) -> Lowered:
    resource = Resource(
        name=artifact.name,
        type="bedplate:local:Artifact",
        properties={
            "environment": environment.name,
            "path": artifact.path,
            "sha256": artifact.sha256,
            "size": artifact.size,
        },
        aliases=artifact.aliases,
    )
    return Lowered((resource,), addresses={resource.name: artifact.address})


def _service(service: Service, environment: Environment) -> Lowered:
    properties: dict[str, Value] = {
        "environment": environment.name,
        "address": service.address,
        "name": service.name,
        "models": tuple(_served(model) for model in service.models if isinstance(model, ServedModel)),
        "replicas": service.replicas,
        "threads": max(1, int(service.resources.cpu_limit or 1)),
        "timeouts": {"ready_s": READY_S, "drain_s": DRAIN_S, "stop_s": STOP_S},
        "state": "running",
    }
    if service.resources.memory_limit is not None:
        properties["memory_bytes"] = service.resources.memory_limit
    if service.port is not None:
        properties["port"] = service.port
    if service.slo.p95_s is not None:
        properties["slo_p95_s"] = service.slo.p95_s
    if service.api_key is not None:
        properties["api_key"] = service.api_key
    resource = Resource(
        name=service.name,
        type="bedplate:local:Service",
        properties=properties,
        aliases=service.aliases,
    )
    return Lowered(
        (resource,),
        {service.address: {"url": Ref(resource.name, "url")}},
        {resource.name: service.address},
    )


def _served(model: ServedModel) -> dict[str, Value]:
    return {"name": model.name, "version": model.version, "sha256": model.sha256}
