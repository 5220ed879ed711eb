"""TLS on this machine: the spec names a secret, callers trust its certificate, and its key is nowhere to be seen."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import httpx
import pytest

from tests.e2e.project import SPEC, UserProject
from tests.runtime.server.test_server_tls import certificate, trusting

BODY = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [3.0]}]}


@pytest.fixture
def secured(project: UserProject) -> UserProject:
    project.write(SPEC + "    expose: {tls: {secret: delay-tls}}\n")
    return project


def made(project: UserProject, folder: Path, name: str) -> tuple[str, ssl.SSLContext]:
    """A new certificate in the secret's variable; its key's text, and what a client that trusts it has."""
    files = certificate(folder, name)
    key = Path(files["key"]).read_text()
    project.environment["DELAY_TLS"] = key + Path(files["certificate"]).read_text()
    return key, trusting(files)


def answered(project: UserProject, trust: ssl.SSLContext) -> float:
    url = project.url().replace("127.0.0.1", "localhost")
    assert url.startswith("https://")
    answer = httpx.post(f"{url}/v2/models/delay/infer", json=BODY, verify=trust, timeout=30)
    return float(answer.json()["outputs"][0]["data"][0])


def places_that_hold(project: UserProject, key: str) -> list[str]:
    line = key.splitlines()[1]
    found = [path for path in project.root.rglob("*") if path.is_file() and line in path.read_text("latin-1")]
    return [*map(str, found), *(text[:80] for text in project.said if line in text)]


def test_it_is_served_changed_refused_and_removed(secured: UserProject, tmp_path: Path) -> None:
    key, trust = made(secured, tmp_path, "first")
    secured.ok("up", "--yes")
    assert answered(secured, trust) == 6.0
    assert "https://127.0.0.1:" in secured.ok("status").out
    (pid,) = (service["pid"] for service in secured.ok("status", "--json").data["services"])
    (file,) = secured.root.glob(".bedplate/world/local/services/delay/tls-*.pem")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secured.ok("logs", "serving.delay")
    secured.pulumi("serving", "stack", "export", "--stack", "local", "--show-secrets")
    assert places_that_hold(secured, key) == [str(file)]

    newer, newer_trust = made(secured, tmp_path, "newer")
    plan = secured.run("plan", "--exit-code")
    assert (plan.code, "certificate" in plan.out) == (7, True)
    secured.ok("up", "--yes")
    assert answered(secured, newer_trust) == 6.0
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        answered(secured, trust)
    assert secured.run("plan", "--exit-code").code == 0
    (file,) = secured.root.glob(".bedplate/world/local/services/delay/tls-*.pem")
    assert places_that_hold(secured, newer) == [str(file)]

    secured.environment["DELAY_TLS"] = newer + Path(certificate(tmp_path, "other")["certificate"]).read_text()
    refused = secured.run("up", "--yes")
    assert refused.code == 4
    assert (
        "bedplate.yaml:9:3: serving.delay: the secret delay-tls holds no certificate with its key: the key"
        in refused.err
    )
    assert answered(secured, newer_trust) == 6.0
    assert [service["pid"] for service in secured.ok("status", "--json").data["services"]] == [pid]
    secured.ok("destroy", "--yes")
    assert places_that_hold(secured, newer) == []
