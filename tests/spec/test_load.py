from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bedplate.spec.load import Loaded, load, load_text
from bedplate.spec.tree import Map, Scalar
from tests.spec.cases import ROOT, Case

HEAD = "version: 1\nproject: flights\n"


def loaded(text: str) -> Loaded:
    return load_text(text.encode(), "bedplate.yaml", Path("/"))


def texts(node: object) -> dict[str, str]:
    assert isinstance(node, Map)
    return {key: value.text for key, value in node.items.items() if isinstance(value, Scalar)}


def codes(text: str) -> list[str]:
    return [diagnostic.code for diagnostic in loaded(text).diagnostics]


@pytest.mark.parametrize(
    "text",
    ["NO", "on", "y", "22:22", "1.10", "010", "1_000", "2024-01-01", "1e3", "0x1F", "True", "9" * 5000],
)
def test_a_scalar_is_the_text_as_typed(text: str) -> None:
    tree = loaded(f"key: {text}\n{'on'}: x\ny: z\n").tree

    assert texts(tree) == {"key": text, "on": "x", "y": "z"}


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL", "!!null x"])
def test_null_is_told_from_text(text: str) -> None:
    tree = loaded(f"key: {text}\n").tree

    assert isinstance(tree, Map)
    node = tree.items["key"]
    assert isinstance(node, Scalar)
    assert node.is_null or node.text == "x"
    quoted = loaded("key: 'null'\n").tree
    assert isinstance(quoted, Map)
    assert isinstance(quoted.items["key"], Scalar)
    assert not quoted.items["key"].is_null


def test_explicit_keys_win_over_merged_ones_and_earlier_mappings_over_later_ones() -> None:
    tree = loaded("a: &a {x: 1, y: 1}\nb: &b {x: 2, y: 2, z: 2}\nc: {x: 0, <<: [*a, *b]}\n").tree

    assert isinstance(tree, Map)
    assert texts(tree.items["c"]) == {"x": "0", "y": "1", "z": "2"}


def test_spans_count_from_one_and_carry_their_line() -> None:
    tree = loaded("\ufeffkey: value\r\nother:   text  # why\r\n").tree

    assert isinstance(tree, Map)
    span = tree.items["other"].place.span()
    assert (span.line, span.column, span.end_column, span.text) == (2, 10, 14, "other:   text  # why")
    assert tree.keys["key"].span().column == 1


def test_all_problems_of_a_file_are_said_at_once() -> None:
    assert codes("a: 1\na: 2\n1: x\nb: !tag y\nc: *none\nd: [\n") == [
        "BP007",
        "BP008",
        "BP009",
        "BP004",
        "BP004",
    ]


@pytest.mark.parametrize("unit", ["[", "{a: ", "- ", "? "])
@pytest.mark.parametrize("depth", [1000, 100_000])
def test_depth_is_refused_at_once(unit: str, depth: int) -> None:
    began = time.process_time()

    assert codes("x: " * (unit == "[") + unit * depth) == ["BP011"]
    assert time.process_time() - began < 1


def test_sixty_four_levels_are_taken() -> None:
    assert codes("x: " + "[" * 63 + "]" * 63) == []
    assert codes("x: " + "[" * 64 + "]" * 64) == ["BP011"]


def test_an_alias_bomb_costs_neither_time_nor_memory() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()

    assert codes(bomb) == ["BP012"]

    assert time.process_time() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_an_alias_bomb_of_merge_keys_is_bounded() -> None:
    bomb = "a0: &a0 {k: 1, l: 2}\n" + "".join(
        f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9)
    )

    assert codes(bomb) == ["BP012"]


def test_large_values_and_many_keys_are_taken_in_time() -> None:
    began = time.process_time()

    assert codes("a: " + "x" * 2**20) == []
    assert codes("\n".join(f"k{i}: 1" for i in range(100_000))) == []

    assert time.process_time() - began < 8


def test_more_than_four_mebibytes_are_refused_before_parsing(tmp_path: Path) -> None:
    path = tmp_path / "bedplate.yaml"
    path.write_bytes(b"[" * (20 * 1024 * 1024))
    began = time.process_time()

    assert [d.code for d in load(path).diagnostics] == ["BP002"]
    assert time.process_time() - began < 0.5


def test_no_tag_has_an_effect(tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"

    assert codes(f"a: !!python/object/apply:os.system ['touch {sentinel}']\n") == ["BP009"]
    assert not sentinel.exists()


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    for path in (fifo, tmp_path, Path("/dev/zero"), tmp_path / "none", tmp_path / ("x" * 300)):
        assert [d.code for d in load(path).diagnostics] == ["BP001"]


def test_a_link_that_leads_out_of_the_folder_shows_nothing_of_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text("password: hunter2\n")
    project = tmp_path / "project"
    project.mkdir()
    (project / "bedplate.yaml").symlink_to(tmp_path / "outside.yaml")

    (found,) = load(project / "bedplate.yaml").diagnostics
    assert (found.code, found.message) == ("BP111", "bedplate.yaml leads outside the project")
    assert "hunter2" not in repr(found)


def test_links_to_the_folder_and_inside_of_it_are_followed(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "real.yaml").write_text("version: 1\n")
    (tmp_path / "project" / "bedplate.yaml").symlink_to("real.yaml")
    (tmp_path / "linked").symlink_to("project")

    assert load(tmp_path / "linked" / "bedplate.yaml").diagnostics == ()


def test_validate_imports_nothing_heavy(tmp_path: Path) -> None:
    project = Case(ROOT / "serving" / "valid").copy(tmp_path).parent
    program = (
        "import sys; from bedplate.cli import run; code = run(['-C', sys.argv[1], 'validate']);"
        "heavy = {'pulumi', 'grpc', 'starlette', 'onnxruntime', 'numpy', 'jsonschema', 'jinja2', 'rich'};"
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(project)], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "0 []"
