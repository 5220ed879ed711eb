"""The files that a spec names: read once, hashed, looked into, and held to the project's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from bedplate.diagnostics import Diagnostic, Span, merged
from bedplate.inputs import Content, FileFact, Inputs, JsonContent, Kind, NotJson
from bedplate.lockfile import LockFile, LockFileError, Pin, parse
from bedplate.project_files import OutsideProject, meant_path, open_inside
from bedplate.sections import SECTIONS
from bedplate.spec.project import Project
from bedplate.spec.seen import Seen
from bedplate.spec_files import LOCK_FILE, SpecFiles, digest_of

REGISTRY_FILE = ".bedplate/cache/registry.lock"
_CHUNK_BYTES = 1024 * 1024
_JSON_BYTES = 16 * 1024 * 1024
_LOCK_BYTES = 16 * 1024 * 1024


def read_lock(root: Path, files: SpecFiles) -> tuple[LockFile, SpecFiles, tuple[Diagnostic, ...]]:
    """bedplate.lock, the spec's files with it, and what is wrong with it."""
    try:
        with open_inside(root, LOCK_FILE) as file:
            data = file.read(_LOCK_BYTES + 1)
    except FileNotFoundError:
        data = b""
    except OutsideProject:
        return LockFile(), files, (_damaged("it leads outside the project"),)
    except OSError as error:
        return LockFile(), files, (_damaged(error.strerror or str(error)),)
    if len(data) > _LOCK_BYTES:
        return LockFile(), files, (_damaged(f"it is larger than {_LOCK_BYTES // 1024**2} MiB"),)
    files = replace(files, digests={**files.digests, LOCK_FILE: digest_of(LOCK_FILE, data)})
    if not data:
        return LockFile(), files, ()
    try:
        lock = parse(data.decode("utf-8"))
        divided = {section for counts in lock.shards.values() for section in counts}
        if unknown := sorted(divided - SECTIONS.keys()):
            raise LockFileError(f"it divides {unknown[0]}, and there is no such section")
        return lock, files, ()
    except (LockFileError, UnicodeDecodeError) as error:
        return LockFile(), files, (_damaged(str(error)),)


def read_registry(root: Path) -> dict[str, dict[str, Pin]]:
    """The versions that registries gave last for models whose alias is the truth, by environment.

    Kept in .bedplate/cache by the commands that ask; what cannot be read is as good as never asked.
    """
    try:
        return {env: dict(pins) for env, pins in parse((root / REGISTRY_FILE).read_text()).models.items()}
    except (OSError, ValueError):
        return {}


def read_inputs(
    projects: Mapping[str, Project],
    root: Path,
    files: SpecFiles,
    lock: LockFile = LockFile(),
    registry: Mapping[str, Mapping[str, Pin]] | None = None,
) -> tuple[dict[str, Project], tuple[Diagnostic, ...]]:
    """The projects with what was seen of their files, and what is wrong with those.

    `registry` are versions of models whose alias is the truth, by environment.
    """
    facts: dict[tuple[str, Kind], FileFact | Diagnostic] = {}
    complete: dict[str, Project] = {}
    problems: dict[str, list[Diagnostic]] = {}
    with Seen.opened(root) as seen:
        for name, project in projects.items():
            found: dict[str, FileFact] = {}
            problems[name] = []
            for key, entries in project.sections.items():
                for needed in SECTIONS[key].files(entries):
                    known = (needed.path, needed.kind)
                    if known not in facts:
                        facts[known] = _look(root, needed.path, needed.kind, seen)
                    fact = facts[known]
                    if isinstance(fact, Diagnostic):
                        where = tuple(needed.where)
                        problems[name].append(replace(fact, path=where, span=project.span(where)))
                    else:
                        found[needed.path] = fact
            inputs = Inputs(found, files, lock, (registry or {}).get(name, {}), known=True)
            complete[name] = replace(project, inputs=inputs)
    return complete, merged(problems)


def _look(root: Path, path: str, kind: Kind, seen: Seen) -> FileFact | Diagnostic:
    try:
        with open_inside(root, path) as file:
            return seen.fact(path, kind, file) or _read(path, kind, file, seen)
    except OutsideProject:
        return Diagnostic(
            "BP111", f"{path} leads outside the project", help="use a file in the project's folder"
        )
    except FileNotFoundError:
        near = meant_path(root, path)
        told = f"did you mean {near}?" if near else "the path is relative to the project's folder"
        return Diagnostic("BP112", f"there is no file {path}", help=told)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the path is not valid"
        return Diagnostic("BP112", f"{path} cannot be read: {reason}")


def _read(path: str, kind: Kind, file: BinaryIO, seen: Seen) -> FileFact:
    digest, size, chunks = hashlib.sha256(), 0, []
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
        if kind != "bytes":
            chunks.append(chunk)
    sha256 = digest.hexdigest()
    fact = FileFact(sha256, size, seen.content(sha256, kind) or _content(b"".join(chunks), kind))
    seen.remember(path, kind, file, fact)
    return fact


def _content(data: bytes, kind: Kind) -> Content:
    if kind == "onnx":
        from bedplate.onnx_file import signature

        return signature(data)
    if kind == "json":
        return _json(data)
    return None


def _json(data: bytes) -> JsonContent | NotJson:
    import json

    if len(data) > _JSON_BYTES:
        return NotJson(f"it is larger than {_JSON_BYTES // 1024**2} MiB")
    try:
        return JsonContent(json.loads(data, parse_constant=_no_number))
    except (ValueError, RecursionError) as error:
        return NotJson(str(error).partition("\n")[0])


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _damaged(why: str) -> Diagnostic:
    return Diagnostic(
        "BP114",
        f"{LOCK_FILE} cannot be read: {why}",
        span=Span(LOCK_FILE, 1, 1, 2),
        help="restore it from version control",
    )
