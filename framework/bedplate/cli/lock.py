"""`bedplate lock`: move the pinned versions of models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bedplate.atomic import write_atomically
from bedplate.cli import options, terminal
from bedplate.cli.project import chosen, find_workspace, read_projects
from bedplate.diagnostics import meant_or
from bedplate.errors import UsageError
from bedplate.lockfile import LockFile, Pin, to_text
from bedplate.sections import models as section
from bedplate.signature import breaks

if TYPE_CHECKING:
    from bedplate.spec.project import Project
    from bedplate.workspace import Workspace

KEY = section.KEY


@dataclass(frozen=True, slots=True)
class Move:
    """A pin that was moved. `before` None: there was none; `after` None: the spec has no such model any more.

    `breaking`: why callers may fail.
    """

    environment: str
    model: str
    before: Pin | None
    after: Pin | None
    breaking: tuple[str, ...] = ()

    def to_data(self) -> dict[str, Any]:
        return {
            "environment": self.environment,
            "model": self.model,
            "before": self.before.version if self.before else None,
            "after": self.after.version if self.after else None,
            "sha256": self.after.sha256 if self.after else None,
            "breaking": list(self.breaking),
        }


@click.command("lock", short_help="pin the versions of models in bedplate.lock, and show what changed")
@click.argument("names", metavar="[MODEL]...", nargs=-1)
@click.option("--env", "environment", metavar="NAME", help="Only in this environment.")
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 when a pin would move.")
@options.as_json
@click.pass_obj
def command(folder: Path, names: tuple[str, ...], environment: str | None, check: bool, as_json: bool) -> int:
    """Write into bedplate.lock which version each MODEL has at its source now, and show what changed.

    It is about models with `update: lock`, as those of a registry are unless they say otherwise. Without MODEL
    all of them, without --env in every environment. Commit bedplate.lock afterwards.
    """
    workspace = find_workspace(folder)
    everywhere = read_projects(workspace)
    projects = _wanted(everywhere, environment)
    for name in names:
        _refuse_unknown(name, projects, everywhere)
    lock = next(iter(projects.values())).inputs.lock if projects else LockFile()
    moves = [move for project in projects.values() for move in _moves(workspace, project, lock, names)]
    if not names and environment is None:
        moves += _forgotten(lock, projects)
    if moves and not check:
        write_atomically(workspace.lock_file, to_text(_moved(lock, moves)))
    _tell(moves, as_json)
    return 1 if check and moves else 0


def _wanted(projects: Mapping[str, Project], environment: str | None) -> Mapping[str, Project]:
    if environment is None:
        return projects
    return {environment: chosen(projects, environment)}


def _refuse_unknown(name: str, projects: Mapping[str, Project], everywhere: Mapping[str, Project]) -> None:
    """Raises UsageError for a model that there is none of in `projects`, or that the lock has no say about."""
    found = [p.sections[KEY][name] for p in projects.values() if name in p.sections.get(KEY, {})]
    if not found:
        known = {key for project in everywhere.values() for key in project.sections.get(KEY, {})}
        there_are = f"there are: {', '.join(sorted(known)) or 'none'}"
        places = [place for place, p in sorted(everywhere.items()) if name in p.sections.get(KEY, {})]
        raise UsageError(
            f"there is no model {name!r} in {', '.join(projects) if places else 'the spec'}",
            hint=f"it exists in {', '.join(places)}" if places else meant_or(name, known, there_are),
        )
    if not any(model.locked for model in found):
        raise UsageError(
            f"the model {name!r} is not locked: it is served as it is, whatever was before",
            hint=f"pin its version with update: lock in {KEY}.{name}",
        )


def _moves(workspace: Workspace, project: Project, lock: LockFile, names: tuple[str, ...]) -> Iterator[Move]:
    name = project.environment.name
    for key, model in sorted(project.sections.get(KEY, {}).items()):
        if not model.locked or (names and key not in names):
            continue
        before, after = lock.pinned(name, key), _now(workspace, key, model, project)
        if before != after:
            old, new = before.signature if before else None, after.signature
            yield Move(name, key, before, after, tuple(breaks(old, new)) if old and new else ())


def _now(workspace: Workspace, key: str, model: section.Model, project: Project) -> Pin:
    """What the model's source holds at this moment."""
    if model.path is not None:
        pin = section.version_of(key, model, project)
        if pin is None:
            raise UsageError(f"the file of {key} could not be read")
        return pin
    from bedplate.engine.registry import ask

    settings = project.environment.settings.mlflow
    if model.mlflow is None or settings is None:
        name = project.environment.name
        raise UsageError(
            f"the environment {name} names no MLflow, and the model {key} is in one",
            hint=f"add environments.{name}.mlflow: {{tracking_uri: https://...}}",
        )
    return ask(workspace, model.mlflow, settings.tracking_uri)


def _forgotten(lock: LockFile, projects: Mapping[str, Project]) -> Iterator[Move]:
    """Pins of models or environments that the spec no longer has, or that nothing pins any more."""
    for name, pins in sorted(lock.models.items()):
        known = projects[name].sections.get(KEY, {}) if name in projects else {}
        for key, pin in sorted(pins.items()):
            if key not in known or not known[key].locked:
                yield Move(name, key, pin, None)


def _moved(lock: LockFile, moves: Iterable[Move]) -> LockFile:
    for move in moves:
        name, pins = move.environment, lock.models.get(move.environment, {})
        if move.after is not None:
            lock = lock.with_pin(name, move.model, move.after)
        else:
            kept = {key: pin for key, pin in pins.items() if key != move.model}
            lock = replace(lock, models={**lock.models, name: kept})
    return replace(lock, models={name: pins for name, pins in lock.models.items() if pins})


def _tell(moves: list[Move], as_json: bool) -> None:
    if as_json:
        terminal.data({"moved": [move.to_data() for move in moves]})
        return
    for move in moves:
        before = move.before.version if move.before else "(not pinned)"
        where = terminal.paint(f"{KEY}.{move.model}", "name")
        after = move.after.version if move.after else "(no longer pinned)"
        terminal.line(f"  {where} in {move.environment}: {before} -> {after}")
        for reason in move.breaking:
            terminal.line(f"      {terminal.paint('callers may fail:', 'bad')} {reason}")
    terminal.line(f"{len(moves)} moved" if moves else "nothing to move: what is pinned is what there is")
