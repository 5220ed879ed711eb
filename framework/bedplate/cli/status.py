"""`bedplate status`: what runs, where, and how healthy it is."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bedplate.cli import options, terminal
from bedplate.cli.project import find_applied

if TYPE_CHECKING:
    from bedplate.engine.world.observe import ServiceStatus, WorldStatus
    from bedplate.workspace import Workspace

UNHEALTHY = 4
WATCH_S = 2.0


@click.command("status", short_help="what runs, where, and how healthy it is")
@options.environment
@options.as_json
@click.option("--watch", is_flag=True, help="Look again every two seconds, until Ctrl-C.")
@click.pass_obj
def command(folder: Path, environment: str, as_json: bool, watch: bool) -> int:
    """Say what runs, where, and how healthy it is. Exits with 4 when something is not healthy."""
    workspace = find_applied(folder, environment)
    seen = _look(workspace, environment)
    while True:
        if as_json:
            terminal.data({**asdict(seen), "healthy": seen.healthy})
        else:
            _show(seen, environment, clear=watch)
        if not watch:
            return 0 if seen.healthy else UNHEALTHY
        time.sleep(WATCH_S)
        seen = _look(workspace, environment)


def _look(workspace: Workspace, environment: str) -> WorldStatus:
    from bedplate.engine.world.observe import observe

    return observe(workspace, environment)


def _show(seen: WorldStatus, environment: str, *, clear: bool) -> None:
    if clear:
        click.clear()
    if seen.supervisor.foreign:
        terminal.line(
            f"a supervisor that this project does not know runs in its place: kill {seen.supervisor.pid}"
        )
    if not seen.services and not seen.supervisor.expected:
        terminal.line(f"nothing is applied in {environment}; `bedplate up` does it")
        return
    supervisor = "running" if seen.supervisor.alive else "not running"
    style = "good" if seen.supervisor.alive else "bad"
    terminal.line(f"supervisor  {terminal.paint(supervisor, style)}")
    for service in seen.services:
        _show_service(service)
    if not seen.healthy:
        terminal.line("`bedplate up --refresh` heals what can be healed")


def _show_service(service: ServiceStatus) -> None:
    style = "good" if service.healthy else "bad"
    grpc = f", gRPC on port {service.grpc_port}" if service.grpc_port else ""
    models = ", ".join(f"{model.name} {model.version}" for model in service.models)
    terminal.line(
        f"{service.address}  {terminal.paint(service.state, style)}  {service.url or '(no port)'}{grpc}"
    )
    terminal.line(f"  model    {models or '(none)'}")
    terminal.line(
        f"  workers  {service.workers_ready} of {service.workers_wanted}, {service.restarts} restarts"
    )
    if service.last_exit:
        terminal.line(f"  last end {terminal.escaped(str(service.last_exit))}")
    if service.error:
        terminal.line(f"  error    {terminal.escaped(service.error)}")
    terminal.line(f"  log      bedplate logs {service.address}")
