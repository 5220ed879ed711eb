"""Whatever the bytes: located diagnostics, or projects. Never an exception."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.report import as_data, as_text
from bedplate.spec.load import load_text
from bedplate.spec.validate import validate
from tests.spec.cases import ROOT

SPECS = [path.read_bytes() for path in sorted(ROOT.glob("*/*/bedplate.yaml")) if path.stat().st_size < 2000]
PIECES = [
    b"&a ", b"*a", b"<<: ", b"!!int ", b"!x ", b"{", b"}", b"[", b"]", b": ", b"\n", b"\t", b"- ", b"? ",
    b"| ", b"> ", b"'", b'"', b"#", b"%", b"---\n", b"...\n", b"\x00", b"\xff", b"\xc2\x85", b"\xe2\x80\xa8",
    b"\\u0000", b"${", b"$${", b"null", b"~", b"secret", b"environments", b"override", b"extends", b"serving",
    b"models", b"variables", b"x-",
]  # fmt: skip


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
    report = as_text(validated.diagnostics, colour=False, width=40)
    assert all(character.isprintable() or character == "\n" for character in report)
    as_data(validated.diagnostics)


@settings(max_examples=1700, deadline=None)
@given(mutated())
def test_mutated_specs(data: bytes) -> None:
    only_located(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    only_located(data)
