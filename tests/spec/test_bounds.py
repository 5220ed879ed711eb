"""What a hostile or broken spec may cost: measured in a process of its own, or by its CPU time."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bedplate.cli.project import check_file
from bedplate.report import as_text
from tests.spec.cases import ROOT, Case

HEAD = "version: 1\nproject: flights\n"
# The peak of this program alone: what getrusage tells begins with that of the process which started it.
MEASURED = """
import re, sys, time
from pathlib import Path
from bedplate.spec.load import load
began = time.process_time()
found = load(Path(sys.argv[1])).diagnostics
cpu_s = time.process_time() - began
peak_kib = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1)
print([d.code for d in found], cpu_s, int(peak_kib) // 1024)
"""
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
MERGES = "a0: &a0 {k: 1, l: 2}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (BOMB, "BP012"),
        (MERGES, "BP012"),
        ("a: " + "[" * 100_000, "BP011"),
        ("a: " + "{b: " * 100_000, "BP011"),
    ],
    ids=["aliases", "merges", "lists", "mappings"],
)
def test_a_bomb_costs_less_than_a_second_and_200_mebibytes(text: str, code: str, tmp_path: Path) -> None:
    spec = tmp_path / "bedplate.yaml"
    spec.write_text(HEAD + text)

    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(spec)], capture_output=True, text=True, check=True, timeout=60
    )

    codes, cpu_s, rss_mib = done.stdout.rsplit(maxsplit=2)
    assert codes == f"['{code}']"
    assert float(cpu_s) < 1
    assert int(rss_mib) < 200


def test_five_hundred_mistakes_are_told_in_two_seconds_the_first_fifty_of_them(tmp_path: Path) -> None:
    spec = Case(ROOT / "grammar" / "many-errors").copy(tmp_path)
    began = time.process_time()

    _, found = check_file(spec)
    report = as_text(found, colour=False, width=100)

    assert time.process_time() - began < 2
    assert len(found) == 500
    assert [d.span.line for d in found if d.span] == list(range(5, 505))
    assert report.count("error[BP020]") == 50
    assert report.endswith("500 errors; 450 more are not shown")


@pytest.mark.parametrize(
    "text",
    [
        "k" * 2**20 + ": 1\n",
        "models: {" + "k" * 2**20 + ": {}}\n",
        'models: {a: {path: "${' + "v" * 2**20 + '}"}}\n',
        "serving: {a: {replicas: " + "9" * 2**20 + "}}\n",
        "serving: {a: {runtime: " + "x" * 2**20 + "}}\n",
        "include: [" + "x" * 2**20 + "]\n",
        "models: {a: *" + "x" * 2**16 + "}\n",
        "a: 1\n" * 2,
    ],
    ids=["key", "name", "reference", "number", "word", "include", "alias", "twice"],
)
def test_a_report_is_short_however_long_the_words_are(text: str, tmp_path: Path) -> None:
    spec = tmp_path / "bedplate.yaml"
    spec.write_text(HEAD + text)
    began = time.process_time()

    _, found = check_file(spec)

    assert found
    assert len(as_text(found, colour=False, width=100)) < 4000
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    "name",
    [
        "Delay", "DELAY", "a" * 41, "a" * 64, "a" * 1000, "-a", "_a", "1a", "a.b", "a..b", "a b", "a/b", "../x",
        '"a\\n"', '"a\\0"', '"a\\u200b"', "🚀", "аpi", "é", "a:b", "a%2f", "${var.a}", '""', "__proto__",
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["models: {%s: {path: delay.onnx}}\n", "serving: {a: {name: %s}}\n"])
def test_what_is_no_name_is_refused_where_it_stands(place: str, name: str, tmp_path: Path) -> None:
    spec = tmp_path / "bedplate.yaml"
    spec.write_text(HEAD + place % (name if name.startswith('"') else f'"{name}"'))

    _, found = check_file(spec)

    assert [d.code for d in found if d.code != "BP201"] == ["BP027"]
    assert all(d.span and d.span.line == 3 for d in found)


def test_what_begins_with_x_is_no_name_and_as_a_key_nobodys(tmp_path: Path) -> None:
    spec = Case(ROOT / "serving" / "valid").copy(tmp_path)
    valid = spec.read_text()

    spec.write_text(valid.replace("  delay:\n", "  x-delay: anything\n  delay:\n    name: x-delay\n"))

    assert [(d.code, d.span.line) for d in check_file(spec)[1] if d.span] == [("BP027", 7)]


@pytest.mark.parametrize("name", ["a", "a" * 40, "a-b_c", "a1", "constructor"])
def test_what_is_a_name_is_taken(name: str, tmp_path: Path) -> None:
    spec = Case(ROOT / "serving" / "valid").copy(tmp_path)
    spec.write_text(HEAD + f"models: {{{name}: {{path: delay.onnx}}}}\nserving: {{{name}: {{}}}}\n")

    assert check_file(spec)[1] == ()
