"""The pod of a service: as restricted as the standard has it, with the three probes and honest amounts.

Defaults are those of the patterns that the product implements: 3 replicas, 1 CPU and 2Gi to 2 CPUs and 4Gi,
ready on /health of port 8080.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict

from bedplate.graph import SecretRef, Value
from bedplate.runtime.programs import command
from bedplate.targets.golden import golden
from bedplate.targets.kubernetes.names import Place, dns_name, selector
from bedplate.workloads import ServedModel, Service

PORT = 8080
METRICS = "/metrics"
USER = 10001
CPU_REQUEST, CPU_LIMIT = 1.0, 2.0
MEMORY_REQUEST, MEMORY_LIMIT = 2 * 2**30, 4 * 2**30
DRAIN_S, STOP_S, GRACE_S = 20, 10, 25  # for stopping, and for what ends a pod, beyond that
PYTHON = "python"  # of bedplate's own image
CONTROL = "/tmp/control.sock"  # noqa: S108 - of the pod
MODELS = "/models"
_SECRETS = "/run/secrets/bedplate"


def template(service: Service, where: Place) -> dict[str, Value]:
    """The pod template of a Deployment or Rollout."""
    labels = {**where.labels(service.name, "serving"), **_versions(service)}
    return {
        "metadata": {"labels": labels, "annotations": {"bedplate.dev/address": service.address}},
        "spec": _spec(service, where),
    }


def port(service: Service) -> int:
    """The port that the server listens on for HTTP."""
    return service.container.port if service.container else PORT


def ports(service: Service) -> Iterator[tuple[str, int]]:
    """Every port that it listens on, with its name."""
    yield "http", port(service)
    if service.grpc_port is not None:
        yield "grpc", service.grpc_port


def http_port() -> dict[str, Value]:
    """The port of a Service for HTTP: the pod's, by name, so that each may have its own."""
    return {"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"}


def health(service: Service) -> str:
    return service.container.health if service.container else "/v2/health/ready"


def metrics(service: Service) -> str | None:
    """The path of its metrics, which a server of one's own need not have."""
    return service.container.metrics if service.container else METRICS


def secret_name(service: Service) -> str:
    """The Secret that holds what the service is given by name."""
    return dns_name(service.name, "secrets")


def secrets(service: Service) -> dict[str, SecretRef]:
    """What the Secret holds, by key."""
    found: dict[str, SecretRef] = {}
    if service.api_key is not None:
        found["api-key"] = service.api_key
    if service.container is not None:
        found |= {name: value for name, value in service.container.env if isinstance(value, SecretRef)}
    return found


def _spec(service: Service, where: Place) -> dict[str, Value]:
    volumes: list[Value] = [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]
    if service.api_key is not None:
        item = {"key": "api-key", "path": "api-key"}
        volumes.append({"name": "secrets", "secret": {"secretName": secret_name(service), "items": (item,)}})
    spec: dict[str, Value] = {
        "serviceAccountName": dns_name(service.name),
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": service.drain_s(DRAIN_S) + GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": (
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector(service.name)},
            },
        ),
        "containers": (_container(service, where),),
        "volumes": tuple(volumes),
    }
    if fetches(service, where) and where.artifacts:
        spec["initContainers"] = (_fetch(service, where.artifacts),)
        spec["volumes"] = (*volumes, {"name": "models", "emptyDir": {}})
    return spec


def fetches(service: Service, where: Place) -> bool:
    """Whether the pod gets its models from the environment's store; otherwise they are in its image."""
    return where.artifacts is not None and service.container is None


def _container(service: Service, where: Place) -> dict[str, Value]:
    own = service.container
    container: dict[str, Value] = {
        "name": "server",
        "image": service.image or "",
        "ports": tuple({"name": name, "containerPort": number} for name, number in ports(service)),
        "env": _env(service),
        "resources": _resources(service),
        "startupProbe": _startup(service),
        "readinessProbe": _probe(service, health(service)),
        "livenessProbe": _probe(service, own.health if own else "/v2/health/live"),
        "securityContext": _restricted(),
        "volumeMounts": _mounts(service, where),
    }
    if own is None:
        container["command"] = command(PYTHON, "server")
        container["args"] = ("--config-variable", "BEDPLATE_CONFIG", "--control", CONTROL)
        return container
    if own.command:
        container["command"] = own.command
    if own.args:
        container["args"] = own.args
    # A server of one's own may close its port at once when it is told to end: endpoints go first.
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": 5}}}
    return container


def _restricted() -> dict[str, Value]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ("ALL",)},
    }


def _mounts(service: Service, where: Place) -> tuple[Value, ...]:
    mounts: list[Value] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - of the pod
    if service.api_key is not None:
        mounts.append({"name": "secrets", "mountPath": _SECRETS, "readOnly": True})
    if fetches(service, where):
        mounts.append({"name": "models", "mountPath": MODELS, "readOnly": True})
    return tuple(mounts)


