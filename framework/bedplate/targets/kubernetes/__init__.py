"""The target kubernetes: objects that the cluster's own controllers run, as Pulumi resources.

names.py     names and labels, as Kubernetes takes them
pods.py      the pod of a service
objects.py   what stands around it: workload, Service, scaling, disruption, network, monitoring
rollout.py   canaries: Argo Rollouts with their gates
patches.py   changes in Kubernetes' own words
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bedplate.diagnostics import Diagnostic, PathKey
from bedplate.graph import Resource, Value
from bedplate.spec.project import Environment
from bedplate.targets.kubernetes import objects, patches, pods
from bedplate.targets.kubernetes.names import dns_name, place
from bedplate.targets.lowered import Lowered
from bedplate.targets.refusals import cannot
from bedplate.workloads import Artifact, Service, Workload

NAME = "kubernetes"
_METRICS = "if it counts as bedplate's own server does, say where: container: {metrics: /metrics}"


def settings(environment: Environment) -> Iterator[Diagnostic]:
    """A cluster must be named."""
    if environment.settings.kubernetes is None:
        yield Diagnostic(
            "BP121",
            f"the target kubernetes of environment {environment.name} does not know its cluster",
            ("environments", environment.name),
            help="add kubernetes: {context: CONTEXT, namespace: NAMESPACE}",
            environment=environment.name,
            at_key=True,
        )


def refuse(workload: Workload, environment: Environment) -> Iterator[Diagnostic]:
    """What needs something that the environment does not name, and weights that are no whole pods."""
    if not isinstance(workload, Service) or environment.settings.kubernetes is None:
        return
    entry: tuple[PathKey, ...] = tuple(workload.address.split("."))
    cluster = environment.settings.kubernetes
    for path, said, what, help_text in (
        (
            (),
            workload.image is None,
            "run it without an image",
            f"add image, or environments.{environment.name}.images: {{registry: ...}}",
        ),
        (
            ("prediction_log",),
            workload.prediction_log is not None,
            "keep a prediction log yet",
            f"override it in {environment.name} with null",
        ),
        (
            ("expose", "host"),
            workload.host is not None and cluster.gateway is None,
            "serve a host name without a gateway",
            f"add environments.{environment.name}.kubernetes.gateway: {{name: NAME}}",
        ),
        (
            ("expose", "port"),
            workload.port is not None and workload.container is None,
            "choose the port",
            "take it out: it is 8080 on a cluster",
        ),
        (
            ("expose", "tls"),
            workload.tls is not None,
            "show a certificate",
            "take it out: its gateway's listener shows one",
        ),
        (
            ("expose", "grpc_port"),
            workload.grpc_port == pods.PORT,
            "serve gRPC on the port of HTTP",
            "choose another one than 8080",
        ),
    ):
        if said:
            yield cannot(NAME, environment, (*entry, *path), what, help_text)
    yield from _unmeasured(workload, environment, entry)
    if cluster.gateway is None:
        yield from _pods(workload, environment, entry)
    if workload.patches:
        yield from patches.check(workload, objects.of(workload, place(environment)), entry)


def base(workloads: Sequence[Workload], environment: Environment) -> Lowered:
    """The namespace, in which pods are held to the restricted standard and reach nothing unasked."""
    where = place(environment)
    return Lowered(
        (
            _resource("namespace", "core/v1", "Namespace", objects.namespace(where)),
            _resource(
                "default-deny",
                "networking.k8s.io/v1",
                "NetworkPolicy",
                objects.default_deny(where),
                needs=("namespace",),
            ),
        )
    )


def lower(workload: Workload, environment: Environment) -> Lowered:
    """A Service is a handful of objects; an Artifact is a file of the environment's store."""
    where = place(environment)
    if isinstance(workload, Artifact):
        return _artifact(workload, environment)
    found = patches.applied(workload, objects.of(workload, where))
    resources = tuple(
        _resource(
            f"{workload.name}-{item.suffix}",
            item.api,
            item.kind,
            item.content,
            theirs=item.theirs,
            needs=tuple(f"{workload.name}-{suffix}" for suffix in item.needs),
        )
        for item in found
    )
    url = f"http://{dns_name(workload.name)}.{where.namespace}.svc"
    return Lowered(
        resources,
        {workload.address: {"url": url}},
        {resource.name: workload.address for resource in resources},
    )


def _artifact(artifact: Artifact, environment: Environment) -> Lowered:
    """Without a store, models are part of their server's image."""
    store = environment.settings.artifacts
    if store is None:
        return Lowered()
    properties: dict[str, Value] = {
        "url": f"{store.rstrip('/')}/models/sha256-{artifact.sha256}.onnx",
        "sha256": artifact.sha256,
        "size": artifact.size,
    }
    source = {"path": artifact.path} if artifact.path else {"uri": artifact.uri}
    resource = Resource(
        name=artifact.name, type="bedplate:remote:Artifact", properties={**properties, **source}
    )
    return Lowered((resource,), addresses={resource.name: artifact.address})


def _resource(
    name: str,
    api: str,
    kind: str,
    content: dict[str, Value],
    *,
    theirs: tuple[str, ...] = (),
    needs: tuple[str, ...] = (),
) -> Resource:
    version = api.removeprefix("core/")
    return Resource(
        name=name,
        type=f"kubernetes:{api}:{kind}",
        properties={"apiVersion": version, "kind": kind, **content},
        depends_on=tuple(sorted(needs)),
        ignore_changes=theirs,
    )


def _gated(service: Service) -> bool:
    return bool(service.canary) and (service.gates.p95_s is not None or service.gates.error_rate is not None)


def _unmeasured(
    service: Service, environment: Environment, entry: tuple[PathKey, ...]
) -> Iterator[Diagnostic]:
    """What goes by figures that nobody has: no Prometheus asks, or the server does not count."""
    cluster = environment.settings.kubernetes
    if cluster is None or cluster.prometheus is None:
        lacking, mend = "without a Prometheus", f"add environments.{environment.name}.kubernetes.prometheus"
    elif pods.metrics(service) is None:
        lacking, mend = "when its container has no metrics", _METRICS
    else:
        return
    scaling = service.autoscaling
    if scaling is not None and scaling.metric in ("concurrency", "rps"):
        path = (*entry, "autoscaling", "metric")
        yield cannot(NAME, environment, path, f"count requests {lacking}", f"{mend}, or scale on cpu")
    if _gated(service):
        path = (*entry, "rollout", "gates")
        what = f"hold a canary to its objectives {lacking}"
        yield cannot(NAME, environment, path, what, f"{mend}, or take the objectives out")


def _pods(service: Service, environment: Environment, entry: tuple[PathKey, ...]) -> Iterator[Diagnostic]:
    """Without a router a canary gets whole pods: of few of them, a small share is none."""
    pods = objects.fewest(service)
    for index, step in enumerate(service.canary):
        share = float(step.weight_share)
        got = round(share * pods)
        if got < 1 or abs(got / pods - share) > share / 2:
            wider = f", a weight of {-(-100 // pods)}% or more" if pods > 1 else ""
            yield Diagnostic(
                "BP222",
                f"without a gateway a canary gets whole pods, and {share * 100:g}% of {pods} is {share * pods:g}",
                (*entry, "rollout", "canary", index, "weight"),
                help=f"{int(-(-1 // share))} replicas or more{wider}, or "
                f"environments.{environment.name}.kubernetes.gateway",
                environment=environment.name,
            )
