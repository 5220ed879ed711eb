"""`bedplate shards`: among how many stacks each section is divided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bedplate.atomic import write_atomically
from bedplate.cli import options, terminal
from bedplate.cli.project import divided, open_project
from bedplate.diagnostics import did_you_mean
from bedplate.errors import UsageError
from bedplate.lockfile import to_text
from bedplate.sections import SECTIONS
from bedplate.shards import MOST

if TYPE_CHECKING:
    from bedplate.compiler import Compiled
    from bedplate.engine.division import Move

COMFORTABLE = 250
"""Resources of one stack; of more, the state that is written at each step begins to cost more than the step."""


@click.command("shards", short_help="divide a section of many resources among several stacks")
@click.argument("counts", metavar="[SECTION=COUNT]...", nargs=-1)
@options.environment
@options.as_json
@options.yes
@click.pass_obj
def command(folder: Path, counts: tuple[str, ...], environment: str, as_json: bool, yes: bool) -> None:
    """Show among how many stacks each section is divided. With SECTION=COUNT, divide it anew.

    The number is kept in bedplate.lock: commit it. Entries of the state are moved, and nothing that runs is
    touched. One that was cut off goes on when it is run again.
    """
    wanted = _counts(counts)
    if wanted:
        _divide(folder, environment, wanted, as_json=as_json, yes=yes)
        if not as_json:
            return
    sizes = _sizes(open_project(folder, environment).compiled)
    if as_json:
        terminal.data({"sections": sizes})
    else:
        _show(sizes)


def _counts(words: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for section, count in map(_count, words):
        if section in counts:
            raise UsageError(f"{section} is given twice", hint=f"say {section}=N once")
        counts[section] = count
    return counts


def _count(word: str) -> tuple[str, int]:
    section, _, count = word.partition("=")
    if section not in SECTIONS:
        near = did_you_mean(section, SECTIONS)
        hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(SECTIONS)}"
        raise UsageError(f"there is no section {section!r}", hint=hint)
    if not count.isdecimal() or not 1 <= int(count) <= MOST:
        raise UsageError(f"{word!r} says no number of stacks", hint=f"say {section}=N, N from 1 to {MOST}")
    return section, int(count)


def _divide(folder: Path, environment: str, counts: Mapping[str, int], *, as_json: bool, yes: bool) -> None:
    from bedplate.cli.interrupts import interruptible
    from bedplate.engine.division import move, moves
    from bedplate.engine.lock import locked
    from bedplate.engine.session import open_session

    def say(text: str) -> None:
        if not as_json:
            terminal.line(f"  {text}")

    project, lock = divided(folder, environment, counts)
    with locked(project.workspace, environment, "shards"):
        session = open_session(project.workspace, project.compiled)
        session.refuse_unfinished()
        found = moves(session)
        if found:
            terminal.confirmed_or_abort(_question(found, environment), yes=yes)
        write_atomically(project.workspace.lock_file, to_text(lock))
        session = open_session(project.workspace, open_project(folder, environment).compiled)
        with interruptible(session.pulumi.interruption):
            move(session, moves(session), say)
    for section, count in counts.items():
        say(f"{section}: {count} stack{'s' * (count != 1)} in {environment}")
    say(f"{len(found)} moved; commit bedplate.lock and stacks/")


def _question(found: Sequence[Move], environment: str) -> str:
    return f"Move {len(found)} resources of {environment} between stacks? Nothing that runs is touched."


def _sizes(compiled: Compiled) -> dict[str, Any]:
    """For each section: its stacks, its resources, and how many the largest of its stacks has."""
    found: dict[str, list[int]] = {}
    for graph in compiled.graphs.values():
        found.setdefault(graph.section, []).append(len(graph.resources))
    return {
        section: {"stacks": len(sizes), "resources": sum(sizes), "largest": max(sizes)}
        for section, sizes in found.items()
    }


def _show(sizes: Mapping[str, Mapping[str, int]]) -> None:
    rows = [("section", "stacks", "resources", "largest stack")]
    rows += [
        (section, str(said["stacks"]), str(said["resources"]), str(said["largest"]))
        for section, said in sizes.items()
    ]
    terminal.table(rows)
    for section, said in sizes.items():
        count = min(MOST, -(-said["resources"] // COMFORTABLE))
        if said["largest"] > 2 * COMFORTABLE and section in SECTIONS and count > said["stacks"]:
            terminal.line(f"a stack of {said['largest']} is slow: `bedplate shards {section}={count}`")
