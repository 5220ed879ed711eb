"""Pipes that close, narrow terminals, odd locales, no terminal at all: never a traceback, never a prompt."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys

import psutil
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


@pytest.mark.parametrize(
    "words", [["status"], ["validate"], ["schema"], ["plan"], ["--help"], ["explain", "BP020"]]
)
def test_closed_streams_are_no_bug(project: UserProject, words: list[str]) -> None:
    command = f'exec "{sys.executable}" -m bedplate -C "{project.root}" {" ".join(words)} >&- 2>&- <&-'
    assert subprocess.run(command, shell=True, env=project.environment, check=False).returncode == 0


def test_the_schema_is_where_the_modeline_says(project: UserProject) -> None:
    project.write("# yaml-language-server: $schema=./.bedplate/bedplate.schema.json\n" + SPEC)
    project.ok("validate")
    copy = project.root / ".bedplate" / "bedplate.schema.json"
    assert copy.read_text().strip() == project.ok("schema").out.strip()
    assert (project.root / ".bedplate" / ".gitignore").exists()


def test_an_unknown_address_or_environment_is_named(project: UserProject) -> None:
    project.ok("up", "--yes")
    assert "nothing has been logged" in project.ok("logs", "serving.delay").err
    wrong = project.run("logs", "serving.dely")
    assert wrong.code == 2
    assert "serving.delay" in wrong.err
    for verb in (["status"], ["logs", "serving.delay"]):
        nowhere = project.run(*verb, "--env", "nope")
        assert nowhere.code == 2
        assert "nope" in nowhere.err
    assert project.run("up", "--plan", "none").code == 2


def test_what_runs_after_its_private_folder_was_removed_is_named(project: UserProject) -> None:
    project.ok("up", "--yes")
    shutil.rmtree(project.root / ".bedplate")
    seen = project.run("status")
    assert seen.code == 4
    pid = int(seen.out.rpartition("kill ")[2].split()[0])
    assert "supervisord" in " ".join(psutil.Process(pid).cmdline())
