"""A reader of the README types its commands, in their order, in a copy of the examples."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e.project import UserProject

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"


def typed(shell: str, folder: Path) -> str:
    """What a command prints in a shell that has the environment's commands on PATH."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["bash", "-c", shell],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, f"{shell}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def commands() -> list[str]:
    """The lines after a `$` in the README's console blocks, without comments; make is for clones."""
    lines = re.findall(r"^ *\$ (.*?)(?: {2,}#.*)?$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    return [line for line in lines if not line.startswith("make ")]


def test_the_demo_and_then_every_command_of_the_readme(
    make_project: Callable[..., UserProject], tmp_path: Path
) -> None:
    project = make_project("examples/flights")
    shutil.rmtree(project.root.parent)
    ignored = shutil.ignore_patterns(".bedplate", "stacks", "data", "__pycache__", "delay.onnx")
    shutil.copytree(EXAMPLES, project.root.parent, ignore=ignored)
    assert "roc_auc" in typed("python examples/flights/train.py", tmp_path)
    assert "3 created" in typed("bedplate -C examples/flights up --yes", tmp_path)
    asked = typed(f"python examples/flights/ask.py {project.url()}", tmp_path)
    assert "12 flights" in asked
    shown, _, _hints = asked.partition("Try next")  # with paths, which are as long as they are
    assert max(map(len, shown.splitlines())) <= 80
    assert "no changes" in typed("bedplate -C examples/flights up --yes", tmp_path)

    found = commands()
    assert any("pulumi preview" in line for line in found)
    last = next(line for line in found if "destroy" in line)
    for line in [line for line in found if line != last]:
        typed(line, tmp_path)
    typed(f"{last} --yes", tmp_path)
    assert project.processes() == []
