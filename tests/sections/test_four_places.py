"""Adding a section touches four places: its module, the registry, its cases, what is generated of the models."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("framework", "specs", "templates", "stacks", "tools", "tests", "examples", "pyproject.toml")

MODULE = '''\
"""Greetings, a made-up section: a text for everybody who is to be greeted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bedplate.diagnostics import Diagnostic
from bedplate.inputs import Needed
from bedplate.spec.entry import Entry
from bedplate.spec.model import required
from bedplate.spec.types import NameValue, PathValue
from bedplate.workloads import Artifact, Yielded

if TYPE_CHECKING:
    from bedplate.spec.project import Project

KEY = "greetings"


class Model(Entry):
    """A greeting."""

    to: NameValue = required("Whom to greet.", "world")
    text: PathValue = required("The file that says it.", "hello.txt")


def files(entries: Mapping[str, Model]) -> Iterator[Needed]:
    for name, greeting in entries.items():
        yield Needed((KEY, name, "text"), greeting.text)


def check(entries: Mapping[str, Model], project: Project) -> Iterator[Diagnostic]:
    yield from ()


def compile(entries: Mapping[str, Model], project: Project) -> Iterator[Yielded]:
    for name in sorted(entries):
        fact = project.inputs.files[entries[name].text]
        yield Artifact(f"{KEY}.{name}", name, fact.sha256, fact.size, entries[name].text)
'''
SPEC = "version: 1\nproject: polite\ngreetings: {hello: {to: world, text: hello.txt}}\n"


def run(copy: Path, *words: str) -> str:
    path = os.pathsep.join([str(copy / "framework"), str(copy)])
    ran = subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def content(folder: Path) -> dict[str, bytes]:
    ignored = ("__pycache__", ".pytest_cache", ".hypothesis")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in COPIED
        for path in ([folder / name] if (folder / name).is_file() else (folder / name).rglob("*"))
        if path.is_file() and not any(part in ignored for part in path.parts)
    }


def test_a_new_section_touches_four_places(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    before = content(copy)

    (copy / "framework/bedplate/sections/greetings.py").write_text(MODULE)
    registry = copy / "framework/bedplate/sections/__init__.py"
    text = registry.read_text()
    text = text.replace("import models, serving", "import greetings, models, serving")
    registry.write_text(
        text.replace('    "models": models,\n', '    "models": models,\n    "greetings": greetings,\n', 1)
    )
    case = copy / "tests/cases/greetings/hello"
    case.mkdir(parents=True)
    (case / "bedplate.yaml").write_text(SPEC)
    (case / "hello.txt").write_text("Hello, world!\n")
    (copy / "specs/bedplate.schema.json").write_text(run(copy, "-m", "bedplate", "schema"))
    reference = run(copy, "-m", "bedplate", "schema", "--format", "markdown")
    (copy / "specs/reference.md").write_text(reference)

    pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    run(copy, *pytest, "--update", "tests/spec/test_cases.py")

    after = content(copy)
    touched = {name for name in after if after[name] != before.get(name)}
    assert {name for name in touched if not name.startswith("tests/cases/")} == {
        "framework/bedplate/sections/greetings.py",
        "framework/bedplate/sections/__init__.py",
        "specs/bedplate.schema.json",
        "specs/reference.md",
    }
    tests = ["tests/spec/test_cases.py", "tests/spec/test_schema.py", "tests/test_invariants.py"]
    tests.append("tests/test_reference.py")
    run(copy, *pytest, *tests)
    assert (case / "expect.txt").read_text() == "valid in local\n"
    assert "greetings" in run(copy, "-m", "bedplate", "-C", str(case), "compile")
    assert "### `greetings.*.to`" in reference
    assert "Whom to greet." in run(copy, "-m", "bedplate", "explain", "greetings.hello.to")
