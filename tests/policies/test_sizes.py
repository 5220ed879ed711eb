"""What the API server would refuse for its size is refused before anything is applied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bedplate.cli.project import check_file

KIB = 1024
SPEC = """\
version: 1
project: flights
environments:
  prod: {target: kubernetes, kubernetes: {context: prod, namespace: flights}}
serving:
  own:
    runtime: container
    image: ghcr.io/acme/own:1
    container: {env: {TOKEN: {secret: token}}}
    kubernetes: {patches: [%s]}
"""


def messages(folder: Path, kind: str, patch: dict[str, Any]) -> list[tuple[str, str]]:
    spec = folder / "bedplate.yaml"
    spec.write_text(SPEC % json.dumps({"kind": kind, "patch": patch}))
    return [(d.code, d.message) for d in check_file(spec)[1]]


@pytest.mark.parametrize(
    ("kind", "patch", "said"),
    [
        (
            "Service",
            {"metadata": {"annotations": {"a": "x" * (256 * KIB)}}},
            "its annotations are longer than 256 KiB",
        ),
        ("Service", {"metadata": {"annotations": {"a": "x" * (255 * KIB)}}}, None),
        ("Secret", {"stringData": {"a": "x" * (1024 * KIB)}}, "its data is longer than 1 MiB"),
        ("Secret", {"stringData": {"a": "x" * (1000 * KIB)}}, None),
        ("Secret", {"data": {"a": "x" * (1024 * KIB)}}, "its data is longer than 1 MiB"),
    ],
    ids=["annotations", "annotations that fit", "texts", "texts that fit", "data"],
)
def test_objects_fit_the_api_server(
    kind: str, patch: dict[str, Any], said: str | None, tmp_path: Path
) -> None:
    assert messages(tmp_path, kind, patch) == ([("BP712", said)] if said else [])
