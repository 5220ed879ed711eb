"""What needs no engine: validating and compiling, from ten services to a thousand, in time and in memory."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.measure import Comparison, Cost, Peak, compare, cost_of, peak_of
from benchmarks.project import TARGETS, Measured, fleet_of_services

SCHEMA = Path(__file__).parents[1] / "specs" / "bedplate.schema.json"
IMPORTS = "import pydantic, yaml"
FEW, MANY = 10, 1000
# Two stretches of the same length: from the first count to the second, and from the second to the third.
STRETCHES = (100, 550, 1000)


def validating(folder: Path, pairs: int) -> Iterator[Comparison]:
    """Beside what no program in Python that reads a spec can do without."""
    imports = [sys.executable, "-c", IMPORTS]
    for target, count, limit in (
        ("local", FEW, 3.0),
        ("local", MANY, 20.0),
        ("kubernetes", FEW, 3.0),
        # near it: the objects of a cluster and the policies of pods are imported too
        ("kubernetes", MANY, 20.0),
    ):
        project = fleet_of_services(folder / f"{target}-{count}", count, target)
        yield compare(
            f"validating {count:,} services, {project.lines:,} lines, {target}",
            ("bedplate validate", partial(project.run, "validate")),
            (f'python -c "{IMPORTS}"', partial(cost_of, imports, folder=folder)),
            figure="cpu_s",
            limit=limit,
            pairs=pairs * 3 if count == FEW else pairs,
        )


def growing(folder: Path, pairs: int) -> Iterator[Comparison]:
    """What a service costs where there are many of them, beside what it costs where there are few."""
    few, between, many = STRETCHES
    for target in TARGETS:
        projects = {
            count: fleet_of_services(folder / f"{target}-{count}", count, target) for count in STRETCHES
        }
        yield compare(
            f"what {between - few} more services cost, {target}",
            (
                f"bedplate validate of {many:,}, less that of {between}",
                partial(_more, projects[many], projects[between]),
            ),
            (f"of {between}, less that of {few}", partial(_more, projects[between], projects[few])),
            figure="cpu_s",
            limit=1.3,
            pairs=pairs * 2,
        )


def beside_the_schema(folder: Path, pairs: int) -> Iterator[Comparison]:
    """Beside a validator that knows nothing but the published schema, and reads no model."""
    checker = str(Path(sys.executable).with_name("check-jsonschema"))
    for target in TARGETS:
        project = fleet_of_services(folder / target, MANY, target)
        checked = [checker, "--schemafile", str(SCHEMA), str(project.root / "bedplate.yaml")]
        yield compare(
            f"validating {MANY:,} services, {target}",
            ("bedplate validate", partial(project.run, "validate")),
            ("check-jsonschema with the published schema", partial(cost_of, checked, folder=folder)),
            figure="cpu_s",
            limit=0.5,
            pairs=pairs,
        )


def compiling(folder: Path, pairs: int) -> Iterator[Comparison]:
    """Every graph written anew, beside validating alone."""
    for target in TARGETS:
        project = fleet_of_services(folder / target, MANY, target)
        yield compare(
            f"compiling {MANY:,} services, {target}",
            ("bedplate compile", partial(_anew, project)),
            ("bedplate validate", partial(project.run, "validate")),
            figure="cpu_s",
            limit=2.0,
            pairs=pairs,
        )


def remembering(folder: Path, pairs: int) -> Iterator[Peak]:
    """The most memory at once, which is the same each time."""
    for verb, limit in (("validate", 150.0), ("compile", 300.0)):
        for target in TARGETS:
            project = fleet_of_services(folder / f"{verb}-{target}", MANY, target)
            peak = peak_of(project.bedplate(verb), folder=folder)
            yield Peak(f"{MANY:,} services, {target}", f"bedplate {verb}", peak, limit)


def _more(many: Measured, few: Measured) -> Cost:
    return many.run("validate") - few.run("validate")


def _anew(project: Measured) -> Cost:
    shutil.rmtree(project.root / "stacks", ignore_errors=True)
    return project.run("compile")
