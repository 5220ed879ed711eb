"""The objects of a service beside its pods: what keeps, finds, scales, protects and watches them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bedplate.graph import Value
from bedplate.targets.kubernetes import pods, rollout
from bedplate.targets.kubernetes.names import Place, dns_name, selector
from bedplate.targets.kubernetes.object import Object
from bedplate.workloads import Autoscaling, Service

REPLICAS = 3
DEFAULT_DENY = "default-deny.bedplate"  # which no entry can be called: their names have no dots
_CLUSTER_METRICS = ("cpu", "memory")


def of(service: Service, where: Place) -> tuple[Object, ...]:
    """Everything that a service is on a cluster, each object after what it names or must not run without."""
    before = [*_before(service, where)]
    workload = replace(_workload(service, where), needs=tuple(item.suffix for item in before))
    return (*before, workload, *_after(service, where, workload))


def _before(service: Service, where: Place) -> Iterator[Object]:
    """What pods of the service are found, weighed and kept apart by, and what they are given."""
    yield Object("core/v1", "ServiceAccount", _account(service, where))
    if pods.secrets(service):
        yield Object("core/v1", "Secret", _secret(service, where))
    yield Object("networking.k8s.io/v1", "NetworkPolicy", _network(service, where))
    yield Object("core/v1", "Service", _service(service, where))
    if service.canary:
        yield from rollout.around(service, where)
    if service.host is not None and where.gateway is not None:
        content, theirs = rollout.route(service, where), rollout.weights(service)
        yield Object("gateway.networking.k8s.io/v1", "HTTPRoute", content, theirs=theirs)


def _after(service: Service, where: Place, workload: Object) -> Iterator[Object]:
    """What scales, spares and watches its pods."""
    if service.autoscaling is not None:
        yield replace(_scaler(service, service.autoscaling, where), needs=(workload.suffix,))
    if fewest(service) > 1:
        yield Object("policy/v1", "PodDisruptionBudget", _disruption(service, where))
    if _is_watched(service, where):
        yield Object("monitoring.coreos.com/v1", "PodMonitor", _monitor(service, where))


def fewest(service: Service) -> int:
    """The pods that are sure to be there."""
    return service.autoscaling.least if service.autoscaling else service.replicas or REPLICAS


def namespace(where: Place) -> dict[str, Value]:
    """Admission refuses every pod that is not as restricted as the Pod Security Standard has it."""
    labels: dict[str, Value] = {
        "app.kubernetes.io/managed-by": "bedplate",
        "pod-security.kubernetes.io/enforce": "restricted",
    }
    return {"metadata": {"name": where.namespace, "labels": labels}}


def default_deny(where: Place) -> dict[str, Value]:
    """Nothing reaches or leaves a pod but what another policy allows, and name look-ups."""
    return {
        "metadata": where.metadata(DEFAULT_DENY, "base"),
        "spec": {"podSelector": {}, "policyTypes": ("Ingress", "Egress"), "egress": (_dns(),)},
    }


def _account(service: Service, where: Place) -> dict[str, Value]:
    return {"metadata": where.metadata(service.name, "serving"), "automountServiceAccountToken": False}


def _secret(service: Service, where: Place) -> dict[str, Value]:
    metadata = {**where.metadata(service.name, "serving"), "name": pods.secret_name(service)}
    return {"metadata": metadata, "type": "Opaque", "stringData": dict(pods.secrets(service))}


def _workload(service: Service, where: Place) -> Object:
    spec: dict[str, Value] = {
        "revisionHistoryLimit": 5,
        "progressDeadlineSeconds": service.probes.startup_s + 600,
        "selector": {"matchLabels": selector(service.name)},
        "template": pods.template(service, where),
    }
    if service.autoscaling is None:  # the autoscaler owns them otherwise
        spec["replicas"] = service.replicas or REPLICAS
    metadata = where.metadata(service.name, "serving")
    if service.canary:
        return Object(
            "argoproj.io/v1alpha1",
            "Rollout",
            {"metadata": metadata, "spec": {**spec, "strategy": rollout.strategy(service, where)}},
        )
    spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    return Object("apps/v1", "Deployment", {"metadata": metadata, "spec": spec})


def _service(service: Service, where: Place) -> dict[str, Value]:
    return {
        "metadata": where.metadata(service.name, "serving"),
        "spec": {"selector": selector(service.name), "ports": tuple(_ports(service))},
    }


def _ports(service: Service) -> Iterator[dict[str, Value]]:
    """The ports of a Service."""
    yield pods.http_port()
    if service.grpc_port is not None:
        yield {
            "name": "grpc",
            "port": service.grpc_port,
            "targetPort": "grpc",
            "appProtocol": "kubernetes.io/h2c",
        }


def _scaler(service: Service, scaling: Autoscaling, where: Place) -> Object:
    if scaling.metric in _CLUSTER_METRICS:
        return Object("autoscaling/v2", "HorizontalPodAutoscaler", _hpa(service, scaling, where))
    return Object("keda.sh/v1alpha1", "ScaledObject", _scaled(service, scaling, where))


def _scaled_thing(service: Service) -> dict[str, Value]:
    if service.canary:
        return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": dns_name(service.name)}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": dns_name(service.name)}


def _hpa(service: Service, scaling: Autoscaling, where: Place) -> dict[str, Value]:
    target: Value = {"type": "Utilization", "averageUtilization": round(scaling.target)}
    metric: Value = {"type": "Resource", "resource": {"name": scaling.metric, "target": target}}
    return {
        "metadata": where.metadata(service.name, "serving"),
        "spec": {
            "scaleTargetRef": _scaled_thing(service),
            "minReplicas": scaling.least,
            "maxReplicas": scaling.most,
            "metrics": (metric,),
        },
    }


def _scaled(service: Service, scaling: Autoscaling, where: Place) -> dict[str, Value]:
    """KEDA makes an autoscaler of its own, so that there must be no second one."""
    trigger: dict[str, Value] = {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": where.prometheus or "",
            "query": rollout.load(service, where, scaling.metric),
            "threshold": f"{scaling.target:g}",
        },
    }
    return {
        "metadata": where.metadata(service.name, "serving"),
        "spec": {
            "scaleTargetRef": _scaled_thing(service),
            "minReplicaCount": scaling.least,
            "maxReplicaCount": scaling.most,
            "triggers": (trigger,),
        },
    }


def _disruption(service: Service, where: Place) -> dict[str, Value]:
    return {
        "metadata": where.metadata(service.name, "serving"),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector(service.name)}},
    }


def _network(service: Service, where: Place) -> dict[str, Value]:
    """Callers of the namespace and of the gateway's may ask; a pod that fetches models may leave by TLS."""
    asked = tuple({"protocol": "TCP", "port": name} for name, _ in pods.ports(service))
    sources: list[Value] = [{"podSelector": {}}]
    if service.host is not None and where.gateway_namespace not in (None, where.namespace):
        sources.append(_of_namespace(str(where.gateway_namespace)))
    egress: list[Value] = [_dns()]
    if pods.fetches(service, where) or service.container is not None:
        egress.append({"ports": ({"protocol": "TCP", "port": 443},)})
    return {
        "metadata": where.metadata(service.name, "serving"),
        "spec": {
            "podSelector": {"matchLabels": selector(service.name)},
            "policyTypes": ("Ingress", "Egress"),
            "ingress": (
                {"from": tuple(sources), "ports": asked},
                *_scrapes(service, where),
            ),
            "egress": tuple(egress),
        },
    }


def _is_watched(service: Service, where: Place) -> bool:
    return where.prometheus is not None and pods.metrics(service) is not None


def _scrapes(service: Service, where: Place) -> tuple[Value, ...]:
    """Prometheus asks from wherever it runs."""
    if not _is_watched(service, where):
        return ()
    return ({"from": ({"namespaceSelector": {}},), "ports": ({"protocol": "TCP", "port": "http"},)},)


def _of_namespace(name: str) -> dict[str, Value]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _dns() -> dict[str, Value]:
    return {"ports": ({"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53})}


def _monitor(service: Service, where: Place) -> dict[str, Value]:
    """Series get the labels of their pod that queries choose by; they are not on them of themselves."""
    return {
        "metadata": where.metadata(service.name, "serving"),
        "spec": {
            "selector": {"matchLabels": selector(service.name)},
            "podTargetLabels": (rollout.NAME_LABEL, rollout.HASH_LABEL),
            "podMetricsEndpoints": ({"port": "http", "path": pods.metrics(service) or pods.METRICS},),
        },
    }
