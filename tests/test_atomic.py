"""Atomic writes: the old bytes or the new."""

from __future__ import annotations

import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bedplate.atomic import write_atomically


def test_writes_with_mode_and_parents(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    assert write_atomically(path, "x", mode=0o600)
    assert path.read_text() == "x"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_same_bytes_are_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, "x")
    before = path.stat().st_ino
    assert not write_atomically(path, "x")
    assert path.stat().st_ino == before


def test_a_full_disk_leaves_the_old_bytes_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, "old")
    code = (
        "import pathlib, resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (10, {resource.RLIM_INFINITY}))\n"
        "from bedplate.atomic import write_atomically\n"
        "try:\n    write_atomically(pathlib.Path(sys.argv[1]), 'n' * 100)\n"
        "except OSError:\n    sys.exit(5)\n"
    )
    ended = subprocess.run([sys.executable, "-B", "-c", code, str(path)], check=False)
    assert ended.returncode == 5
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path, "x")
