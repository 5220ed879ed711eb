"""What `include` may name: regular files of the project's folder, however they are written."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bedplate.diagnostics import Diagnostic
from bedplate.spec.load import load
from bedplate.spec.tree import Map

HEAD = "version: 1\nproject: flights\n"
ENTRY = "models: {hub: {path: hub.onnx}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a good file, and links and things that are none."""
    folder = tmp_path / "project"
    (folder / "teams").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.yaml").write_text(ENTRY)
    (folder / "good.yaml").write_text(ENTRY)
    (folder / "inside.yaml").symlink_to("good.yaml")
    (folder / "out.yaml").symlink_to(tmp_path / "elsewhere" / "a.yaml")
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "zero.yaml").symlink_to("/dev/zero")
    (folder / "teams" / "gone.yaml").symlink_to("nothing.yaml")
    os.mkfifo(folder / "fifo.yaml")
    return folder


def include(project: Path, *items: str) -> tuple[Diagnostic, ...]:
    (project / "bedplate.yaml").write_text(HEAD + "include:\n" + "".join(f"  - {item}\n" for item in items))
    loaded = load(project / "bedplate.yaml")
    return loaded.diagnostics


@pytest.mark.parametrize(
    ("item", "code", "why"),
    [
        ("../elsewhere/a.yaml", "BP111", "outside the project"),
        ("teams/../../elsewhere/a.yaml", "BP111", "outside the project"),
        ("/etc/passwd", "BP111", "outside the project"),
        ("//etc/passwd", "BP111", "outside the project"),
        ("/dev/zero", "BP111", "outside the project"),
        ("C:/a.yaml", "BP111", "outside the project"),
        ("out.yaml", "BP111", "outside the project"),
        ("out/a.yaml", "BP111", "outside the project"),
        ("out/*.yaml", "BP111", "outside the project"),
        ("ou*.yaml", "BP111", "outside the project"),
        ("zero.yaml", "BP111", "outside the project"),
        ("'%2e%2e/elsewhere/a.yaml'", "BP014", "there is no file"),
        ("..%2felsewhere/a.yaml", "BP014", "there is no file"),
        ("'..\\elsewhere\\a.yaml'", "BP014", "no path or pattern"),
        ('"good.yaml\\0"', "BP014", "no path or pattern"),
        ('"good.yaml\\n"', "BP014", "no path or pattern"),
        ("teams//a.yaml", "BP014", "no path or pattern"),
        ("good.yaml//", "BP014", "no path or pattern"),
        ("./.", "BP014", "not a regular file"),
        ("teams/./a.yaml", "BP014", "there is no file"),
        ("'**/*.yaml'", "BP014", "no path or pattern"),
        ("fifo.yaml", "BP014", "not a regular file"),
        ("teams", "BP014", "not a regular file"),
        ("teams/", "BP014", "no path or pattern"),
        ("loop.yaml", "BP014", "cannot be read"),
        ("good.yaml/a.yaml", "BP014", "cannot be read"),
        ("x" * 300, "BP014", "cannot be read"),
        ("none.yaml", "BP014", "there is no file"),
        ("teams/gone*.yaml", "BP014", "there is no file"),
        ("'[.yaml'", "BP014", "no file"),
        ("''", "BP014", "no path or pattern"),
    ],
)
def test_what_cannot_be_included_is_refused_at_the_line_that_names_it(
    project: Path, item: str, code: str, why: str
) -> None:
    began = time.monotonic()

    found = include(project, "good.yaml", item)

    assert [d.code for d in found] == [code]
    assert why in found[0].message
    assert found[0].span is not None
    assert (found[0].span.file, found[0].span.line, found[0].span.column) == ("bedplate.yaml", 5, 5)
    assert time.monotonic() - began < 5


def test_a_file_is_taken_once_however_often_it_is_named(project: Path) -> None:
    assert include(project, "good.yaml", "good.yaml", "goo*.yaml", "./good.yaml") == ()
    assert include(project, "inside.yaml") == ()


def test_a_file_that_is_named_through_a_link_as_well_is_two_files(project: Path) -> None:
    found = include(project, "good.yaml", "inside.yaml")

    assert [(d.code, d.message) for d in found] == [
        ("BP017", "models.hub is written in two files: good.yaml:1 and inside.yaml:1")
    ]


def test_a_file_that_nobody_may_read_is_told_from_one_that_is_not_there(project: Path) -> None:
    shut = project / "shut.yaml"
    shut.write_text(ENTRY)
    shut.chmod(0)

    found = include(project, "shut.yaml")

    if os.access(shut, os.R_OK):  # whom no mode stops
        assert found == ()
    else:
        assert [(d.code, d.message) for d in found] == [
            ("BP014", "shut.yaml cannot be read: Permission denied")
        ]


def in_a_row(project: Path, depth: int) -> tuple[Diagnostic, ...]:
    for index in range(depth):
        following = f"include: [f{index + 1}.yaml]\n" if index + 1 < depth else ENTRY
        (project / f"f{index}.yaml").write_text(following)
    return include(project, "f0.yaml")


def test_a_hundred_files_may_include_one_another(project: Path) -> None:
    assert in_a_row(project, 100) == ()
    tree = load(project / "bedplate.yaml").tree
    assert tree is not None
    assert isinstance(tree.items["models"], Map)


def test_thousands_of_files_may_not_include_one_another(project: Path) -> None:
    found = in_a_row(project, 3000)

    assert [(d.code, d.message) for d in found] == [
        ("BP011", "includes of includes: 128 files in a row are the limit")
    ]
    assert found[0].span is not None
    assert found[0].span.file == "f127.yaml"


def test_a_circle_through_many_files_is_told_once_with_its_way(project: Path) -> None:
    for index in range(4):
        (project / f"f{index}.yaml").write_text(f"include: [f{(index + 1) % 4}.yaml]\n")

    found = include(project, "f0.yaml")

    assert [(d.code, d.message) for d in found] == [
        ("BP015", "files include each other: f0.yaml -> f1.yaml -> f2.yaml -> f3.yaml -> f0.yaml")
    ]
    assert found[0].span is not None
    assert found[0].span.file == "f3.yaml"


def test_an_included_file_is_held_to_the_bound_of_a_file(project: Path) -> None:
    (project / "large.yaml").write_bytes(b"#" * (4 * 1024 * 1024 + 1))

    found = include(project, "large.yaml")

    assert [(d.code, d.message) for d in found] == [("BP002", "large.yaml is larger than 4 MiB")]
    assert found[0].span is not None
    assert found[0].span.line == 4


def test_all_files_together_are_held_to_a_bound(project: Path) -> None:
    for index in range(5):
        (project / "teams" / f"a{index}.yaml").write_bytes(
            b"x-a%d: 1\n" % index + b"#" * (4 * 1024 * 1024 - 20)
        )
    began = time.process_time()

    found = include(project, "teams/a?.yaml")

    assert [(d.code, d.message) for d in found] == [
        ("BP002", "the spec's files are larger than 16 MiB in all")
    ]
    assert time.process_time() - began < 5
