"""The local target: supervised processes and files on this machine, through bedplate's own provider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from bedplate.diagnostics import Diagnostic, PathKey
from bedplate.graph import Ref, Resource, Value
from bedplate.local_ports import FIRST, LAST
from bedplate.spec.project import Environment
from bedplate.targets.golden import golden
from bedplate.targets.lowered import Lowered
from bedplate.targets.refusals import cannot, no_use
from bedplate.workloads import Artifact, PredictionLog, ServedModel, Service, Workload

NAME = "local"
SUPERVISOR = "supervisor"
REPLICAS = 1
DRAIN_S, STOP_S = 10, 10  # and for stopping beyond that


def settings(environment: Environment) -> Iterator[Diagnostic]:
    """What the environment says that means nothing on this machine."""
    told = environment.settings
    for key, said, help_text in (
        ("kubernetes", told.kubernetes, "say target: kubernetes, or take it out"),
        ("artifacts", told.artifacts, "models lie in .bedplate here: take it out"),
        ("images", told.images, "servers are processes here: take it out"),
    ):
        if said is not None:
            yield no_use(NAME, environment, (key,), help_text)
    for name, source in environment.secrets.items():
        if source.kubernetes is not None:
            yield no_use(NAME, environment, ("secrets", name), "name a variable: {env: VARIABLE}")


def refuse(workload: Workload, environment: Environment) -> Iterator[Diagnostic]:
    """What needs a cluster, and a port that may be given to another service."""
    if not isinstance(workload, Service):
        return
    entry: tuple[PathKey, ...] = tuple(workload.address.split("."))
    mend = f"override it in {environment.name} with"
    for path, said, what, help_text in (
        (("runtime",), workload.container, "run containers", "leave the entry out here: environments: [...]"),
        (("image",), workload.image and not workload.container, "run images", "say image in an override"),
        (("autoscaling",), workload.autoscaling, "follow the load", f"{mend} replicas: 1"),
        (("resources", "limits", "gpu"), workload.resources.gpus, "give GPUs", f"{mend} null"),
        (
            ("rollout", "canary"),
            workload.canary,
            "do a canary rollout yet",
            f"{mend} rollout: null: a changed model is verified beside the old one, then switched",
        ),
        (("expose", "host"), workload.host, "serve a host name", f"{mend} null"),
    ):
        if said:
            yield cannot(NAME, environment, (*entry, *path), what, help_text)
    for key, port in (("port", workload.port), ("grpc_port", workload.grpc_port)):
        if port is None or not FIRST <= port <= LAST:
            continue
        yield Diagnostic(
            code="BP221",
            message=f"port {port} is one that the target local of environment {environment.name} "
            "gives out by itself",
            path=(*entry, "expose", key),
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
    properties: dict[str, Value] = {
        "environment": environment.name,
        "sha256": artifact.sha256,
        "size": artifact.size,
    }
    if artifact.uri:
        properties |= {"uri": artifact.uri, "tracking_uri": artifact.tracking_uri}
    else:
        properties["path"] = artifact.path
    resource = Resource(name=artifact.name, type="bedplate:local:Artifact", properties=properties)
    return Lowered((resource,), addresses={resource.name: artifact.address})


def _service(service: Service, environment: Environment) -> Lowered:
    section = service.address.partition(".")[0]
    properties: dict[str, Value] = {
        "environment": environment.name,
        "address": f"{section}.{service.name}",
        "name": service.name,
        "models": tuple(_served(model) for model in service.models if isinstance(model, ServedModel)),
        "replicas": service.replicas or REPLICAS,
        "threads": max(1, int(service.resources.cpu_limit or 1)),
        "timeouts": service.timeouts(DRAIN_S, STOP_S),
        "state": "running",
    }
    if service.resources.memory_limit is not None:
        properties["memory_bytes"] = service.resources.memory_limit
    if service.port is not None:
        properties["port"] = service.port
    if service.grpc_port is not None:
        properties["grpc_port"] = service.grpc_port
    if service.slo.p95_s is not None:
        properties["slo_p95_s"] = service.slo.p95_s
    if service.api_key is not None:
        properties["api_key"] = service.api_key
    if service.tls is not None:
        properties["tls"] = service.tls
    if service.tests:
        properties["tests"] = tuple(golden(test) for test in service.tests)
    if service.prediction_log is not None:
        properties["prediction_log"] = _prediction_log(service.prediction_log)
    if service.batching is not None:
        properties["batching"] = asdict(service.batching)
    resource = Resource(name=service.name, type="bedplate:local:Service", properties=properties)
    return Lowered(
        (resource,),
        {service.address: {"url": Ref(resource.name, "url")}},
        {resource.name: service.address},
    )


def _prediction_log(told: PredictionLog) -> dict[str, Value]:
    properties: dict[str, Value] = {
        "sample": float(told.share),
        "retention_s": told.retention_s,
        "backlog_bytes": told.backlog_bytes,
        "record_bytes": told.record_bytes,
    }
    return properties if told.to is None else {**properties, "to": told.to}


def _served(model: ServedModel) -> dict[str, Value]:
    return {"name": model.name, "version": model.version, "sha256": model.sha256}
