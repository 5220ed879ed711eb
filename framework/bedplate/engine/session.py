"""One command's work on one environment: its stacks, the engine, and what is known without running it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from bedplate.backend import Backend
from bedplate.compiler import Compiled, with_stacks
from bedplate.engine.classify import classify
from bedplate.engine.engine_lock import EngineLock, told_locks
from bedplate.engine.identity import check_identity
from bedplate.engine.install import find_engine
from bedplate.engine.launchers import engine_environment, write_launchers
from bedplate.engine.lock import holder, lock_path
from bedplate.engine.pulumi import Interruption, Pulumi
from bedplate.engine.remote_state import RemoteState, stacks_at
from bedplate.engine.secrets import fingerprint_key, fingerprints
from bedplate.engine.sources import pointed, read_backend
from bedplate.engine.stack_folder import compiled_before, remove_stack_folder, write_stack_folder
from bedplate.engine.stack_settings import forget_salt, provider_of, restore_encryption
from bedplate.engine.state import Facts, FileState, State, record_of, stacks_in
from bedplate.errors import EngineError, Interrupted, Locked, StateError
from bedplate.graph import Graph, Origin
from bedplate.version import __version__
from bedplate.workspace import Workspace

KEPT_LOGS = 100
LOOKS_AT_ONCE = 8
OURS = "bedplate:local:"


@dataclass(frozen=True, slots=True)
class Stack:
    """One section in one environment, or a shard of it: what it shall be, and the files of its state.

    `former`: it is of an earlier division of its section, and shall be empty.
    """

    graph: Graph
    origins: Mapping[str, Origin]
    state: State
    folder: Path
    former: bool = False

    @property
    def section(self) -> str:
        return self.graph.section

    @property
    def key(self) -> str:
        """What it is called in its project: the section's name, or that of one of its shards."""
        return self.graph.stack

    @property
    def name(self) -> str:
        """Pulumi's name of the stack: the environment's."""
        return self.graph.environment

    @property
    def settings(self) -> Path:
        """The engine's own file for it."""
        return self.folder / f"Pulumi.{self.name}.yaml"

    def __str__(self) -> str:
        return f"stack {self.key} of {self.graph.environment}"


@dataclass(frozen=True, slots=True)
class Session:
    """The stacks of an environment in the order of application, with the engine that works on them."""

    workspace: Workspace
    project: str
    environment: str
    stacks: tuple[Stack, ...]
    backend: Backend
    pulumi: Pulumi
    versions: Mapping[str, str]

    def facts(self, stack: Stack) -> Facts:
        """What is now. Raises StateError for a damaged state, EngineError for an unset secret."""
        sources = stack.graph.secrets
        key = fingerprint_key(self.workspace, self.pulumi.environment) if sources else b""
        return Facts(
            graph=stack.graph.digest,
            checkpoint=stack.state.checkpoint_hash(),
            versions=self.versions,
            secrets=fingerprints(key, sources),
        )

    def live_stacks(self) -> Iterator[Stack]:
        """Those that hold something, or shall."""
        return (stack for stack in self.stacks if stack.graph.resources or stack.state.exists())

    def refuse_interrupted(self, what: str) -> None:
        """Raises Interrupted where the user asked for an end, of which a failure is only the sign."""
        if self.pulumi.interruption.requested:
            raise Interrupted(
                f"{what}: interrupted; what was done is recorded", hint="run the command again to go on"
            )

    def refuse_unfinished(self) -> None:
        """Raises Locked while an engine works, and after one was killed until `recover` has looked at it."""
        cut_off = [
            f"{operation['type']} {stack.section}.{operation['resource']['urn'].rpartition('::')[2]}"
            for stack in self.live_stacks()
            for operation in stack.state.pending()
        ]
        locks = [(stack, lock) for stack in self.live_stacks() for lock in self._visible_locks(stack)]
        if not cut_off and not locks:
            return
        working = holder(lock_path(self.workspace, self.environment))
        if working and working.pid != os.getpid() and working.alive():
            raise Locked(f"{working} is under way", hint="wait until it is done")
        for stack, lock in locks:
            if lock.alive() is not False:
                raise Locked(
                    f"{stack} is locked by {lock}",
                    hint="wait until it is done; if it was killed, run `bedplate recover`",
                )
        what = f" in the middle of {', '.join(cut_off)}" if cut_off else ""
        who = f": {locks[0][1]} was killed" if locks else ""
        raise Locked(
            f"an earlier run was cut off{what}{who}",
            hint="run `bedplate recover`, which looks what became of it, then try again",
        )

    def _visible_locks(self, stack: Stack) -> list[EngineLock]:
        """A lock elsewhere is seen by trying to take it, which could refuse somebody's `up`: so that is done
        only where somebody has it, or had. Where nobody looked, the engine itself refuses.
        """
        if self.backend.is_remote and not stack.state.pending():
            return []
        return stack.state.locks()