def _env(service: Service) -> tuple[Value, ...]:
    if service.container is None:
        return ({"name": "BEDPLATE_CONFIG", "value": config(service)},)
    return tuple(_variable(service, name, value) for name, value in service.container.env)


def _variable(service: Service, name: str, value: str | SecretRef) -> dict[str, Value]:
    if isinstance(value, SecretRef):
        return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret_name(service), "key": name}}}
    return {"name": name, "value": value}


def config(service: Service) -> str:
    """The configuration of bedplate's own server. Its generation is the digest of the rest."""
    told: dict[str, object] = {
        "service": service.address,
        "host": "0.0.0.0",  # noqa: S104 - the pod's own network
        "port": PORT,
        "models": [
            {
                "name": m.name,
                "version": m.version,
                "sha256": m.sha256,
                "path": f"{MODELS}/sha256-{m.sha256}.onnx",
            }
            for m in service.models
            if isinstance(m, ServedModel)
        ],
        "workers": max(1, int(_cpu(service)[1])),
        "memory_bytes": _memory(service)[1],
        "timeouts": service.timeouts(DRAIN_S, STOP_S),
    }
    if service.grpc_port is not None:
        told["grpc_port"] = service.grpc_port
    if service.slo.p95_s is not None:
        told["slo_p95_s"] = service.slo.p95_s
    if service.tests:
        told["tests"] = [golden(test) for test in service.tests]
    if service.batching is not None:
        told["batching"] = asdict(service.batching)
    if service.api_key is not None:
        told["auth"] = {"api_key_file": f"{_SECRETS}/api-key"}
    text = json.dumps(told, sort_keys=True)
    generation = hashlib.sha256(text.encode()).hexdigest()[:16]
    return json.dumps({**told, "generation": generation}, sort_keys=True)


def _resources(service: Service) -> dict[str, Value]:
    (cpu_request, cpu_limit), (memory_request, memory_limit) = _cpu(service), _memory(service)
    limits: dict[str, Value] = {"cpu": _cores(cpu_limit), "memory": _bytes(memory_limit)}
    requests: dict[str, Value] = {"cpu": _cores(cpu_request), "memory": _bytes(memory_request)}
    if service.resources.gpus:
        limits["nvidia.com/gpu"] = str(service.resources.gpus)
        requests["nvidia.com/gpu"] = str(service.resources.gpus)
    return {"requests": requests, "limits": limits}


def _cpu(service: Service) -> tuple[float, float]:
    """Request and limit; one that was left out gives way to the other."""
    request, limit = service.resources.cpu_request, service.resources.cpu_limit
    limit = limit if limit is not None else max(CPU_LIMIT, request or 0.0)
    return (request if request is not None else min(CPU_REQUEST, limit)), limit


def _memory(service: Service) -> tuple[int, int]:
    request, limit = service.resources.memory_request, service.resources.memory_limit
    limit = limit if limit is not None else max(MEMORY_LIMIT, request or 0)
    return (request if request is not None else min(MEMORY_REQUEST, limit)), limit


def _cores(amount: float) -> str:
    """As Kubernetes writes it, so that the server's own form is no difference."""
    thousandths = round(amount * 1000)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def _bytes(amount: int) -> str:
    for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if amount % size == 0:
            return f"{amount // size}{unit}"
    return str(amount)


def _probe(service: Service, path: str) -> dict[str, Value]:
    probes = service.probes
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": probes.period_s,
        "timeoutSeconds": probes.timeout_s,
    }


def _startup(service: Service) -> dict[str, Value]:
    """Until it has passed once, the other probes wait."""
    probes = service.probes
    tries = -(-(probes.startup_s - probes.initial_delay_s) // probes.period_s)
    return {
        **_probe(service, health(service)),
        "initialDelaySeconds": probes.initial_delay_s,
        "failureThreshold": max(1, tries),
    }


def _fetch(service: Service, store: str) -> dict[str, Value]:
    """Brings the models from the environment's store, by their digests."""
    models = tuple(f"sha256-{m.sha256}.onnx" for m in service.models if isinstance(m, ServedModel))
    return {
        "name": "models",
        "image": service.image or "",
        "command": command(PYTHON, "fetch"),
        "args": ("--from", f"{store.rstrip('/')}/models", "--to", MODELS, *models),
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "1", "memory": "512Mi"},
        },
        "securityContext": _restricted(),
        "volumeMounts": ({"name": "models", "mountPath": MODELS}, {"name": "tmp", "mountPath": "/tmp"}),  # noqa: S108
    }


def _versions(service: Service) -> dict[str, Value]:
    models = [model for model in service.models if isinstance(model, ServedModel)]
    return {"bedplate.dev/model-version": models[0].version} if len(models) == 1 else {}
