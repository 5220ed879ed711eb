"""A real control plane on 127.0.0.1: etcd, kube-apiserver, its controllers and scheduler, and KWOK for nodes.

What it stores is gone with its folder. Pods are run by nobody: KWOK says of them what a kubelet would say.
"""

from __future__ import annotations

import os
import secrets
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bedplate.engine.install import cache_folder
from tests.ports import free_port

HERE = Path(__file__).parent
WITHIN_S = 90
CONTEXT = "bedplate-tests"
_NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "kwok-1", "annotations": {"kwok.x-k8s.io/node": "fake"}},
    "status": {
        kind: {"cpu": "512", "memory": "4Ti", "pods": "10000"} for kind in ("capacity", "allocatable")
    },
}


def programs() -> Path:
    """Where tests/cluster/install puts what is started here."""
    parts = [HERE / "install", *sorted(HERE.glob("tools/*/go.mod")), *sorted(HERE.glob("tools/*/go.sum"))]
    name = sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()[:16]
    return cache_folder().parent / "cluster" / name


@dataclass(frozen=True)
class Cluster:
    """A control plane that runs; `kubeconfig` leads its administrator to it."""

    folder: Path
    url: str
    token: str

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def client(self) -> httpx.Client:
        trusted = ssl.create_default_context(cafile=str(self.folder / "apiserver.crt"))
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, verify=trusted, headers=headers, timeout=60)


@contextmanager
def control_plane(folder: Path) -> Iterator[Cluster]:
    """Starts all of it and waits until it is ready; at the end all of it has ended."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        yield start(folder, processes)
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def start(folder: Path, processes: list[subprocess.Popen[bytes]]) -> Cluster:
    """Starts all of it; each process is in `processes` as soon as there is one."""
    if not programs().exists():
        raise FileNotFoundError(f"there is no control plane in {programs()}: run tests/cluster/install")
    folder.mkdir(parents=True, exist_ok=True)
    etcd, api = free_port(), free_port()
    cluster = Cluster(folder, f"https://127.0.0.1:{api}", secrets.token_hex(16))
    _write_keys(cluster)
    for name, options in (("etcd", _etcd(folder, etcd)), ("kube-apiserver", _api_server(cluster, etcd, api))):
        processes.append(_started(folder, name, options))
    _until_ready(cluster, processes)
    _define(cluster)
    with cluster.client as client:
        _create(client, "/api/v1/nodes", _NODE)
    for name, options in _controllers(cluster).items():
        processes.append(_started(folder, name, options))
    return cluster


def _etcd(folder: Path, port: int) -> Sequence[str]:
    here, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    return (
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )


def _api_server(cluster: Cluster, etcd: int, port: int) -> Sequence[str]:
    folder = cluster.folder
    return (
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'accounts.pub'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",  # an address of this machine that is not loopback need not exist
    )


def _controllers(cluster: Cluster) -> Mapping[str, Sequence[str]]:
    known, folder = f"--kubeconfig={cluster.kubeconfig}", cluster.folder
    alone = (known, "--bind-address=127.0.0.1", "--leader-elect=false")
    return {
        "kube-controller-manager": (
            *alone,
            f"--secure-port={free_port()}",
            f"--cert-dir={folder}",
            f"--service-account-private-key-file={folder / 'accounts.key'}",
            f"--root-ca-file={folder / 'apiserver.crt'}",
            "--use-service-account-credentials",
        ),
        "kube-scheduler": (*alone, f"--secure-port={free_port()}", f"--cert-dir={folder}"),
        "kwok": (known, "--manage-all-nodes", f"--server-address=127.0.0.1:{free_port()}"),
    }


def _write_keys(cluster: Cluster) -> None:
    folder = cluster.folder
    (folder / "tokens.csv").write_text(f'{cluster.token},admin,admin,"system:masters"\n')
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    (folder / "accounts.key").write_bytes(private)
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "accounts.pub").write_bytes(public)
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [
            {
                "name": CONTEXT,
                "cluster": {"server": cluster.url, "certificate-authority": str(folder / "apiserver.crt")},
            }
        ],
        "users": [{"name": "admin", "user": {"token": cluster.token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": "admin"}}],
    }
    cluster.kubeconfig.write_text(yaml.safe_dump(told))
    cluster.kubeconfig.chmod(0o600)


def _started(folder: Path, name: str, options: Sequence[str]) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [programs() / name, *options],
            cwd=folder,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _until_ready(cluster: Cluster, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while True:
        for process in processes:
            assert process.poll() is None, _end_of_log(cluster.folder, process)
        try:
            with cluster.client as client:
                if client.get("/readyz").status_code == 200:
                    return
        except (httpx.TransportError, FileNotFoundError):
            pass  # it does not listen yet, or has not written its certificate
        assert time.monotonic() < deadline, "the API server is not ready"
        time.sleep(0.2)


def _end_of_log(folder: Path, process: subprocess.Popen[bytes]) -> str:
    name = Path(str(process.args[0])).name  # type: ignore[index]
    return f"{name} ended: {(folder / f'{name}.log').read_text()[-2000:]}"


def _define(cluster: Cluster) -> None:
    """Has the API server know the kinds of Argo Rollouts, the Gateway API, KEDA and the Prometheus operator."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    with cluster.client as client:
        for file in sorted((programs() / "crds").glob("*.yaml")):
            for content in yaml.load_all(file.read_text(), yaml.CSafeLoader):
                if content and content["kind"] == "CustomResourceDefinition":
                    _create(client, path, content)
        deadline = time.monotonic() + WITHIN_S
        while not all(map(_is_established, client.get(path).json()["items"])):
            assert time.monotonic() < deadline, "definitions are not established"
            time.sleep(0.2)


def _is_established(definition: Mapping[str, Any]) -> bool:
    found = definition.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in found)


def _create(client: httpx.Client, path: str, content: Mapping[str, Any]) -> None:
    answer = client.post(path, json=content)
    assert answer.status_code in (201, 409), f"{path}: {answer.text}"
