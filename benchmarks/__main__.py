"""`python -m benchmarks [PAIRS]`: measures everything and writes docs/benchmarks.md. Exit 1 over a limit."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bedplate.engine.install import find_engine
from benchmarks.measure import Comparison, Cost, compare, cost_of
from benchmarks.project import fleet_of_models, one_service

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
RESOURCES = 250


def validating(folder: Path, pairs: int) -> Iterator[Comparison]:
    project = one_service(folder)
    peer = [sys.executable, "-c", "import pydantic, yaml"]
    yield compare(
        "`bedplate validate` of the example",
        ("bedplate validate", lambda: project.run("validate")),
        ('python -c "import pydantic, yaml"', lambda: cost_of(peer, folder=folder)),
        figure="cpu_s",
        limit=3.0,
        pairs=pairs * 3,
    )


def creating(folder: Path, pairs: int) -> Iterator[Comparison]:
    project = fleet_of_models(folder, RESOURCES)

    def ours() -> Cost:
        cost = project.run("up", "--yes")
        project.run("destroy", "--yes")
        return cost

    def bare() -> Cost:
        project.run("compile")
        project.pulumi(("models",), "stack", "init")
        cost = project.pulumi(("models",), "up", "--yes")
        project.pulumi(("models",), "destroy", "--yes")
        project.pulumi(("models",), "stack", "rm", "--yes")
        return cost

    yield compare(
        f"creating {RESOURCES} resources",
        ("bedplate up --yes, from nothing", ours),
        ("pulumi up --yes in a stack that was made before", bare),
        figure="wall_s",
        limit=1.15,
        pairs=pairs,
    )


def changing_nothing(folder: Path, pairs: int) -> Iterator[Comparison]:
    project = one_service(folder)
    project.run("up", "--yes")
    sections = project.sections()
    try:

        def with_records() -> Cost:
            project.run(
                "up", "--yes"
            )  # a bare no-op writes the checkpoint anew, which the record does not know
            return project.run("up", "--yes")

        yield compare(
            "nothing to do, records hold",
            ("bedplate up of the whole project", with_records),
            ("one no-op pulumi up", lambda: project.pulumi(("serving",), "up", "--yes")),
            figure="wall_s",
            limit=0.5,
            pairs=pairs,
        )

        def without_records() -> Cost:
            project.run("up", "--yes")
            project.forget_records()
            return project.run("up", "--yes")

        yield compare(
            "nothing to do, no records",
            ("bedplate up of the whole project", without_records),
            (f"{len(sections)} no-op pulumi up at once", lambda: project.pulumi(sections, "up", "--yes")),
            figure="wall_s",
            limit=1.2,
            pairs=pairs,
        )
    finally:
        project.run("destroy", "--yes")


def table(comparisons: list[Comparison]) -> str:
    """The figures as Markdown."""
    rows = [
        "| what | A | B | A | B | A/B | limit |",
        "|---|---|---|---|---|---|---|",
    ]
    for c in comparisons:
        unit = "s CPU" if c.figure == "cpu_s" else "s"
        a, b = (sorted(pair[i] for pair in c.pairs)[len(c.pairs) // 2] for i in (0, 1))
        low, high = c.ratios[0], c.ratios[-1]
        rows.append(
            f"| {c.name} | {c.a} | {c.b} | {a:.2f} {unit} | {b:.2f} {unit} "
            f"| **{c.ratio:.2f}** ({low:.2f} to {high:.2f}, {len(c.pairs)} pairs) | {c.limit} |"
        )
    return "\n".join(rows)


def document(comparisons: list[Comparison]) -> str:
    return f"""# Speed

Ratios against a peer, measured in one run in turn (A B A B ...): the median of the pairs, and their range.
Absolute times are of one machine ({platform.machine()}, Python {platform.python_version()}, Pulumi
{find_engine().version}, {datetime.now(UTC):%Y-%m-%d}). `make bench` measures them anew and writes this page.

{table(comparisons)}

A *record* is what an `up` leaves beside the state after a whole success; while it holds, nothing has to be
asked of the engine.
"""


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    comparisons: list[Comparison] = []
    for number, measure in enumerate((validating, creating, changing_nothing)):
        with tempfile.TemporaryDirectory(prefix="bedplate-bench-") as folder:
            for comparison in measure(Path(folder) / str(number), pairs):
                comparisons.append(comparison)
                print(f"{comparison.name}: {comparison.ratio:.2f} (limit {comparison.limit})", flush=True)
    DOCUMENT.write_text(document(comparisons), encoding="utf-8")
    print(f"\n{table(comparisons)}\n\nwritten to {DOCUMENT.name}")
    sys.exit(0 if all(comparison.held for comparison in comparisons) else 1)


if __name__ == "__main__":
    main()
