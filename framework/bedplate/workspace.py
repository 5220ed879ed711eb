"""Where everything of one project lies on this machine. Paths only: nothing here is created or read.

<project>/
  bedplate.yaml, bedplate.lock
  stacks/<stack>/       Pulumi.yaml, Pulumi.<env>.yaml, graph.<env>.json, sources.<env>.json;
                        a stack is a section, or one of its shards: serving, serving-3
  .bedplate/            never committed
    bedplate.schema.json  the copy that the spec's first line names, for editors
    bin/                launchers of our Pulumi plugins
    state/              Pulumi's file backend, and our records beside it
    pulumi/             PULUMI_HOME
    secrets/            passphrase, fingerprint.key (0600)
    logs/               tracebacks of bugs, output of the engine
    build/<env>/        the images' build contexts, what was built of them, and the builder's output
    predictions/<env>/  what servers log of requests and answers, by service and model
    world/<env>/        what the local target runs: supervisor/ artifacts/ services/ logs/
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

SPEC_FILE = "bedplate.yaml"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of the project at `root`, an absolute path without symbolic links."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / SPEC_FILE

    @property
    def lock_file(self) -> Path:
        return self.root / "bedplate.lock"

    @property
    def stacks(self) -> Path:
        return self.root / "stacks"

    @property
    def private(self) -> Path:
        return self.root / ".bedplate"

    @property
    def schema(self) -> Path:
        return self.private / "bedplate.schema.json"

    @property
    def launchers(self) -> Path:
        return self.private / "bin"

    @property
    def state(self) -> Path:
        return self.private / "state"

    @property
    def engine_runs(self) -> Path:
        return self.state / "bedplate" / "engines"

    @property
    def pulumi_home(self) -> Path:
        return self.private / "pulumi"

    @property
    def secrets(self) -> Path:
        return self.private / "secrets"

    @property
    def logs(self) -> Path:
        return self.private / "logs"

    def stack(self, name: str) -> Path:
        return self.stacks / name

    def graph(self, stack: str, environment: str) -> Path:
        return self.stack(stack) / f"graph.{environment}.json"

    def sources(self, stack: str, environment: str) -> Path:
        return self.stack(stack) / f"sources.{environment}.json"

    def build(self, environment: str) -> Path:
        return self.private / "build" / environment

    def world(self, environment: str) -> LocalWorld:
        return LocalWorld(self.private / "world" / environment, _runtime_folder(self.root, environment))


@dataclass(frozen=True, slots=True)
class LocalWorld:
    """What the local target runs for one environment. `runtime` is short: sockets' paths end at 107 bytes."""

    root: Path
    runtime: Path

    @property
    def supervisor(self) -> Path:
        return self.root / "supervisor"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def supervisor_socket(self) -> Path:
        return self.runtime / "supervisor.sock"

    @property
    def predictions(self) -> Path:
        """Data, not something that runs: it stays when the environment is taken away."""
        return self.root.parent.parent / "predictions" / self.root.name

    def service(self, name: str) -> Path:
        return self.root / "services" / name

    def control_socket(self, name: str) -> Path:
        return self.runtime / f"{name}.sock"

    def log(self, address: str) -> Path:
        return self.logs / f"{address}.log"


def _runtime_folder(root: Path, environment: str) -> Path:
    """One per project folder and environment, so that a clone next to a clone has its own.

    Always under /tmp: with TMPDIR it would be another one in another shell, and its supervisor not found.
    """
    key = hashlib.sha256(f"{root}\0{environment}".encode()).hexdigest()[:12]
    return Path("/tmp") / f"bedplate-{os.getuid()}" / key  # noqa: S108
