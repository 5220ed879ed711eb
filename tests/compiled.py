"""Prints the digest of every graph of every valid case and of the projects that come with bedplate.

`python -m tests.compiled`, run where a test says.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bedplate.cli.project import check_file
from bedplate.compiler import Compiled, compile_project
from tests.spec.cases import Case, all_cases
from tests.whole import whole_projects


def compiled(case: Case, folder: Path) -> Iterator[Compiled]:
    """The environments of a case; nothing where its spec does not hold."""
    projects, diagnostics = check_file(case.copy(folder))
    if not any(d.severity == "error" for d in diagnostics):
        for project in projects.values():
            yield compile_project(project)


def digests() -> dict[str, str]:
    found = {}
    for case in (*all_cases(), *whole_projects()):
        with tempfile.TemporaryDirectory() as folder:
            for environment in compiled(case, Path(folder)):
                for section, graph in environment.graphs.items():
                    found[f"{case.name} {environment.environment} {section}"] = graph.digest
    return found


if __name__ == "__main__":
    print(json.dumps(digests()))
