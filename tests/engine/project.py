"""A project of toys for tests of the protocol: graphs made by hand, run by the real engine."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bedplate.engine.launchers import engine_environment, launcher, write_launchers
from bedplate.engine.stack_folder import write_stack_folder
from bedplate.graph import Graph, Origin, Resource, Value
from bedplate.workspace import Workspace

REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 60


def toy(name: str, *, options: Mapping[str, Any] | None = None, **properties: Value) -> Resource:
    """A toy whose label is its name unless said otherwise; `from_` is the property `from`."""
    named = {key.rstrip("_"): value for key, value in properties.items()}
    return Resource(name, "bedplate:toy:Toy", {"label": name, **named}, **(options or {}))


@dataclass(frozen=True)
class Ran:
    """How a run of the engine ended: its code, all it printed, its events."""

    code: int
    text: str
    events: tuple[Mapping[str, Any], ...] = ()

    def changes(self) -> Mapping[str, int]:
        """Count of resources by operation, without those left as they are."""
        found: Mapping[str, int] = next(
            e["summaryEvent"]["resourceChanges"] for e in reversed(self.events) if "summaryEvent" in e
        )
        return {operation: count for operation, count in found.items() if operation != "same"}

    def errors(self) -> str:
        return "\n".join(
            e["diagnosticEvent"]["message"]
            for e in self.events
            if e.get("diagnosticEvent", {}).get("severity") == "error"
        )


@dataclass(frozen=True)
class ToyProject:
    """A project folder with launchers of the real language host and of the provider of toys."""

    engine: Path
    root: Path
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        write_launchers(self.workspace)
        path = f"export PYTHONPATH={shlex.quote(str(REPOSITORY))}${{PYTHONPATH:+:$PYTHONPATH}}"
        script = launcher("tests.engine.toy_provider").replace("exec ", f"{path}\nexec ", 1)
        (self.workspace.launchers / "pulumi-resource-bedplate").write_text(script)
        self.world.mkdir(exist_ok=True)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root)

    @property
    def world(self) -> Path:
        return self.root / "world"

    def write(
        self, *resources: Resource, section: str = "toys", outputs: Mapping[str, Value] | None = None
    ) -> None:
        """Makes these resources the stack's graph; each claims to come from a line of the spec."""
        graph = Graph("zoo", section, "local", resources, outputs or {}, self.secrets)
        origins = {
            r.name: Origin(f"{section}.{r.name}", "bedplate.yaml", 10 + n, 3) for n, r in enumerate(resources)
        }
        write_stack_folder(self.workspace, graph, origins)

    def start(self, *arguments: str, section: str = "toys") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.engine), *arguments, "--non-interactive", "--color=never", "--stack=local"],
            cwd=self.workspace.stack(section),
            env=engine_environment(self.workspace) | {"PULUMI_DEBUG_COMMANDS": "1"} | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def run(self, *arguments: str, section: str = "toys") -> Ran:
        process = self.start(*arguments, section=section)
        text, _ = process.communicate(timeout=DEADLINE_S)
        return Ran(process.returncode, text)

    def operate(self, *arguments: str, section: str = "toys") -> Ran:
        """Runs an operation with its event log, on a stack that is made when it is not there."""
        if not (self.workspace.state / ".pulumi" / "stacks" / f"zoo-{section}" / "local.json").exists():
            made = self.run("stack", "init", "--no-select", section=section)
            assert made.code == 0, made.text
        log = self.root / f"events-{section}"
        log.unlink(missing_ok=True)
        ran = self.run(*arguments, f"--event-log={log}", section=section)
        events = tuple(json.loads(line) for line in log.read_text().splitlines()) if log.exists() else ()
        return Ran(ran.code, ran.text, events)

    def up(self, *arguments: str, section: str = "toys") -> Ran:
        return self.operate("up", "--yes", "--skip-preview", *arguments, section=section)

    def applied(self, *arguments: str, section: str = "toys") -> Ran:
        """An `up` that must succeed."""
        ran = self.up(*arguments, section=section)
        assert ran.code == 0, ran.text
        return ran

    def state(self, section: str = "toys") -> dict[str, Mapping[str, Any]]:
        """The resources in the state, by name."""
        ran = self.run("stack", "export", section=section)
        resources = json.loads(ran.text)["deployment"].get("resources", [])
        return {resource["urn"].rpartition("::")[2]: resource for resource in resources}

    def outputs(self, *arguments: str) -> Any:
        return json.loads(self.run("stack", "output", "--json", *arguments).text)

    def journal(self) -> list[str]:
        """What was done in the world, in order, and forgotten with that."""
        path = self.world / "journal"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def switch(self, name: str, text: str = "") -> Path:
        path = self.world / name
        path.write_text(text)
        return path

    def plugins(self) -> list[psutil.Process]:
        """The plugins of this project that run now."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if "--project" in (process.info["cmdline"] or ()) and str(self.root) in process.info["cmdline"]
        ]


def await_(condition: Callable[[], object], what: str, timeout_s: float = DEADLINE_S) -> None:
    """Looks until `condition` holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


def everything_under(folder: Path) -> str:
    """All bytes of all files below, as text: where a secret must not be found."""
    found = []
    for parent, _, names in os.walk(folder):
        found += [(Path(parent) / name).read_bytes() for name in names if (Path(parent) / name).is_file()]
    return b"\n".join(found).decode(errors="replace")
