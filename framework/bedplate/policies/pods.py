"""The Pod Security Standard "restricted" over every compiled pod, and what good practice adds to it.

Controls and their allowed values: https://kubernetes.io/docs/concepts/security/pod-security-standards and
k8s.io/pod-security-admission/policy/check_*.go. A path is where in the pod's spec a control looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bedplate.compiler import Compiled
from bedplate.graph import Resource, Value
from bedplate.policies.policy import Applies, Breach, Policy, resources
from bedplate.spec.project import Environment

_KINDS = ("Pod", "Deployment", "Rollout", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_SECCOMP = frozenset({"RuntimeDefault", "Localhost"})
_APP_ARMOR = frozenset({"RuntimeDefault", "Localhost"})
_SELINUX = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
    }
)  # fmt: skip
_MEND = "take it out of kubernetes.patches"
Found = Iterator[str]


def _restricted(compiled: Compiled, environment: Environment) -> Iterator[Breach]:
    for stack, resource, pod in _pods(compiled):
        for problem in (*_of_pod(pod), *(p for c in _containers(pod) for p in _of_container(c, pod))):
            yield _breach(stack, resource, f"a pod would not be restricted: {problem}", _MEND)


def _practice(compiled: Compiled, environment: Environment) -> Iterator[Breach]:
    for stack, resource, pod in _pods(compiled):
        if pod.get("serviceAccountName") in (None, "", "default"):
            yield _breach(stack, resource, "a pod would use the namespace's default service account", _MEND)
        if pod.get("automountServiceAccountToken") is not False:
            yield _breach(stack, resource, "a pod would be given a token of the cluster's API", _MEND)
        for container in _containers(pod):
            for problem in _unsound(container, init=container not in _listed(pod.get("containers"))):
                yield _breach(stack, resource, problem, _MEND)


def _breach(stack: str, resource: Resource, message: str, help_text: str) -> Breach:
    return Breach(message, help_text, stack, resource.name, ("kubernetes", "patches"))


def _pods(compiled: Compiled) -> Iterator[tuple[str, Resource, Mapping[str, Value]]]:
    for stack, resource in resources(compiled, *_KINDS):
        spec = _map(resource.properties.get("spec"))
        if resource.type.endswith(":CronJob"):
            spec = _map(_map(spec.get("jobTemplate")).get("spec"))
        pod = spec if resource.type.endswith(":Pod") else _map(_map(spec.get("template")).get("spec"))
        yield stack, resource, pod


def _of_pod(pod: Mapping[str, Value]) -> Found:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield f"{key} shares the node's own"
    for volume in _listed(pod.get("volumes")):
        for kind in sorted(volume.keys() - {"name"} - _VOLUMES):
            yield f"the volume {volume.get('name')} is a {kind}"
    context = _map(pod.get("securityContext"))
    for sysctl in _listed(context.get("sysctls")):
        if sysctl.get("name") not in _SYSCTLS:
            yield f"the sysctl {sysctl.get('name')} is not a safe one"
    yield from _context(context, "the pod")
    if _map(context.get("windowsOptions")).get("hostProcess"):
        yield "hostProcess is the node's own"


def _of_container(container: Mapping[str, Value], pod: Mapping[str, Value]) -> Found:
    name = f"the container {container.get('name')}"
    context, of_pod = _map(container.get("securityContext")), _map(pod.get("securityContext"))
    if context.get("privileged"):
        yield f"{name} is privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{name} may gain privileges: allowPrivilegeEscalation must be false"
    if context.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is not True:
        yield f"{name} may run as root: runAsNonRoot must be true"
    capabilities = _map(context.get("capabilities"))
    if "ALL" not in _texts(capabilities.get("drop")):
        yield f"{name} does not drop ALL capabilities"
    for added in _texts(capabilities.get("add")):
        if added != "NET_BIND_SERVICE":
            yield f"{name} adds the capability {added}"
    if context.get("procMount", "Default") != "Default":
        yield f"{name} has a procMount that is not Default"
    if "seccompProfile" not in context and "seccompProfile" not in of_pod:
        yield f"{name} has no seccompProfile"
    yield from _context(context, name)
    for port in _listed(container.get("ports")):
        if port.get("hostPort"):
            yield f"{name} takes the node's port {port['hostPort']}"
    yield from _hosts(container, name)


def _context(context: Mapping[str, Value], name: str) -> Found:
    """What pods and containers can both say."""
    if context.get("runAsUser") == 0:
        yield f"{name} runs as user 0"
    seccomp = _map(context.get("seccompProfile"))
    if seccomp and seccomp.get("type") not in _SECCOMP:
        yield f"{name} has the seccompProfile {seccomp.get('type')}"
    armor = _map(context.get("appArmorProfile"))
    if armor and armor.get("type") not in _APP_ARMOR:
        yield f"{name} has the appArmorProfile {armor.get('type')}"
    linux = _map(context.get("seLinuxOptions"))
    if linux.get("type", "") not in _SELINUX or linux.get("user") or linux.get("role"):
        yield f"{name} has seLinuxOptions of its own"


def _hosts(container: Mapping[str, Value], name: str) -> Found:
    """A probe or hook that asks another host would let the node's kubelet ask in the pod's name."""
    actions = [(key, _map(container.get(key))) for key in ("livenessProbe", "readinessProbe", "startupProbe")]
    hooks = _map(container.get("lifecycle"))
    actions += [(key, _map(hooks.get(key))) for key in ("postStart", "preStop")]
    for key, action in actions:
        for kind in ("httpGet", "tcpSocket"):
            if _map(action.get(kind)).get("host"):
                yield f"{name} asks another host in its {key}"


def _unsound(container: Mapping[str, Value], *, init: bool) -> Found:
    name = f"the container {container.get('name')}"
    if _map(container.get("securityContext")).get("readOnlyRootFilesystem") is not True:
        yield f"{name} can write to its image: readOnlyRootFilesystem must be true"
    amounts = _map(container.get("resources"))
    for kind in ("requests", "limits"):
        for resource in ("cpu", "memory"):
            if resource not in _map(amounts.get(kind)):
                yield f"{name} has no {kind} of {resource}"
    for probe in () if init else ("readinessProbe", "livenessProbe"):
        if not container.get(probe):
            yield f"{name} has no {probe}"
    image = str(container.get("image", ""))
    if "@" not in image and (image.endswith(":latest") or ":" not in image.rpartition("/")[2]):
        yield f"{name} runs {image}, which is another image tomorrow"


def _containers(pod: Mapping[str, Value]) -> list[Mapping[str, Value]]:
    return [container for key in _CONTAINERS for container in _listed(pod.get(key))]


def _map(value: Value | None) -> Mapping[str, Value]:
    return value if isinstance(value, dict) else {}


def _listed(value: Value | None) -> list[Mapping[str, Value]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, tuple | list) else []


def _texts(value: Value | None) -> list[str]:
    return [str(item) for item in value] if isinstance(value, tuple | list) else []


POLICIES = (
    Policy("BP710", "pods are restricted", _restricted, applies=Applies("kubernetes:*")),
    Policy("BP711", "pods are sound", _practice, applies=Applies("kubernetes:*")),
)
