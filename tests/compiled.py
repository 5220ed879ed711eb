"""Prints the digest of every graph and picture of every valid case and of the projects that come with bedplate.

`python -m tests.compiled`, run where a test says.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from bedplate.cli.project import check_file
from bedplate.compiler import Compiled, compile_project
from bedplate.picture.mermaid import as_mermaid
from bedplate.picture.model import picture
from bedplate.picture.svg import as_svg
from bedplate.spec.project import Project
from tests.spec.cases import Case, all_cases
from tests.whole import whole_projects


def projects(case: Case, folder: Path) -> Iterator[Project]:
    """A case in each of its environments; nothing where its spec does not hold."""
    found, diagnostics = check_file(case.copy(folder))
    if not any(d.severity == "error" for d in diagnostics):
        yield from found.values()


def compiled(case: Case, folder: Path) -> Iterator[Compiled]:
    return map(compile_project, projects(case, folder))


def digests() -> dict[str, str]:
    found = {}
    for case in (*all_cases(), *whole_projects()):
        with tempfile.TemporaryDirectory() as folder:
            for project in projects(case, Path(folder)):
                environment = compile_project(project)
                name = f"{case.name} {environment.environment}"
                for section, graph in environment.graphs.items():
                    found[f"{name} {section}"] = graph.digest
                drawn = picture(project, environment)
                for form in (as_svg, as_mermaid):
                    found[f"{name} {form.__name__}"] = sha256(form(drawn).encode()).hexdigest()
    return found


if __name__ == "__main__":
    print(json.dumps(digests()))