def open_session(workspace: Workspace, compiled: Compiled) -> Session:
    """Writes the stack folders and launchers, finds the engine. Raises ForeignState, EngineMissing."""
    _refuse_what_nothing_applies(compiled)
    engine = find_engine()
    backend = compiled.backend
    runs = workspace.engine_runs if backend.is_remote else None
    pulumi = Pulumi(engine.path, engine_environment(workspace, backend), Interruption(), runs)
    _refuse_to_leave_a_state(workspace, compiled, pulumi)
    now = compiled.graphs.keys()
    compiled = with_stacks(compiled, _known_stacks(workspace, compiled, pulumi))
    stacks = tuple(
        replace(_stack(workspace, compiled, name, backend, pulumi), former=name not in now)
        for name in compiled.graphs
    )
    with ThreadPoolExecutor(max_workers=LOOKS_AT_ONCE) as pool:
        exist = list(pool.map(lambda stack: stack.state.exists(), stacks))
    check_identity(workspace, compiled.project, [stack.state for stack in stacks])
    write_launchers(workspace)
    _forget_old_logs(workspace)
    for stack, exists in zip(stacks, exist, strict=True):
        if stack.graph.resources or exists:
            write_stack_folder(workspace, stack.graph, stack.origins, compiled.files, backend)
            _keep_encryption(stack, backend)
        elif stack.former:
            remove_stack_folder(workspace, stack.key, stack.name)
    versions = {"bedplate": __version__, "engine": engine.version}
    return Session(workspace, compiled.project, compiled.environment, stacks, backend, pulumi, versions)


def _known_stacks(workspace: Workspace, compiled: Compiled, pulumi: Pulumi) -> set[str]:
    """The stacks of this environment that somebody compiled or applied, whatever its sections' division is now."""
    project, environment, backend = compiled.project, compiled.environment, compiled.backend
    if backend.is_remote:
        kept = stacks_at(pulumi, project, environment)
    else:
        kept = stacks_in(backend.folder or workspace.state, project, environment)
    return {*compiled_before(workspace, environment), *kept}


def _refuse_what_nothing_applies(compiled: Compiled) -> None:
    """Raises EngineError for resources that neither bedplate's provider knows nor another that comes with it."""
    for name, graph in compiled.graphs.items():
        for resource in graph.resources:
            if not resource.type.startswith(OURS):
                origin = compiled.origins[name].get(resource.name)
                message = f"{resource.type} can be compiled, but this bedplate cannot apply it yet"
                raise EngineError(
                    pointed(origin, message),
                    hint="`bedplate compile` writes it; target: local can be applied",
                )


def _refuse_to_leave_a_state(workspace: Workspace, compiled: Compiled, pulumi: Pulumi) -> None:
    """Raises StateError when the spec names another backend than the one that holds what was applied."""
    for section in compiled.graphs:
        sidecar = workspace.sources(section, compiled.environment)
        before = read_backend(sidecar)
        if not sidecar.exists() or before.url == compiled.backend.url:
            continue
        environment = engine_environment(workspace, before)
        old = _state(workspace, compiled, section, before, replace(pulumi, environment=environment))
        if old.exists():
            raise StateError(
                f"the state of {section} in {compiled.environment} lies in {_place(before)}, "
                f"and the spec names {_place(compiled.backend)}",
                hint="say the old one again and destroy first, or move it with "
                "`pulumi stack export` and `pulumi stack import`",
            )


