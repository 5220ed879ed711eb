"""The files that a spec names: read once, hashed, and held to the project's folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bedplate.diagnostics import Diagnostic, merged
from bedplate.sections import SECTIONS
from bedplate.spec.project import Project
from bedplate.spec.regular import open_regular
from bedplate.workloads import FileFact, Inputs

_CHUNK_BYTES = 1024 * 1024


def read_inputs(
    projects: Mapping[str, Project], root: Path, spec_digest: str = ""
) -> tuple[dict[str, Project], tuple[Diagnostic, ...]]:
    """The projects with what was seen of their files, and what is wrong with those."""
    facts: dict[str, FileFact | Diagnostic] = {}
    complete: dict[str, Project] = {}
    problems: dict[str, list[Diagnostic]] = {}
    for name, project in projects.items():
        seen: dict[str, FileFact] = {}
        problems[name] = []
        for key, entries in project.sections.items():
            for where, path in SECTIONS[key].files(entries):
                if path not in facts:
                    facts[path] = _look(root, path)
                fact = facts[path]
                if isinstance(fact, Diagnostic):
                    problems[name].append(replace(fact, path=where, span=project.span(where)))
                else:
                    seen[path] = fact
        complete[name] = replace(project, inputs=Inputs(seen, spec_digest))
    return complete, merged(problems)


def _look(root: Path, path: str) -> FileFact | Diagnostic:
    real_root = os.path.realpath(root)
    try:
        real = os.path.realpath(os.path.join(real_root, path), strict=True)
        if os.path.commonpath((real, real_root)) != real_root:
            return Diagnostic(
                "BP111", f"{path} leads outside the project", help="use a file in the project's folder"
            )
        # The real path has no links, and must still have none when it is opened.
        with open_regular(real, follow=False) as file:
            digest, size = hashlib.sha256(), 0
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        return Diagnostic(
            "BP112", f"there is no file {path}", help="the path is relative to the spec's folder"
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the path is not valid"
        return Diagnostic("BP112", f"{path} cannot be read: {reason}")
    return FileFact(digest.hexdigest(), size)
