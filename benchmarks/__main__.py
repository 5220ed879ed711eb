"""`python -m benchmarks [PAIRS] [NAME...]`: measures everything and writes docs/benchmarks.md, or measures what is
named and prints it. Exit 1 over a limit.
"""

from __future__ import annotations

import compileall
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bedplate import version
from bedplate.engine.install import find_engine
from benchmarks import batching, engine, language, serving
from benchmarks.measure import Comparison, Peak

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PAIRS = 5
Figure = Comparison | Peak
UNITS = {"cpu_s": "s CPU", "wall_s": "s", "per_s": "/s", "p99_ms": "ms"}

MEASURES: dict[str, Callable[[Path, int], Iterator[Figure]]] = {
    "validating": language.validating,
    "growing": language.growing,
    "beside_the_schema": language.beside_the_schema,
    "compiling": language.compiling,
    "remembering": language.remembering,
    "creating": engine.creating,
    "changing_nothing": engine.changing_nothing,
    "dividing": engine.dividing,
    "serving": serving.serving,
    "batching": batching.batching,
}


def tables(figures: Sequence[Figure]) -> str:
    """The figures as Markdown."""
    comparisons = [figure for figure in figures if isinstance(figure, Comparison)]
    peaks = [figure for figure in figures if isinstance(figure, Peak)]
    return "\n\n".join([*_ratios(comparisons), *_peaks(peaks)])


def _ratios(comparisons: Sequence[Comparison]) -> Iterator[str]:
    rows = [
        "| what | A | B | A | B | A/B | limit |",
        "|---|---|---|---|---|---|---|",
    ]
    for c in comparisons:
        unit = UNITS[c.figure]
        a, b = (sorted(pair[i] for pair in c.pairs)[len(c.pairs) // 2] for i in (0, 1))
        low, high = c.ratios[0], c.ratios[-1]
        rows.append(
            f"| {c.name} | {c.a} | {c.b} | {_shown(a)} {unit} | {_shown(b)} {unit} "
            f"| **{c.ratio:.2f}** ({low:.2f} to {high:.2f}, {len(c.pairs)} pairs) | {c.bound} |"
        )
    if comparisons:
        yield "\n".join(rows)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _peaks(peaks: Sequence[Peak]) -> Iterator[str]:
    rows = ["| what | command | most memory at once | limit |", "|---|---|---|---|"]
    rows += [f"| {p.name} | {p.command} | **{p.megabytes:.0f} MB** | {p.bound} |" for p in peaks]
    if peaks:
        yield "\n".join(rows)


def document(figures: Sequence[Figure]) -> str:
    return f"""# Speed

Ratios against a peer, measured in one run in turn (A B A B ...): the median of the pairs, and their range.
Absolute times are of one machine ({platform.machine()}, Python {platform.python_version()}, Pulumi
{find_engine().version}, {datetime.now(UTC):%Y-%m-%d}). `make bench` measures them anew and writes this page.

{tables(figures)}

A *service* is ten lines: an ONNX model of its own, and a server of it with resources, objectives, probes. CPU time is
of the whole command, its start included. To *validate* for a cluster is to compile everything and hold it against the
policies; a validator of schemas reads no model and knows no reference. A service costs the same however many there
are: *what 450 more services cost* beside the 450 before them.

What answers has one core of two and wrk the other, 16 connections, one server at a time; what rolls our log may run
on either. The model is 20 float32 -> 64 -> 32 -> 1. *bare* is an ASGI application on Uvicorn that parses, runs and
answers, and checks nothing: what these parts allow, called in the plain way. Ours is as `bedplate up` starts it, with
validation, metrics and the prediction log of every request. A server's memory is that of all its processes (PSS), right
after the load. Two workers share both cores with wrk.

A *record* is what an `up` leaves beside the state after a whole success; while it holds, nothing has to be
asked of the engine.
"""


def measured(names: Sequence[str], pairs: int) -> Iterator[Figure]:
    """What the measures of these names find, each in a folder of its own."""
    for name in names:
        with tempfile.TemporaryDirectory(prefix="bedplate-bench-") as folder:
            for figure in MEASURES[name](Path(folder).resolve(), pairs):
                print(figure, flush=True)
                yield figure


def main(words: Sequence[str]) -> int:
    pairs = int(words[0]) if words and words[0].isdecimal() else PAIRS
    names = [word for word in words if not word.isdecimal()]
    unknown = [name for name in names if name not in MEASURES]
    if unknown or pairs < 1:
        print(f"python -m benchmarks [PAIRS] [NAME...]; names: {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    compileall.compile_dir(Path(version.__file__).parent, quiet=1)  # as an installation has it
    figures = list(measured(names or [*MEASURES], pairs))
    print(f"\n{tables(figures)}")
    if not names:
        DOCUMENT.write_text(document(figures), encoding="utf-8")
        print(f"\nwritten to {DOCUMENT.name}")
    missed = [figure for figure in figures if not figure.held]
    for figure in missed:
        print(f"over its limit: {figure}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
