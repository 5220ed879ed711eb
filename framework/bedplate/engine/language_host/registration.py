"""A graph told to the engine: every resource registered with the resource monitor, each after what it needs.

The monitor's service is called directly. Values of other resources' outputs are passed on as they came over
the wire, so what is unknown stays unknown and what is secret stays secret.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from graphlib import TopologicalSorter
from typing import TypeAlias
from urllib.parse import quote

import grpc
from google.protobuf.struct_pb2 import ListValue, Struct
from google.protobuf.struct_pb2 import Value as Wire

from bedplate.engine.protocol import alias_pb2, resource_pb2, resource_pb2_grpc, source_pb2
from bedplate.engine.provider.wire import UNKNOWN_WIRE, encode
from bedplate.engine.sources import pointed
from bedplate.engine.state import IDENTITY, STACK_TYPE
from bedplate.errors import EngineError
from bedplate.graph import Graph, Json, Origin, Ref, Resource, SecretRef, Value, dependencies, refs
from bedplate.workspace import Workspace

Registered = resource_pb2.RegisterResourceResponse
Answer: TypeAlias = "grpc.Future[Registered]"


class Stopped(Exception):
    """The engine has failed or been cancelled, and has said so itself: there is nothing to add."""


@dataclass(frozen=True, slots=True)
class Program:
    """One run of a graph.

    `identity` is the project's, which every stack carries in its outputs.
    `secrets` is what stands in for each secret; at most `limit` registrations are under way at once; `known`
    is what the engine has answered, by name.
    """

    monitor: resource_pb2_grpc.ResourceMonitorStub
    workspace: Workspace
    graph: Graph
    origins: Mapping[str, Origin]
    secrets: Mapping[str, Mapping[str, Json]]
    preview: bool
    limit: int
    identity: str | None = None
    known: dict[str, Registered] = field(default_factory=dict)

    def run(self) -> None:
        """Registers everything. Raises Stopped, or EngineError for what the engine would not say itself."""
        stack = self._register_stack()
        order = TopologicalSorter({r.name: dependencies(r) for r in self.graph.resources})
        order.prepare()
        self._register_all(order, stack)
        if len(self.known) < len(self.graph.resources):
            raise Stopped
        outputs = {key: self._wire(value) for key, value in self.graph.outputs.items()}
        if self.identity is not None:
            outputs[IDENTITY] = encode(self.identity)
        with _asked("outputs"):
            self.monitor.RegisterResourceOutputs(
                resource_pb2.RegisterResourceOutputsRequest(urn=stack, outputs=Struct(fields=outputs))
            )

    def _register_stack(self) -> str:
        graph = self.graph
        name = f"{graph.project}-{graph.stack}-{graph.environment}"
        request = resource_pb2.RegisterResourceRequest(type=STACK_TYPE, name=name, acceptSecrets=True)
        with _asked(name):
            return str(self.monitor.RegisterResource(request).urn)

    def _register_all(self, order: TopologicalSorter[str], stack: str) -> None:
        """What depends on a failed resource is left out, which the engine takes as unchanged."""
        by_name = {r.name: r for r in self.graph.resources}
        ended: queue.SimpleQueue[tuple[str, Answer]] = queue.SimpleQueue()
        ready: deque[str] = deque()
        under_way = 0
        while order.is_active():
            ready.extend(sorted(order.get_ready()))
            while ready and under_way < self.limit:
                name = ready.popleft()
                resource = by_name[name]
                if not dependencies(resource) <= self.known.keys():
                    order.done(name)
                    ready.extend(sorted(order.get_ready()))
                    continue
                answer: Answer = self.monitor.RegisterResource.future(self._request(resource, stack))
                answer.add_done_callback(partial(_put, ended, name))
                under_way += 1
            if under_way:
                name, ended_answer = ended.get()
                under_way -= 1
                self._note(by_name[name], ended_answer)
                order.done(name)

    def _note(self, resource: Resource, answer: Answer) -> None:
        with _asked(resource.name, self.origins.get(resource.name)):
            response = answer.result()
        if response.result == resource_pb2.SUCCESS:
            self.known[resource.name] = response

    def _request(self, resource: Resource, stack: str) -> resource_pb2.RegisterResourceRequest:
        needed = {key: self._urns(value) for key, value in resource.properties.items()}
        request = resource_pb2.RegisterResourceRequest(
            type=resource.type,
            name=resource.name,
            parent=stack,
            custom=True,
            object=Struct(fields={key: self._wire(value) for key, value in resource.properties.items()}),
            protect=resource.protect,
            dependencies=sorted(self.known[name].urn for name in dependencies(resource)),
            propertyDependencies={
                key: resource_pb2.RegisterResourceRequest.PropertyDependencies(urns=urns)
                for key, urns in needed.items()
            },
            ignoreChanges=resource.ignore_changes,
            importId=resource.import_id or "",
            aliases=[alias_pb2.Alias(spec=alias_pb2.Alias.Spec(name=name)) for name in resource.aliases],
            aliasSpecs=True,
            acceptSecrets=True,
            supportsPartialValues=True,
            supportsResultReporting=True,
        )
        if resource.name in self.origins:
            request.sourcePosition.CopyFrom(self._position(self.origins[resource.name]))
        return request

    def _position(self, origin: Origin) -> source_pb2.SourcePosition:
        path = quote(str(self.workspace.root / origin.file))
        return source_pb2.SourcePosition(uri=f"file://{path}", line=origin.line, column=origin.column)

    def _urns(self, value: Value) -> list[str]:
        return sorted({self.known[ref.resource].urn for ref in refs(value)})

    def _wire(self, value: Value) -> Wire:
        if isinstance(value, Ref):
            return self._output(value)
        if isinstance(value, SecretRef):
            return encode(self.secrets[value.name])
        if isinstance(value, Mapping):
            return Wire(struct_value=Struct(fields={key: self._wire(item) for key, item in value.items()}))
        if isinstance(value, str | bool | int | float):
            return encode(value)
        return Wire(list_value=ListValue(values=[self._wire(item) for item in value]))

    def _output(self, ref: Ref) -> Wire:
        response = self.known[ref.resource]
        for key, value in self._outputs(response):
            if key == ref.output:
                return value
        if self.preview:
            return UNKNOWN_WIRE
        origin = self.origins.get(ref.resource)
        raise EngineError(pointed(origin, f"{ref.resource} has no output {ref.output!r}"))

    def _outputs(self, response: Registered) -> Iterator[tuple[str, Wire]]:
        yield from response.object.fields.items()
        yield "urn", Wire(string_value=response.urn)
        if response.id:
            yield "id", Wire(string_value=response.id)


@contextmanager
def _asked(what: str, origin: Origin | None = None) -> Iterator[None]:
    """Tells apart what the engine has already told its user from what it has not."""
    try:
        yield
    except grpc.RpcError as error:
        text = error.details() or ""
        # The engine shuts its monitor down once something failed or the user cancelled; both are told.
        if error.code() is grpc.StatusCode.UNAVAILABLE or "resource monitor shut down" in text:
            raise Stopped from error
        raise EngineError(pointed(origin, f"{what}: {text}")) from error


def _put(ended: queue.SimpleQueue[tuple[str, Answer]], name: str, answer: Answer) -> None:
    ended.put((name, answer))
