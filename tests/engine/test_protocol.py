"""The short way to the protocol's modules must leave the SDK itself usable."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "program",
    [
        "import bedplate.engine.protocol as ours, sys; assert 'pulumi' not in sys.modules; "
        "import pulumi, pulumi.automation; from pulumi.runtime.proto import provider_pb2; "
        "assert provider_pb2 is ours.provider_pb2 and pulumi.Output",
        "import pulumi; import bedplate.engine.protocol as ours; "
        "from pulumi.runtime.proto import provider_pb2; assert provider_pb2 is ours.provider_pb2",
    ],
)
def test_the_sdk_can_be_imported_before_and_after(program: str) -> None:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
