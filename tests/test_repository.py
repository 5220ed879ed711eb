"""The repository as a newcomer meets it: whole, locked, and speaking of the product alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from bedplate.cli import VERBS

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("framework", "specs", "templates", "stacks", "tests", "examples", "docs", "tools", "benchmarks")
FILES = ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", ".ci/run")
TARGETS = (
    "help",
    "demo",
    "test",
    "check",
    "bench",
    "schema",
    "engine",
    "cluster",
    "cluster-stop",
    "clean",
    "lock",
)
# Put together here, so that this file does not find itself.
PLACES = tuple("/" + place for place in ("work/", "root/", "opt/wheels", "home/"))
HOSTS = tuple(".".join(parts) for parts in (("pypi", "org"), ("files", "pythonhosted"), ("proxy", "golang")))
UNFINISHED = tuple("".join(parts) for parts in (("TO", "DO"), ("FIX", "ME"), ("XX", "X")))


def tracked() -> list[Path]:
    """Every file that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def lines_with(words: tuple[str, ...]) -> list[str]:
    found = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if any(re.search(rf"(?<![\w.]){re.escape(word)}", line) for word in words):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_is_in_a_clone(folder: str) -> None:
    assert any(path.is_relative_to(ROOT / folder) for path in tracked())


@pytest.mark.parametrize("name", FILES)
def test_file_says_something(name: str) -> None:
    assert (ROOT / name).read_text().strip()


def test_no_path_of_a_machine_is_written_down() -> None:
    assert lines_with(PLACES) == []


def test_no_package_index_is_written_down() -> None:
    assert lines_with(HOSTS) == []


def test_nothing_is_left_for_later() -> None:
    assert lines_with(UNFINISHED) == []


def test_nothing_generated_is_tracked() -> None:
    generated = {".venv", ".bedplate", "__pycache__", ".mypy_cache", ".ruff_cache", ".hypothesis"}
    assert [path for path in tracked() if generated & set(path.parts)] == []


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "adr"
    written = {path.name for path in folder.glob("[0-9]*.md")}
    listed = set(re.findall(r"\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text()))
    assert written == listed
    assert sorted(name[:4] for name in written) == [f"{number:04}" for number in range(1, len(written) + 1)]


def test_every_link_between_documents_leads_somewhere() -> None:
    broken = []
    for path in tracked():
        if path.suffix == ".md":
            for target in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
                if "://" not in target and not (path.parent / target).exists():
                    broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert broken == []


def test_make_has_the_targets_and_one_line_for_each() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert tuple(line.split()[0] for line in listed.splitlines()) == TARGETS
    assert all(len(line.split()) > 2 for line in listed.splitlines())


def test_documents_name_commands_that_exist() -> None:
    unknown = []
    for path in tracked():
        if path.suffix == ".md":
            code = "\n".join(
                map("".join, re.findall(r"```console\n(.*?)```|`([^`\n]+)`", path.read_text(), re.S))
            )
            verbs = re.findall(r"^(?:\$ )?bedplate (?:-C \S+ )?([a-z]+)", code, re.M)
            targets = re.findall(r"^(?:\$ )?make ([a-z]+)", code, re.M)
            unknown += [f"{path.relative_to(ROOT)}: bedplate {verb}" for verb in verbs if verb not in VERBS]
            unknown += [f"{path.relative_to(ROOT)}: make {name}" for name in targets if name not in TARGETS]
    assert unknown == []


def test_the_spec_in_the_readme_is_that_of_the_example() -> None:
    assert (ROOT / "examples" / "flights" / "bedplate.yaml").read_text() in (ROOT / "README.md").read_text()


def test_the_slip_in_the_readme_is_told_in_these_words(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```\n(error\[.*?)```", (ROOT / "README.md").read_text(), re.S)
    spec = (ROOT / "examples" / "flights" / "bedplate.yaml").read_text()
    (tmp_path / "bedplate.yaml").write_text(spec.replace("replicas", "replcas"))
    command = [str(Path(sys.executable).with_name("bedplate")), "-C", str(tmp_path), "validate"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert shown.strip() in told.stdout + told.stderr


def test_the_lock_holds_every_direct_dependency_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    groups = project["dependency-groups"].values()
    wanted = {
        _normal(re.split(r"[\[<>=!~; ]", requirement)[0])
        for requirements in (project["project"]["dependencies"], *extras, *groups)
        for requirement in requirements
    } - {"bedplate"}
    locked = re.findall(
        r"^(\S+)==\S+.*\\\n    --hash=sha256:", (ROOT / "requirements/dev.lock").read_text(), re.M
    )
    assert wanted - {_normal(name) for name in locked} == set()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_entry_of_the_lock_has_a_hash() -> None:
    text = (ROOT / "requirements" / "dev.lock").read_text()
    entries = re.findall(r"^\S+==.*$", text, re.M)
    assert entries
    assert [entry for entry in entries if not entry.endswith("\\")] == []


def test_the_hooks_run_what_make_check_runs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = {hook["entry"] for repository in config["repos"] for hook in repository["hooks"]}
    assert {".venv/bin/ruff check", ".venv/bin/ruff format --check", ".venv/bin/mypy"} <= entries
    assert any(entry.endswith(" validate") for entry in entries)


def test_the_ci_script_is_one_command() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert script.read_text().splitlines()[-1] == "exec make test"


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= kinds
