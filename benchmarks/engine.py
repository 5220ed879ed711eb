"""What goes through the engine, beside bare Pulumi."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Comparison, Cost, compare
from benchmarks.project import fleet_of_models, one_service

RESOURCES = 250
MANY, SHARDS, FEW = 2000, 8, 200


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


def dividing(folder: Path, pairs: int) -> Iterator[Comparison]:
    """What one resource costs of many in several stacks, beside one of few in one stack."""

    def one_of(count: int, shards: int) -> Cost:
        root = folder / str(count)
        shutil.rmtree(root, ignore_errors=True)
        project = fleet_of_models(root, count)
        project.run("shards", f"models={shards}", "--yes")
        return project.run("up", "--yes") / count

    yield compare(
        f"one resource of {MANY:,} in {SHARDS} stacks",
        (f"bedplate up --yes of {MANY:,}, by {MANY:,}", lambda: one_of(MANY, SHARDS)),
        (f"bedplate up --yes of {FEW}, by {FEW}", lambda: one_of(FEW, 1)),
        figure="wall_s",
        limit=1.5,
        pairs=-(-pairs // 2),
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
