"""TLS by files: clients that trust the certificate are answered; others, and plain HTTP, take nothing down."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bedplate.runtime import health
from tests.runtime.server.served import WITHIN_S, Server, post, read_answer, row, until

Serve = Callable[..., Server]


def certificate(folder: Path, name: str = "server", password: bytes | None = None) -> dict[str, str]:
    """A certificate for localhost that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    files = {"certificate": folder / f"{name}.crt", "key": folder / f"{name}.key"}
    files["certificate"].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files["key"].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    )
    return {kind: str(path) for kind, path in files.items()}


def trusting(files: dict[str, str]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=files["certificate"])


def url(server: Server) -> str:
    return f"https://localhost:{server.tree['port']}"


@pytest.fixture
def served(serve: Serve, tmp_path: Path) -> tuple[Server, dict[str, str]]:
    files = certificate(tmp_path)
    return serve(tls=files).started(), files


def test_who_trusts_the_certificate_is_answered(served: tuple[Server, dict[str, str]]) -> None:
    server, files = served
    with httpx.Client(base_url=url(server), verify=trusting(files)) as client:
        for _ in range(3):
            answer = client.post("/v2/models/classifier/infer", json={"inputs": [row()]})
            assert answer.json()["outputs"][0]["data"] == [10.0]
        assert client.get("/v2/health/ready").status_code == 200
        # What is refused below the application is told too, and the connection ended.
        assert client.get("/v2", headers={"X": "y" * 700_000}).status_code == 431
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(url(server) + "/v2")


def test_its_own_probe_believes_it(served: tuple[Server, dict[str, str]]) -> None:
    server, _ = served
    port = server.tree["port"]
    assert health.reason(port, "/v2/health/ready", WITHIN_S) is None
    assert health.reason(port, "/v2/nothing", WITHIN_S) == "/v2/nothing answers 404"


def test_what_is_no_tls_takes_nothing_down(served: tuple[Server, dict[str, str]]) -> None:
    server, files = served
    address = ("127.0.0.1", server.tree["port"])
    workers = server.workers()
    for data in (post("/v2/models/classifier/infer", b"{}"), b"\x16\x03\x01\xff\xff", b"\0" * 100):
        with socket.create_connection(address, timeout=WITHIN_S) as connection:
            connection.sendall(data)
            assert not connection.recv(4096).startswith(b"HTTP/1.1 2")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(address, timeout=WITHIN_S) as connection, pytest.raises(ssl.SSLError):
        old.wrap_socket(connection)
    idle = [socket.create_connection(address, timeout=WITHIN_S) for _ in range(50)]
    context = trusting(files)
    with (
        socket.create_connection(address, timeout=WITHIN_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        secured.sendall(post("/v2/models/classifier/infer", json.dumps({"inputs": [row()]}).encode()))
        assert read_answer(secured)[0] == 200
    for connection in idle:
        connection.close()
    assert server.workers() == workers


def test_a_certificate_is_changed_beside_the_old_one(
    served: tuple[Server, dict[str, str]], tmp_path: Path
) -> None:
    server, _ = served
    newer = certificate(tmp_path, "newer")
    assert server.change({**server.tree, "generation": "b2", "tls": newer})[-1]["ok"]

    def shown() -> bool:
        try:
            return httpx.get(url(server) + "/v2/health/ready", verify=trusting(newer)).status_code == 200
        except httpx.ConnectError:
            return False

    until(shown)
    Path(newer["key"]).write_text("no key")
    refused = server.change({**server.tree, "generation": "c3", "tls": newer})[-1]
    assert not refused["ok"]
    assert "newer.crt" in refused["error"]
    assert shown()


@pytest.mark.parametrize("wrong", ["missing", "another's", "password", "empty"])
def test_files_that_are_none_are_a_bad_configuration(serve: Serve, tmp_path: Path, wrong: str) -> None:
    files = certificate(tmp_path, password=b"hunter22" if wrong == "password" else None)
    if wrong == "missing":
        files["key"] = str(tmp_path / "nothing")
    elif wrong == "another's":
        files["key"] = certificate(tmp_path, "other")["key"]
    elif wrong == "empty":
        Path(files["certificate"]).write_text("")
    server = serve(tls=files)
    assert server.start().wait(30) == 2
    (event,) = server.events("bad configuration")
    assert files["certificate"] in event["reason"]
    assert ("the key is not that of the first certificate" in event["reason"]) == (wrong == "another's")
