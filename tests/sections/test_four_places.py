"""What CONTRIBUTING shows is true: its diffs are applied to a copy, and a section touches four places."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("framework", "specs", "templates", "stacks", "tools", "tests", "examples", "pyproject.toml")
QUIET = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
GENERATED = {"specs/bedplate.schema.json", "specs/reference.md"}


def shown(heading: str) -> str:
    """The diff under a heading."""
    _, _, below = (ROOT / "CONTRIBUTING.md").read_text().partition(f"\n## {heading}\n")
    (diff,) = re.findall(r"```diff\n(.*?)```", below.partition("\n## ")[0], re.DOTALL)
    return str(diff)


def applied(diff: str, copy: Path) -> set[str]:
    """Applies a diff whose hunks say in words where they are. Answers the files."""
    names = set()
    for part in re.split(r"^--- .*\n(?=\+\+\+ )", diff, flags=re.MULTILINE)[1:]:
        name, _, body = part.removeprefix("+++ b/").partition("\n")
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text() if path.exists() else ""
        for hunk in filter(None, re.split(r"^@@.*\n", body, flags=re.MULTILINE)):
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            assert text.count(before) == 1 if before else not text, f"{name}: {before}"
            text = text.replace(before, after) if before else after
        path.write_text(text)
        names.add(name)
    return names


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


def copied(tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    return copy


def generated(copy: Path) -> None:
    """What `make schema` and `--update` write."""
    (copy / "specs/bedplate.schema.json").write_text(run(copy, "-m", "bedplate", "schema"))
    reference = run(copy, "-m", "bedplate", "schema", "--format", "markdown")
    (copy / "specs/reference.md").write_text(reference)
    run(copy, *QUIET, "--update", "tests/spec/test_cases.py")


def test_what_contributing_adds_is_added_where_it_says(tmp_path: Path) -> None:
    copy = copied(tmp_path)
    before = content(copy)

    written = applied(shown("Add a section"), copy)
    generated(copy)

    after = content(copy)
    touched = {name for name in after if after[name] != before.get(name)}
    case = "tests/cases/reports/simple"
    assert written <= touched
    assert {name for name in touched if not name.startswith("tests/cases/")} == {
        "framework/bedplate/sections/reports.py",
        "framework/bedplate/sections/__init__.py",
        *GENERATED,
    }
    assert (copy / case / "expect.txt").read_text() == "valid in local\n"
    assert "stacks/reports/graph.local.json" in run(copy, "-m", "bedplate", "-C", case, "compile")
    assert "What stands at its top." in run(copy, "-m", "bedplate", "explain", "reports.delays.title")
    shutil.rmtree(copy / case / "stacks")
    shutil.rmtree(copy / case / ".bedplate", ignore_errors=True)

    applied(shown("Add a diagnostic"), copy)
    applied(shown("Add a policy"), copy)
    generated(copy)

    told = (copy / "tests/cases/reports/no-title/expect.txt").read_text()
    assert told.startswith(
        "error[BP401]: a title of nothing\n --> bedplate.yaml:3:27  reports.delays.title\n"
    )
    told = (copy / "tests/cases/policies/counts/expect.txt").read_text()
    assert told.startswith("error[BP720]: 51 pods of one service are more than 50\n")
    assert "bedplate.yaml:10:21  serving.delay.replicas" in told
    expected = {name: data for name, data in after.items() if name.endswith("expect.txt")}
    assert expected.items() <= content(copy).items()
    run(copy, "-m", "ruff", "check", "framework")
    run(copy, "-m", "ruff", "format", "--check", "framework")
    tests = ("tests/spec/test_cases.py", "tests/spec/test_schema.py", "tests/test_reference.py")
    run(copy, *QUIET, *tests, "tests/test_invariants.py")
