"""The command behind an image's HEALTHCHECK, against a real server and against none."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.ports import free_port


class Answers(BaseHTTPRequestHandler):
    """200 on /health, 503 on anything else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port: int, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bedplate.runtime.health", "--port", str(port), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_one_that_is_ready_is_healthy(port: int) -> None:
    answer = ask(port)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_one_that_is_not_ready_says_what_it_answers(port: int) -> None:
    answer = ask(port, "--path", "/v2/health/ready")
    assert answer.returncode == 1
    assert "503" in answer.stderr


def test_nobody_there_is_not_healthy() -> None:
    answer = ask(free_port(), "--timeout", "0.5")
    assert answer.returncode == 1
    assert "no answer" in answer.stderr
