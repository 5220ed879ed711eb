"""Pulumi's engine in a hundred lines of memory: what it asks of a provider, in the order in which it asks.

It speaks the provider protocol to bedplate's real servicer, keeps a state as the engine does (a failed
operation leaves the old entry, a provider that dies leaves a pending operation), and is fast enough for
thousands of runs. What it decides is what the real engine was seen to decide in the tests of this folder.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.struct_pb2 import Struct

from bedplate.engine.plugin_process import Refusal
from bedplate.engine.protocol import provider_pb2 as pb
from bedplate.engine.provider.kind import Context, Kind
from bedplate.engine.provider.servicer import Provider
from bedplate.engine.provider.wire import encode
from bedplate.graph import Graph, Resource
from bedplate.graph import encode as to_data
from bedplate.workspace import Workspace


class Broken(Exception):
    """The update failed; the state says how far it got."""


@dataclass(frozen=True)
class Entry:
    """A resource as the state holds it."""

    urn: str
    id: str
    inputs: Struct
    outputs: Struct
    unhealthy: bool = False


@dataclass
class SmallEngine:
    """One stack. `fails_at`: the n-th operation that changes something is refused by the world."""

    kinds: Mapping[str, Kind]
    workspace: Workspace
    state: dict[str, Entry] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    fails_at: int | None = None

    def up(self, graph: Graph) -> None:
        """Raises Broken when an operation failed, or ProviderDied with the operation left pending."""
        self.operations = []
        provider = Provider(self.kinds, self.workspace, lambda _urn, _line: None)
        wanted = {self._urn(graph, resource): resource for resource in graph.in_order()}
        for urn, resource in wanted.items():
            self._reach(provider, urn, resource)
        for urn in reversed([urn for urn in self.state if urn not in wanted]):
            self._delete(provider, urn)

    def recover(self) -> None:
        """What `bedplate recover` does: a pending creation is found in the world, or dropped."""
        provider = Provider(self.kinds, self.workspace, lambda _urn, _line: None)
        for urn in self.pending:
            if urn not in self.state:
                found = self._kind(urn).find(self._context(urn))
                if found is not None:
                    self.state[urn] = Entry(urn, found, Struct(), Struct())
        self.pending = []
        self.refresh(provider)

    def refresh(self, provider: Provider) -> None:
        for urn, entry in list(self.state.items()):
            answer = self._call(
                urn,
                lambda urn=urn, entry=entry: provider.Read(
                    pb.ReadRequest(id=entry.id, urn=urn, inputs=entry.inputs, properties=entry.outputs),
                    _NO_CONTEXT,
                ),
                entry.inputs,
            )
            if isinstance(answer, Entry):
                self.state[urn] = answer
            elif not answer.id:
                del self.state[urn]
            else:
                self.state[urn] = Entry(urn, answer.id, answer.inputs, answer.properties)

    def _reach(self, provider: Provider, urn: str, resource: Resource) -> None:
        news = _struct(resource)
        checked = provider.Check(pb.CheckRequest(urn=urn, news=news), _NO_CONTEXT)
        if checked.failures:
            raise Broken(str(checked.failures))
        old = self.state.get(urn)
        if old is None:
            self._create(provider, urn, news)
            return
        diff = provider.Diff(
            pb.DiffRequest(id=old.id, urn=urn, olds=old.outputs, old_inputs=old.inputs, news=news),
            _NO_CONTEXT,
        )
        if diff.replaces:
            assert diff.deleteBeforeReplace
            self._delete(provider, urn)
            self._create(provider, urn, news)
        elif diff.changes == pb.DiffResponse.DIFF_SOME or old.unhealthy:
            self._update(provider, urn, old, news)

    def _create(self, provider: Provider, urn: str, news: Struct) -> None:
        self._begin("create", urn)
        answer = self._call(
            urn, lambda: provider.Create(pb.CreateRequest(urn=urn, properties=news), _NO_CONTEXT), news
        )
        if isinstance(answer, Entry):
            self.state[urn] = answer
            raise Broken(f"{urn} is not healthy")
        self.state[urn] = Entry(urn, answer.id, news, answer.properties)
        self.pending.remove(urn)

    def _update(self, provider: Provider, urn: str, old: Entry, news: Struct) -> None:
        self._begin("update", urn)
        request = pb.UpdateRequest(id=old.id, urn=urn, olds=old.outputs, old_inputs=old.inputs, news=news)
        answer = self._call(urn, lambda: provider.Update(request, _NO_CONTEXT), news)
        if isinstance(answer, Entry):
            self.state[urn] = answer
            raise Broken(f"{urn} is not healthy")
        self.state[urn] = Entry(urn, old.id, news, answer.properties)
        self.pending.remove(urn)

    def _delete(self, provider: Provider, urn: str) -> None:
        self._begin("delete", urn)
        old = self.state[urn]
        request = pb.DeleteRequest(id=old.id, urn=urn, properties=old.outputs, old_inputs=old.inputs)
        self._call(urn, lambda: provider.Delete(request, _NO_CONTEXT), old.inputs)
        del self.state[urn]
        self.pending.remove(urn)

    def _begin(self, operation: str, urn: str) -> None:
        self.operations.append(f"{operation} {urn.rpartition('::')[2]}")
        if self.fails_at is not None and len(self.operations) == self.fails_at:
            raise Broken(f"the world refused to {self.operations[-1]}")
        self.pending.append(urn)

    def _call(self, urn: str, call, inputs: Struct):  # type: ignore[no-untyped-def]
        """The provider's answer; an Entry when the resource exists but is not healthy."""
        try:
            return call()
        except Refusal as refusal:
            if urn in self.pending:
                self.pending.remove(urn)
            if isinstance(refusal.detail, pb.ErrorResourceInitFailed):
                return Entry(urn, refusal.detail.id, inputs, refusal.detail.properties, unhealthy=True)
            raise Broken(refusal.text) from refusal

    def _urn(self, graph: Graph, resource: Resource) -> str:
        project = f"{graph.project}-{graph.section}"
        return f"urn:pulumi:{graph.environment}::{project}::{resource.type}::{resource.name}"

    def _kind(self, urn: str) -> Kind:
        return self.kinds[urn.split("::")[2]]

    def _context(self, urn: str) -> Context:
        return Context(self.workspace, urn, threading.Event(), lambda _text: None)


def _struct(resource: Resource) -> Struct:
    return Struct(fields={key: encode(to_data(value)) for key, value in resource.properties.items()})


_NO_CONTEXT: Any = None  # the servicer answers by value and exception; it asks nothing of a call's context
