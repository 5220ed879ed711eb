"""Projects to measure on: fleets of services and of models, and one service as a new user has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import Cost, cost_of

# The environment of a fleet of services, by its target. A cluster's pods have one image and fetch their models.
TARGETS: dict[str, dict[str, Any]] = {
    "local": {"target": "local"},
    "kubernetes": {
        "target": "kubernetes",
        "kubernetes": {
            "context": "prod",
            "namespace": "fleet",
            "prometheus": "http://prometheus.monitoring:9090",
        },
        "artifacts": "s3://acme-ml/fleet",
        "override": {"defaults": {"serving": {"image": f"ghcr.io/acme/model-server@sha256:{'5e' * 32}"}}},
    },
}
ONE_MODEL = Path(__file__).parents[1] / "examples" / "flights"


@dataclass(frozen=True)
class Measured:
    """A project in a folder of its own."""

    root: Path

    def bedplate(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "bedplate", "-C", str(self.root), *words]

    def run(self, *words: str) -> Cost:
        return cost_of(self.bedplate(*words), folder=self.root)

    def environment(self) -> dict[str, str]:
        """What bare `pulumi` needs."""
        printed = subprocess.run(self.bedplate("env", "--json"), capture_output=True, check=True).stdout
        return {**os.environ, **json.loads(printed)}

    def pulumi(self, sections: tuple[str, ...], *words: str) -> Cost:
        """Bare `pulumi` in several stack folders at once."""
        commands = [
            [
                "pulumi",
                "-C",
                str(self.root / "stacks" / section),
                *words,
                "--non-interactive",
                "--stack",
                "local",
            ]
            for section in sections
        ]
        return cost_of(*commands, folder=self.root, env=self.environment())

    def forget_records(self) -> None:
        shutil.rmtree(self.root / ".bedplate" / "state" / "bedplate" / "records")

    @property
    def lines(self) -> int:
        """The lines of the spec."""
        return len((self.root / "bedplate.yaml").read_text().splitlines())

    def sections(self) -> tuple[str, ...]:
        return tuple(sorted(path.parent.name for path in self.root.glob("stacks/*/Pulumi.yaml")))


def fleet_of_services(root: Path, count: int, target: str) -> Measured:
    """`count` services, each with a model of its own, in one environment of that target."""
    models = _models(root, count)
    return _project(
        root,
        {
            "environments": {"prod": TARGETS[target]},
            "models": models,
            "serving": {name: _service(number) for number, name in enumerate(models)},
        },
    )


def _service(number: int) -> dict[str, Any]:
    return {
        "environments": ["prod"],
        "replicas": number % 4 + 1,
        "resources": {
            "requests": {"cpu": "500m", "memory": "512Mi"},
            "limits": {"cpu": 1, "memory": "1Gi"},
        },
        "traffic": {"expected_rps": number % 100 + 1},
        "slo": {"p95": "200ms", "error_rate": "0.1%"},
        "probes": {"startup": "2m"},
    }


def fleet_of_models(root: Path, count: int) -> Measured:
    """`count` models of a few bytes each and nothing that runs: creating them is nearly all engine."""
    return _project(root, {"models": _models(root, count)})


def _models(root: Path, count: int) -> dict[str, Any]:
    """Entries of models, each of which multiplies by another number."""
    from tests.e2e.project import multiplier

    (root / "models").mkdir(parents=True)
    entries = {f"m{number:04}": {"path": f"models/m{number:04}.onnx"} for number in range(count)}
    for number, entry in enumerate(entries.values()):
        (root / entry["path"]).write_bytes(multiplier(float(number)))
    return entries


def _project(root: Path, sections: dict[str, Any]) -> Measured:
    """The spec as people write it: what is innermost stands on one line."""
    spec = {"version": 1, "project": "fleet", **sections}
    text = yaml.safe_dump(spec, sort_keys=False, default_flow_style=None, width=110)
    (root / "bedplate.yaml").write_text(text)
    return Measured(root)


def one_service(root: Path) -> Measured:
    """The example's spec with a model of its own."""
    from tests.e2e.project import multiplier

    (root / "models").mkdir(parents=True)
    (root / "models" / "delay.onnx").write_bytes(multiplier(2.0))
    shutil.copyfile(ONE_MODEL / "bedplate.yaml", root / "bedplate.yaml")
    return Measured(root)
