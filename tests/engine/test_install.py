"""Finding and installing the engine. The network's edge is a proxy where nobody listens, and a false `go`."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bedplate._resources import resource
from bedplate.engine import long_run
from bedplate.engine.install import VERSION, Engine, find_engine, install_engine
from bedplate.errors import EngineMissing

MakeTool = Callable[[str, str], Path]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeTool:
    """Makes a command on a PATH that holds nothing of this machine's own engine; the cache is empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "sleep", "cat", "chmod"):
        (folder / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")

    def make(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


def _go(version: str = VERSION, before: str = "") -> str:
    """A `go` that builds an engine which only says its version; it builds at the path after -o."""
    made = shlex.quote(f"#!/bin/sh\necho v{version}\n")
    return f'{before}\nwhile [ "$1" != -o ]; do shift; done; printf %s {made} > "$2"; chmod +x "$2"'


def test_a_new_enough_engine_on_path_is_used(tool: MakeTool) -> None:
    path = tool("pulumi", "echo v3.300.1")
    assert find_engine() == Engine(path, "3.300.1", "PATH")


def test_an_engine_is_started_for_its_version_only_when_it_is_another_file(
    tool: MakeTool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = tmp_path / "version"
    monkeypatch.chdir(tmp_path)
    # `cat version` tells, for want of an engine that is no script, what the file of that name says now.
    binary = Path(shutil.copy("/bin/cat", tmp_path / "bin" / "pulumi"))
    says.write_text("v3.300.1")
    assert find_engine() == Engine(binary, "3.300.1", "PATH")
    says.write_text("v3.301.0")
    assert find_engine().version == "3.300.1"
    os.utime(binary, (1, 1))
    assert find_engine().version == "3.301.0"
    says.write_text("v3.302.0")
    for remembered in (tmp_path / "cache").rglob("version.json"):
        remembered.write_text("{")
    assert find_engine().version == "3.302.0"


def test_what_may_stand_for_several_engines_is_asked_each_time(
    tool: MakeTool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = tool("pulumi", "cat version")
    for version in ("3.300.1", "3.301.0"):
        (tmp_path / "version").write_text(f"v{version}")
        assert find_engine().version == version
    shutil.copy("/bin/cat", tmp_path / "bin" / "shim")
    script.unlink()
    script.symlink_to(tmp_path / "bin" / "shim")
    for version in ("3.302.0", "3.303.0"):
        (tmp_path / "version").write_text(f"v{version}")
        assert find_engine().version == version


def test_without_any_engine_it_says_how_to_get_one(tool: MakeTool) -> None:
    with pytest.raises(EngineMissing, match="none on PATH, none in the cache") as raised:
        find_engine()
    assert raised.value.hint is not None
    assert "bedplate engine install" in raised.value.hint
    assert "Go 1.26" in raised.value.hint


@pytest.mark.parametrize(
    ("script", "told"),
    [("echo v3.9.0", "is 3.9.0, older than"), ("echo what", "does not say"), ("exit 3", "does not say")],
)
def test_an_unusable_engine_on_path_is_named(tool: MakeTool, script: str, told: str) -> None:
    tool("pulumi", script)
    with pytest.raises(EngineMissing, match=told):
        find_engine()


def test_it_is_built_where_the_installer_cannot_download(tool: MakeTool, tmp_path: Path) -> None:
    tool("go", _go(before="[ -f go.mod ] && [ -f go.sum ] || exit 9"))
    lines: list[str] = []
    engine = install_engine(lines.append)
    cached = tmp_path / "cache" / "bedplate" / "engine" / VERSION / "pulumi"
    assert engine == Engine(cached, VERSION, "built")
    assert find_engine() == Engine(cached, VERSION, "cache")
    assert any(line.startswith(f"building Pulumi {VERSION}") for line in lines)
    assert [path.name for path in cached.parents[1].iterdir() if path.name.startswith(".")] == []


def test_an_old_engine_on_path_gives_way_to_the_cache(tool: MakeTool) -> None:
    tool("pulumi", "echo v3.9.0")
    tool("go", _go())
    assert install_engine(lambda line: None).source == "built"
    assert find_engine().source == "cache"


def test_progress_ticks_with_the_time(tool: MakeTool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_run, "TICK_S", 0.2)
    tool("go", _go(before="sleep 1.5"))
    lines: list[str] = []
    install_engine(lines.append)
    assert any(line.endswith("0:01") for line in lines), lines


def test_every_way_that_failed_is_told(tool: MakeTool) -> None:
    tool("go", "echo cannot reach the proxy; exit 1")
    with pytest.raises(EngineMissing) as raised:
        install_engine(lambda line: None)
    assert "installer: failed" in raised.value.message
    assert "cannot reach the proxy" in raised.value.message


def test_without_go_it_says_so(tool: MakeTool) -> None:
    with pytest.raises(EngineMissing, match="needs Go, which is not on PATH"):
        install_engine(lambda line: None)


def test_a_wrong_version_never_reaches_the_cache(tool: MakeTool, tmp_path: Path) -> None:
    tool("go", _go(version="3.1.0"))
    with pytest.raises(EngineMissing, match=r"is not Pulumi .* but 3\.1\.0"):
        install_engine(lambda line: None)
    assert not list((tmp_path / "cache").rglob("pulumi"))


def test_what_a_killed_installation_left_is_removed(tool: MakeTool, tmp_path: Path) -> None:
    left = tmp_path / "cache" / "bedplate" / "engine" / ".installing-x" / "pulumi"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    tool("go", _go())
    install_engine(lambda line: None)
    assert not left.parent.exists()


def test_two_at_once_build_once(tool: MakeTool, tmp_path: Path) -> None:
    built = tmp_path / "built"
    tool("go", _go(before=f"echo once >> {shlex.quote(str(built))}; sleep 0.3"))
    with ThreadPoolExecutor() as pool:
        engines = list(pool.map(lambda _: install_engine(lambda line: None), range(2)))
    assert built.read_text() == "once\n"
    assert sorted(engine.source for engine in engines) == ["built", "cache"]


def test_the_pinned_module_is_the_version() -> None:
    assert f"github.com/pulumi/pulumi/pkg/v3 v{VERSION} " in resource("tools", "pulumi", "go.mod").read_text()


def test_finding_imports_nothing_of_pulumi() -> None:
    program = "import sys, bedplate.engine.install; assert not {'pulumi', 'grpc'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ, timeout=60)
