"""The project's own supervisord: its configuration file, its start, and calls to it.

The configuration file holds no path of the project: everything in it is relative to the world's folder,
which is supervisord's working directory, so a path may hold any character (`%`, `;`, `[`, spaces).
"""

from __future__ import annotations

import configparser
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bedplate.engine.provider.kind import ResourceFailed
from bedplate.engine.world.files import failures, write_bytes
from bedplate.workspace import LocalWorld

CONFIG = "supervisord.conf"
_START_TIMEOUT_S = 30
_STOP_MARGIN_S = 5
_LOG_BYTES, _LOG_BACKUPS = 5 * 2**20, 4
# What a server needs of the caller's environment. Secrets that happen to lie in it stay out of a process
# that lives for weeks: AWS's files say them anew.
_INHERITED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH|VIRTUAL_ENV|PYTHONPATH"
    r"|AWS_(PROFILE|REGION|DEFAULT_REGION|CONFIG_FILE|SHARED_CREDENTIALS_FILE|ENDPOINT_URL(_S3)?|CA_BUNDLE)"
)


class Unreachable(Exception):
    """No supervisord answers on the socket."""


class Fault(Exception):
    """supervisord says no: one of its numbers, and why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class ProgramConfig:
    """A program to supervise. `stop_s`: how long it may take to end after SIGTERM before it is killed."""

    name: str
    argv: tuple[str, ...]
    log: str
    stop_s: int


def write_config(world: LocalWorld, identity: str, programs: Sequence[ProgramConfig]) -> None:
    """Writes the configuration file; a running supervisord looks at it when a program is added."""
    parser = configparser.RawConfigParser()
    parser["supervisord"] = {
        "identifier": _data(identity),
        "logfile": "supervisor/supervisord.log",
        "logfile_maxbytes": str(_LOG_BYTES),
        "logfile_backups": "1",
        "pidfile": "supervisor/supervisord.pid",
        "umask": "077",
        "minfds": "256",
        "minprocs": "16",
    }
    if os.geteuid() == 0:
        parser["supervisord"]["user"] = "root"
    parser["unix_http_server"] = {"file": _data(str(world.supervisor_socket)), "chmod": "0600"}
    parser["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for program in sorted(programs, key=lambda program: program.name):
        parser[f"program:{program.name}"] = _program(program)
    text = io.StringIO()
    parser.write(text)
    write_bytes(world.supervisor / CONFIG, text.getvalue().encode())


def _program(program: ProgramConfig) -> dict[str, str]:
    return {
        "command": _command(program.argv),
        "autostart": "true",
        "autorestart": "true",
        "startsecs": "2",
        "startretries": "10",
        # The server's master drains its own workers on SIGTERM; only one that does not end is killed whole.
        "stopsignal": "TERM",
        "stopwaitsecs": str(program.stop_s + _STOP_MARGIN_S),
        "stopasgroup": "false",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": _data(program.log),
        "stdout_logfile_maxbytes": str(_LOG_BYTES),
        "stdout_logfile_backups": str(_LOG_BACKUPS),
    }


def _data(value: str) -> str:
    """A value that supervisord reads back as it is."""
    if "\n" in value or "\r" in value or re.search(r"(^|\s)[;#]", value):
        raise ResourceFailed(f"{value!r} cannot be written to a configuration file")
    return value.replace("%", "%%")


def _command(argv: Sequence[str]) -> str:
    """One line that the shell's rules split into `argv` again; quotes keep `;` and `#` no comments."""
    line = shlex.join(argv)
    if "\n" in line or "\r" in line:
        raise ResourceFailed(f"{line!r} cannot be written to a configuration file")
    return re.sub(r"(?<=\s)([;#])", r"""'"\1"'""", line).replace("%", "%%")


def start(world: LocalWorld) -> None:
    """Starts supervisord in a session of its own; its socket answers when this returns."""
    if importlib.util.find_spec("supervisor") is None:
        raise ResourceFailed("supervisor is not installed", "pip install 'bedplate[engine]'")
    # It goes into the background by itself once its socket is bound: what is wrong before that comes back.
    argv = [
        sys.executable,
        "-P",
        "-W",
        "ignore",
        "-m",
        "supervisor.supervisord",
        "-c",
        f"supervisor/{CONFIG}",
    ]
    output = world.supervisor / "start.log"
    with failures("start supervisord"), output.open("wb") as log:
        try:
            done = subprocess.run(
                argv,
                cwd=world.root,
                env=_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                timeout=_START_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ResourceFailed(f"supervisord did not start within {_START_TIMEOUT_S} seconds") from error
    if done.returncode != 0:
        said = output.read_text(errors="replace").strip().splitlines()
        raise ResourceFailed(f"supervisord did not start: {said[0] if said else f'exit {done.returncode}'}")


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in environ.items() if _INHERITED.fullmatch(name)}
    return {**inherited, "PYTHONUTF8": "1"}


def call(world: LocalWorld, method: str, *arguments: str | bool, timeout_s: float = 10) -> object:
    """Calls `supervisor.<method>`. Raises Unreachable, or Fault when supervisord says no."""
    from bedplate.engine.world import xml_rpc  # brings http and xml, which a preview does not need

    try:
        return xml_rpc.call(world.supervisor_socket, f"supervisor.{method}", arguments, timeout_s)
    except xml_rpc.Fault as fault:
        raise Fault(fault.faultCode, fault.faultString) from fault
    except xml_rpc.Unreachable as error:
        raise Unreachable(str(error)) from error
