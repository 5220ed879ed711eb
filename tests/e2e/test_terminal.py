"""Pipes that close, narrow terminals, odd locales, no terminal at all: never a traceback, never a prompt."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from tests.e2e.project import SPEC, UserProject

ESCAPE = re.compile(r"\x1b\[")


def test_a_reader_that_leaves_is_no_failure(project: UserProject) -> None:
    project.write(SPEC + "".join(f"  s{n}: {{modle: delay}}\n" for n in range(200)))
    command = [sys.executable, "-m", "bedplate", "-C", str(project.root), "validate"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(30) in (0, 1)
    schema = subprocess.run(
        f"{sys.executable} -m bedplate schema | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert schema.stdout.strip() == "{"
    assert schema.stderr == ""


@pytest.mark.parametrize("locale", ["C", "POSIX", "tr_TR.UTF-8"])
def test_a_locale_without_unicode_gets_escapes(project: UserProject, locale: str) -> None:
    environment = {
        "LC_ALL": locale,
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    project.write(SPEC + "  größe: {model: delay}\n")
    refused = project.run("validate", env=environment)
    assert refused.code == 1
    assert "Traceback" not in refused.text
    project.write()
    project.ok("up", "--yes", env=environment)
    project.ok("status", env=environment)


def test_without_a_terminal_nobody_is_asked(project: UserProject) -> None:
    refused = project.run("up")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert not project.processes()


def test_colour_is_for_terminals_and_no_color_is_respected(project: UserProject) -> None:
    project.write("version: 1\nproject: flights\nmodles: {}\n")
    assert not ESCAPE.search(project.run("validate").text)
    assert ESCAPE.search(on_a_terminal(project, "validate"))
    assert not ESCAPE.search(on_a_terminal(project, "validate", NO_COLOR="1"))
    assert not ESCAPE.search(on_a_terminal(project, "validate", TERM="dumb"))


def test_twenty_columns_are_enough(project: UserProject) -> None:
    project.write("version: 1\nproject: flights\nmodles: {}\n")
    shown = on_a_terminal(project, "validate", COLUMNS="20", NO_COLOR="1")
    assert "modles" in shown
    assert "Traceback" not in shown


def on_a_terminal(project: UserProject, *words: str, **env: str) -> str:
    """What a command prints to a terminal of its own."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bedplate", "-C", str(project.root), *words],
        env={**project.environment, "TERM": "xterm", **env},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        close_fds=True,
    )
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 4096):
            shown += chunk
    except OSError:
        pass  # the other end is closed: the command has ended
    finally:
        os.close(leader)
        process.wait(30)
    return shown.decode(errors="replace")
