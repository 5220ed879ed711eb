"""`logs`: the end of a log, what comes, and rotations in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest

from bedplate.engine.world.logs import follow_log, last_lines
from bedplate.workspace import Workspace
from tests.engine.world.lab import until


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = Workspace(tmp_path).world("local").log("serving.delay")
    path.parent.mkdir(parents=True)
    return path


def read(tmp_path: Path, lines: int) -> list[str]:
    return list(follow_log(Workspace(tmp_path), "local", "serving.delay", follow=False, lines=lines))


@contextmanager
def following(tmp_path: Path, lines: int = 0) -> Iterator[list[str]]:
    said: list[str] = []
    over = threading.Event()

    def follow() -> None:
        workspace = Workspace(tmp_path)
        options = {"follow": True, "lines": lines}
        for line in follow_log(workspace, "local", "serving.delay", stopped=over.is_set, **options):  # type: ignore[arg-type]
            said.append(line)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield said
    finally:
        over.set()
        thread.join()


def test_the_last_lines(tmp_path: Path, log: Path) -> None:
    assert read(tmp_path, 10) == []
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    assert read(tmp_path, 3) == ["line 97", "line 98", "line 99"]
    assert read(tmp_path, 0) == []
    assert len(read(tmp_path, 1000)) == 100


def test_lines_from_before_a_rotation(tmp_path: Path, log: Path) -> None:
    log.with_name(f"{log.name}.1").write_text("a\nb\n")
    log.write_text("c\n")
    assert read(tmp_path, 2) == ["b", "c"]


def test_bytes_that_are_no_text_and_long_lines_do_no_harm(tmp_path: Path, log: Path) -> None:
    log.write_bytes(b"\xff\xfe\n" + b"x" * 2**20 + b"\nend\n")
    assert last_lines(log, 1) == ["end"]
    assert read(tmp_path, 2)[-1] == "end"


def test_what_comes_also_across_a_rotation(tmp_path: Path, log: Path) -> None:
    log.write_text("old\n")
    with following(tmp_path, lines=1) as said, log.open("a") as file:
        until(lambda: said == ["old"], "the end of the log")
        until(lambda: _appended(file, "marker") and "marker" in said, "the follower has begun to follow")
        file.write("first")
        file.flush()
        file.write(" line\n")
        file.flush()
        log.rename(log.with_name(f"{log.name}.1"))
        file.write("last of the old file\n")
        file.flush()
        log.write_text("first of the new file\n")
        until(lambda: "first of the new file" in said, "the new file is read")
    assert [line for line in said if line != "marker"] == [
        "old",
        "first line",
        "last of the old file",
        "first of the new file",
    ]


def test_a_log_that_does_not_exist_yet(tmp_path: Path, log: Path) -> None:
    with following(tmp_path) as said, log.open("a") as file:
        until(lambda: _appended(file, "line") and len(said) > 0, "what is written is followed")
    assert set(said) == {"line"}


def _appended(file: TextIO, line: str) -> bool:
    file.write(f"{line}\n")
    file.flush()
    return True
