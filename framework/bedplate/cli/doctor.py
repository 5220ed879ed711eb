"""`bedplate doctor`: what is missing on this machine, and how to get it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import click

from bedplate.cli import options, terminal
from bedplate.errors import EngineMissing

MISSING = 4
_PACKAGES = {
    "pulumi": "engine",
    "supervisor": "engine",
    "onnxruntime": "server",
    "starlette": "server",
    "uvicorn": "server",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is there, what was found, what to do if not."""

    what: str
    ok: bool
    found: str
    cure: str = ""


@click.command("doctor", short_help="say what is missing on this machine and how to get it")
@options.as_json
def command(as_json: bool) -> int:
    """Say what is missing on this machine, and how to get it. Exits with 4 when something is."""
    findings = list(examine())
    if as_json:
        terminal.data({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            mark = terminal.paint("ok     ", "good") if finding.ok else terminal.paint("missing", "bad")
            terminal.line(f"{mark}  {finding.what}: {finding.found}")
            if not finding.ok:
                terminal.line(f"         = help: {finding.cure}")
    return 0 if all(finding.ok for finding in findings) else MISSING


def examine() -> Iterator[Finding]:
    """Everything that `up` needs on this machine, looked at without changing anything."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", sys.version_info >= (3, 11), version, "use Python 3.11 or newer")
    for package, extra in _PACKAGES.items():
        there = importlib.util.find_spec(package) is not None
        found = "installed" if there else "not installed"
        yield Finding(package, there, found, f"pip install 'bedplate[{extra}]'")
    yield _engine()


def _engine() -> Finding:
    try:
        from bedplate.engine.install import find_engine

        engine = find_engine()
    except EngineMissing as error:
        return Finding("Pulumi engine", False, error.message, "bedplate engine install")
    return Finding("Pulumi engine", True, f"{engine.version} ({engine.source})")
