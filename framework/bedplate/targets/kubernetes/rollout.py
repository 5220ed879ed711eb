"""Canaries: the strategy of an Argo Rollout, the Services and the route it moves, the gates that hold it.

A gate asks for three things in one query each: whether enough was seen to decide, and whether what was seen is
good. Too little is neither success nor failure: the rollout pauses. An empty answer would be an error to the
controller, so both conditions look at its length first.
"""

from __future__ import annotations

import re
from decimal import Decimal

from bedplate.graph import Value
from bedplate.targets.kubernetes import pods
from bedplate.targets.kubernetes.names import Place, dns_name, selector
from bedplate.targets.kubernetes.object import Object
from bedplate.workloads import SIDES, Service

# Labels of pods: the service, and the version, which the controller of rollouts writes there.
NAME_LABEL, HASH_LABEL = "app.kubernetes.io/name", "rollouts-pod-template-hash"
_EVERY = "1m"
_LATER_S = 1.0  # by which a gateway outwaits the server behind it, which says more


def strategy(service: Service, where: Place) -> dict[str, Value]:
    """The steps of the spec; after the last one, the new version gets everything."""
    steps: list[Value] = []
    for step in service.canary:
        steps.append({"setWeight": percent(step.weight_share)})
        steps.append({"pause": {"duration": f"{step.hold_s}s"}})
    stable, canary_side = (dns_name(service.name, side) for side in SIDES)
    canary: dict[str, Value] = {
        "stableService": stable,
        "canaryService": canary_side,
        "maxSurge": 1,
        "maxUnavailable": 0,
        "steps": tuple(steps),
    }
    if where.gateway is not None:
        route: Value = {"name": dns_name(service.name), "useHeaderRoutes": False}
        plugin: Value = {"httpRoutes": (route,), "namespace": where.namespace}
        canary["trafficRouting"] = {"plugins": {"argoproj-labs/gatewayAPI": plugin}}
    if _gated(service, where):
        canary["analysis"] = {
            "templates": ({"templateName": dns_name(service.name, "gates")},),
            "startingStep": 1,
            "args": (
                {
                    "name": "canary-hash",
                    "valueFrom": {"podTemplateHashValue": "Latest"},
                },
            ),
        }
    return {"canary": canary}


def percent(share: str) -> int | float:
    """A share as the controller counts it: whole percent, or with a fraction."""
    amount = Decimal(share) * 100
    return int(amount) if amount == int(amount) else float(amount)


def around(service: Service, where: Place) -> list[Object]:
    """The Services whose selectors the controller points at the two versions, and the gates."""
    found = [
        Object("core/v1", "Service", _side(service, where, side), side, ("spec.selector",)) for side in SIDES
    ]
    if _gated(service, where):
        found.append(Object("argoproj.io/v1alpha1", "AnalysisTemplate", _gates(service, where)))
    return found


def weights(service: Service) -> tuple[str, ...]:
    """What the controller of rollouts moves while a canary is under way."""
    sides = range(len(SIDES)) if service.canary else ()
    return tuple(f"spec.rules[0].backendRefs[{side}].weight" for side in sides)


def route(service: Service, where: Place) -> dict[str, Value]:
    """The way from the gateway. Everything that a controller would fill in is said, or it would be a change."""
    sides = tuple(zip(SIDES, (100, 0), strict=True)) if service.canary else (("", 1),)
    backends: tuple[Value, ...] = tuple(_backend(service, side, weight) for side, weight in sides)
    gateway = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": where.gateway or "",
        "namespace": where.gateway_namespace or where.namespace,
    }
    rule: dict[str, Value] = {
        "matches": ({"path": {"type": "PathPrefix", "value": "/"}},),
        "backendRefs": backends,
    }
    if service.timeout_s is not None:
        rule["timeouts"] = {"request": _duration(service.timeout_s + _LATER_S)}
    return {
        "metadata": where.metadata(service.name, "serving"),
        "spec": {"parentRefs": (gateway,), "hostnames": (service.host or "",), "rules": (rule,)},
    }


def _duration(seconds: float) -> str:
    """As the Gateway API writes it (GEP-2257): no part has more than five digits."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return (f"{whole}s" if whole else "") + (f"{thousandths}ms" if thousandths else "")


def _backend(service: Service, side: str, weight: int) -> dict[str, Value]:
    name = dns_name(service.name, side) if side else dns_name(service.name)
    return {"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight}


def load(service: Service, where: Place, metric: str) -> str:
    """The load of a service as PromQL: requests at once, or per second."""
    labels = _labels({"namespace": where.namespace, _of_series(NAME_LABEL): dns_name(service.name)})
    if metric == "concurrency":
        return f"sum(bedplate_in_flight{labels})"
    return f"sum(rate(bedplate_requests_total{labels}[1m]))"


def _gated(service: Service, where: Place) -> bool:
    gates = service.gates
    return where.prometheus is not None and (gates.p95_s is not None or gates.error_rate is not None)


def _side(service: Service, where: Place, side: str) -> dict[str, Value]:
    metadata = {**where.metadata(service.name, "serving"), "name": dns_name(service.name, side)}
    return {"metadata": metadata, "spec": {"selector": selector(service.name), "ports": (pods.http_port(),)}}


def _gates(service: Service, where: Place) -> dict[str, Value]:
    gates, labels = service.gates, _canary_labels(service, where)
    seen = f"sum(increase(bedplate_requests_total{labels}[1h]))"
    metrics: list[Value] = []
    if gates.error_rate is not None:
        failed = f"sum(increase(bedplate_requests_total{_canary_labels(service, where, failed=True)}[1h]))"
        query = f"(({failed}) or vector(0)) / {seen} and {seen} >= {gates.min_requests}"
        metrics.append(_metric("error-rate", query, gates.error_rate, where))
    if gates.p95_s is not None:
        buckets = f"sum by (le) (rate(bedplate_request_duration_seconds_bucket{labels}[1h]))"
        query = f"histogram_quantile(0.95, {buckets}) and {seen} >= {gates.min_requests}"
        metrics.append(_metric("p95", query, gates.p95_s, where))
    metadata = {**where.metadata(service.name, "serving"), "name": dns_name(service.name, "gates")}
    return {"metadata": metadata, "spec": {"args": ({"name": "canary-hash"},), "metrics": tuple(metrics)}}


def _metric(name: str, query: str, limit: float, where: Place) -> dict[str, Value]:
    known = "len(result) > 0 && !isNaN(result[0])"
    return {
        "name": name,
        "interval": _EVERY,
        "successCondition": f"{known} && result[0] <= {limit!r}",
        "failureCondition": f"{known} && result[0] > {limit!r}",
        "failureLimit": 0,
        "inconclusiveLimit": -1,
        "provider": {"prometheus": {"address": where.prometheus or "", "query": query}},
    }


def _canary_labels(service: Service, where: Place, *, failed: bool = False) -> str:
    known = {
        "namespace": where.namespace,
        _of_series(NAME_LABEL): dns_name(service.name),
        _of_series(HASH_LABEL): "{{args.canary-hash}}",
    }
    return _labels(known, more=', code=~"5.."' if failed else "")


def _of_series(label: str) -> str:
    """What a pod's label is called on a series: Prometheus has no letters but these."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", label)


def _labels(known: dict[str, str], more: str = "") -> str:
    """Label matchers. Names and labels come from the language's own types, which hold no quote."""
    matchers = ", ".join(f'{key}="{value}"' for key, value in known.items())
    return f"{{{matchers}{more}}}"
