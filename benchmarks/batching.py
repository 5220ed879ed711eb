"""The model server with batching beside itself without: a model that takes little longer for many rows than for one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.measure import Comparison
from benchmarks.serving import Asked, bedplate, in_turn, need, write_model

WIDTHS = (1024, 2048, 2048, 1)


def batching(folder: Path, pairs: int) -> Iterator[Comparison]:
    """Both servers at once, asked one after the other, several times."""
    need("wrk", "taskset")
    model = folder / "wide.onnx"
    write_model(model, WIDTHS)
    bodies = {"one": _row(folder / "row.bin")}
    with ExitStack() as running:
        servers = [
            running.enter_context(bedplate(model, folder / name, bodies, f"bedplate, {name}", **told))
            for name, told in (("batching", {"batching": {}}), ("alone", {}))
        ]
        in_turn(servers, pairs)
        both = zip(*(server.loads for server in servers), strict=True)
        per_s = tuple((batched.per_s, alone.per_s) for batched, alone in both)
    yield Comparison(
        "a wide model, batch 1, binary", servers[0].name, servers[1].name, "per_s", 1.2, per_s, least=True
    )


def _row(path: Path) -> Asked:
    """One row in binary, which asks for its answer in binary too."""
    values = np.random.default_rng(1).standard_normal(WIDTHS[0]).astype(np.float32).tobytes()
    tensor = {
        "name": "x",
        "shape": [1, WIDTHS[0]],
        "datatype": "FP32",
        "parameters": {"binary_data_size": len(values)},
    }
    text = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    path.write_bytes(text + values)
    return Asked(path, "application/octet-stream", len(text))
