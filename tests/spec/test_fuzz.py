"""Whatever the bytes: located diagnostics, or projects. Never an exception.

The cases of a seed are the same in every run; hypothesis adds new ones, and makes what it finds smaller.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate._resources import resource
from bedplate.cli.project import check_file
from bedplate.report import as_data, as_text
from bedplate.spec.load import load_text
from bedplate.spec.validate import validate
from tests.spec.cases import MODEL, ROOT

SEEDS, OF_EACH = 20, 1500
REPOSITORY = Path(__file__).parents[2]
SPECS = [
    path.read_bytes()
    for folder in (ROOT, Path(__file__).parent / "mutation" / "specs", REPOSITORY / "examples")
    for path in sorted(folder.rglob("*.yaml"))
    if path.stat().st_size < 4000
]
EXPLAINED = {page.stem for page in resource("specs", "diagnostics").glob("*.md")}
PIECES = [
    b"&a ", b"*a", b"<<: ", b"<<: *a\n", b"!!int ", b"!!binary ", b"!x ", b"!<tag:x> ", b"{", b"}", b"[", b"]",
    b": ", b":", b", ", b"\n", b"\r", b"\t", b"- ", b"? ", b"| ", b"|+\n", b"> ", b">-2\n", b"'", b'"', b"\\",
    b"#", b"%YAML 1.1\n", b"---\n", b"...\n", b"@", b"`", b"\x00", b"\x1b[31m", b"\xff", b"\xc2\x85",
    b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\\u0000", b'"\\x1b"', b"${", b"$${", b"${var.", b"}", b"null", b"~",
    b"true", b".nan", b"-.inf", b"0x1F", b"1e999", b"secret", b"environments", b"override", b"extends: ",
    b"serving", b"models", b"variables", b"defaults", b"include: [teams/*.yaml]\n", b"x-", b"::error::", b"[red]",
    b"../", b"/dev/zero", b"%2f",
]  # fmt: skip
ODD_TEXTS = [
    "аpi",
    "é",
    "e\u0301",
    "\U0001f600",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\u2028",
    "\ud7ff",
    "ﬀ",
    "İ",
    "٣",
]

Change = Callable[[random.Random, bytes], bytes]


def flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data or b" ")
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.choice((0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 7))
    return bytes(changed)


def relined(rng: random.Random, data: bytes) -> bytes:
    """A line dropped, doubled, or in the place of another."""
    lines = data.splitlines(keepends=True) or [b"\n"]
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    what = rng.randrange(3)
    if what == 0:
        del lines[one]
    elif what == 1:
        lines.insert(other, lines[one])
    else:
        lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def indented(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True) or [b"\n"]
    first = rng.randrange(len(lines))
    for index in range(first, min(first + rng.randint(1, 5), len(lines))):
        bare = lines[index].lstrip(b" ")
        deeper = len(lines[index]) - len(bare) + rng.choice((-2, -1, 1, 2, 8))
        lines[index] = rng.choice((b" " * max(deeper, 0), b"\t")) + bare
    return b"".join(lines)


def spliced(rng: random.Random, data: bytes) -> bytes:
    """The beginning of one spec and the end of another."""
    other = rng.choice(SPECS)
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def pieced(rng: random.Random, data: bytes) -> bytes:
    at, cut = rng.randint(0, len(data)), rng.choice((0, 0, 1, 4, 12))
    return data[:at] + rng.choice(PIECES) * rng.choice((1, 1, 1, 2, 70)) + data[at + cut :]


def revalued(rng: random.Random, data: bytes) -> bytes:
    """A word in the place of another, of this spec or of any kind."""
    words = list(re.finditer(rb"[A-Za-z0-9_.%-]+", data))
    if not words:
        return data
    number = b"9" * rng.choice((1, 5, 20, 400, 5000))
    odd = rng.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
    there = rng.choice(words)
    new = rng.choice(
        (rng.choice(words).group(), number, b"-" + number, b"0." + number, odd, b"", rng.choice(PIECES))
    )
    return data[: there.start()] + new + data[there.end() :]


CHANGES: tuple[Change, ...] = (flipped, relined, relined, indented, spliced, pieced, *[revalued] * 6)


def case(rng: random.Random) -> bytes:
    """Sometimes noise, mostly a spec with a few changes."""
    if rng.random() < 0.05:
        return rng.randbytes(rng.randint(0, 200))
    data = rng.choice(SPECS)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        data = rng.choice(CHANGES)(rng, data)
    return data


def located(spec: Path) -> None:
    """The spec is valid, or every error has a place and an explanation, and can be reported."""
    projects, diagnostics = check_file(spec)

    assert projects or diagnostics
    assert {diagnostic.code for diagnostic in diagnostics} <= EXPLAINED
    for diagnostic in diagnostics:
        assert diagnostic.span is not None, diagnostic
        assert diagnostic.span.line >= 1
        assert 1 <= diagnostic.span.column < diagnostic.span.end_column, diagnostic
    for width, colour in ((20, False), (100, False)):
        assert shows_nothing_odd(as_text(diagnostics, colour=colour, width=width))
    json.dumps(as_data(diagnostics)).encode()


def shows_nothing_odd(report: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in report)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_only_located_errors_or_success(seed: int, tmp_path: Path) -> None:
    """The main file, and in one case of four an included one as well."""
    rng = random.Random(seed)
    shutil.copy(MODEL, tmp_path)
    main, other = tmp_path / "bedplate.yaml", tmp_path / "teams" / "other.yaml"
    other.parent.mkdir()
    for _ in range(OF_EACH):
        texts = {main: case(rng)}
        other.unlink(missing_ok=True)
        if rng.random() < 0.25:
            texts = {main: b"include: [teams/other.yaml]\n" + texts[main], other: case(rng)}
        for path, data in texts.items():
            path.write_bytes(data)
        try:
            located(main)
        except Exception as error:
            shown = {path.name: data for path, data in texts.items()}
            raise AssertionError(f"of the seed {seed}: {shown}") from error


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SPECS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.integers(0, 8))
        piece = draw(
            st.one_of(st.sampled_from(PIECES), st.binary(max_size=4), st.just(bytes(data[at : at + 40])))
        )
        data[at : at + cut] = piece
    return bytes(data)


def only_located(data: bytes) -> None:
    validated = validate(load_text(data, "bedplate.yaml", Path("/")))

    assert all(diagnostic.span is not None for diagnostic in validated.diagnostics)
    assert bool(validated.projects) or bool(validated.diagnostics)
    assert shows_nothing_odd(as_text(validated.diagnostics, colour=False, width=40))
    as_data(validated.diagnostics)


@settings(max_examples=1700, deadline=None)
@given(mutated())
def test_mutated_specs(data: bytes) -> None:
    only_located(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    only_located(data)