def _keep_encryption(stack: Stack, backend: Backend) -> None:
    """Raises StateError when the spec names another secrets provider than the one that the stack was made with."""
    encryption = stack.state.encryption()
    made, wanted = provider_of(encryption), backend.encrypts_with
    if made and wanted and made.partition("?")[0] != wanted.partition("?")[0]:
        raise StateError(
            f"{stack}: its state is encrypted with {made}, and the spec names {wanted}",
            hint="say the old one again, or change it with `pulumi stack change-secrets-provider`",
        )
    restore_encryption(stack.settings, encryption)


def _place(backend: Backend) -> str:
    return backend.url or ".bedplate/state"


def make_stacks(session: Session, stacks: Sequence[Stack]) -> None:
    """Makes the engine's entries for those stacks that have none, all at once."""
    new = [stack for stack in stacks if not stack.state.exists()]
    with ThreadPoolExecutor(max_workers=LOOKS_AT_ONCE) as pool:
        list(pool.map(lambda stack: _make_stack(session, stack), new))


def _make_stack(session: Session, stack: Stack) -> None:
    forget_salt(stack.settings)
    provider = session.backend.secrets_provider
    encrypted = ("--secrets-provider", provider) if provider else ()
    made = session.pulumi.call(stack.folder, "stack", "init", stack.name, "--no-select", *encrypted)
    stack.state.forget()
    if not made.ok and "already exists" not in made.text:
        session.refuse_interrupted(str(stack))
        for lock in told_locks(made.text):  # which the engine only breaks where there is a stack
            message = f"{stack} is locked by {lock}, which made or removed it"
            raise Locked(message, hint=f"wait for it to end; if it was killed, delete {lock.file}")
        raise classify(made.text, what=str(stack))


def remove_stack(session: Session, stack: Stack) -> None:
    """Removes the engine's entry of an empty stack, and the folder of one that is none any more."""
    removed = session.pulumi.call(stack.folder, "stack", "rm", "--yes", stack.name, "--preserve-config")
    stack.state.forget()
    if not removed.ok:
        session.refuse_interrupted(str(stack))
        raise EngineError(f"{stack}: is empty, but its entry cannot be removed: {removed.text.strip()}")
    if stack.former:
        remove_stack_folder(session.workspace, stack.key, stack.name)


def retire_stack(session: Session, stack: Stack) -> None:
    """Removes a former stack, in which what was moved away left the engine's own entries behind."""
    session.pulumi.operate(stack.folder, "destroy", "--yes", "--skip-preview", "--stack", stack.name)
    remove_stack(session, stack)


def _forget_old_logs(workspace: Workspace) -> None:
    """The engine writes a log of each of its runs, and keeps them all."""
    logs = sorted((workspace.pulumi_home / "logs").glob("*.log"), key=lambda path: path.name[-20:])
    for path in logs[:-KEPT_LOGS]:
        path.unlink(missing_ok=True)


def _stack(workspace: Workspace, compiled: Compiled, section: str, backend: Backend, pulumi: Pulumi) -> Stack:
    state = _state(workspace, compiled, section, backend, pulumi)
    return Stack(compiled.graphs[section], compiled.origins[section], state, workspace.stack(section))


def _state(workspace: Workspace, compiled: Compiled, section: str, backend: Backend, pulumi: Pulumi) -> State:
    project, stack = f"{compiled.project}-{section}", compiled.environment
    record = record_of(workspace, project, stack)
    if backend.is_remote:
        return RemoteState(pulumi, project, stack, record, asks_for_locks=not backend.is_service)
    return FileState(backend.folder or workspace.state, project, stack, record)
