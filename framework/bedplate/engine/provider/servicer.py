"""The provider protocol on top of the kinds: decode, check, compare, call the kind, encode.

A preview never reaches a kind: its outputs are the inputs, and unknowns for what only the world can say.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from google.protobuf.struct_pb2 import Value as Wire

from bedplate.engine.plugin_process import Arguments, Refusal, serve, told
from bedplate.engine.protocol import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc
from bedplate.engine.provider.diff import Difference, differences
from bedplate.engine.provider.kind import Context, Kind, NotHealthy, ResourceFailed
from bedplate.engine.provider.schema import exact_properties, failures, package_schema
from bedplate.engine.provider.wire import UNKNOWN, UNKNOWN_WIRE, decode, encode, plain, secret
from bedplate.engine.redact import redact, remember_all, reveals
from bedplate.engine.secrets import known_values
from bedplate.engine.sources import origin_of, pointed
from bedplate.errors import BedplateError
from bedplate.graph import Json
from bedplate.version import __version__
from bedplate.workspace import Workspace

PACKAGE: Final = "bedplate"
LOG_TIMEOUT_S: Final = 5.0
_KINDS_OF_DIFF: Final = {
    ("added", False): provider_pb2.PropertyDiff.ADD,
    ("added", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("removed", False): provider_pb2.PropertyDiff.DELETE,
    ("removed", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("changed", False): provider_pb2.PropertyDiff.UPDATE,
    ("changed", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


def serve_provider(kinds: Mapping[str, Kind], arguments: Arguments) -> None:
    """Serves `kinds` to the engine until it is done."""

    def register(server: grpc.Server) -> None:
        provider = Provider(kinds, arguments.workspace, _progress(arguments.engine))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)

    serve(arguments, register)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a call is about. `inputs` and `outputs` are as the engine remembers them."""

    kind: Kind
    context: Context
    inputs: dict[str, Json]
    outputs: dict[str, Json]


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Calls come at once, each in its thread; there is no state between them but the wish to cancel."""

    def __init__(
        self, kinds: Mapping[str, Kind], workspace: Workspace, progress: Callable[[str, str], None]
    ) -> None:
        self._kinds = kinds
        self._workspace = workspace
        self._progress = progress
        self._cancelled = threading.Event()

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=__version__)

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        return provider_pb2.GetSchemaResponse(schema=package_schema(PACKAGE, self._kinds))

    def GetMapping(
        self, request: provider_pb2.GetMappingRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetMappingResponse:
        return provider_pb2.GetMappingResponse()

    def GetMappings(
        self, request: provider_pb2.GetMappingsRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetMappingsResponse:
        return provider_pb2.GetMappingsResponse()

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:
        self._cancelled.set()
        return Empty()

    def Check(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        found = tuple(failures(self._kind(request.urn), decode(request.news)))
        origin = origin_of(self._workspace, request.urn) if found else None
        listed = [(f.key, redact(pointed(origin, f.reason))) for f in found]
        return provider_pb2.CheckResponse(
            inputs=request.news,
            failures=[provider_pb2.CheckFailure(property=key, reason=reason) for key, reason in listed],
        )

    def Diff(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        kind = self._kind(request.urn)
        found = tuple(differences(decode(request.old_inputs), decode(request.news)))
        replaced = sorted({d.key for d in found if _replaces(kind, d)})
        if replaced:
            subject = self._subject(request.urn, request.old_inputs, request.olds)
            with self._told(subject, request.old_inputs):
                kind.may_replace(subject.context, subject.inputs, self._inputs(kind, request.news))
        some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some if found else none,
            replaces=replaced,
            diffs=sorted({d.key for d in found}),
            deleteBeforeReplace=bool(replaced) and kind.DELETE_FIRST,
            hasDetailedDiff=bool(found),
            detailedDiff={
                d.path: provider_pb2.PropertyDiff(
                    kind=_KINDS_OF_DIFF[d.change, _replaces(kind, d)], inputDiff=True
                )
                for d in found
            },
        )

    def Create(
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        if request.preview:
            return provider_pb2.CreateResponse(properties=self._foreseen(request.urn, request.properties))
        subject = self._subject(request.urn, request.properties, Struct())
        with self._told(subject, request.properties):
            created = subject.kind.create(subject.context, subject.inputs)
        return provider_pb2.CreateResponse(
            id=created.id, properties=_state(subject.kind, request.properties, created.outputs)
        )

    def Read(
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        subject = self._subject(request.urn, request.inputs, request.properties)
        with self._told(subject, request.inputs):
            found = subject.kind.read(subject.context, request.id, subject.inputs, subject.outputs)
        if found is None:
            return provider_pb2.ReadResponse()
        inputs = _wire(found.inputs, request.inputs)
        state = _state(subject.kind, inputs, found.outputs)
        if found.unhealthy:
            raise self._unhealthy(subject, request.id, inputs, state, found.unhealthy)
        return provider_pb2.ReadResponse(id=request.id, inputs=inputs, properties=state)

    def Update(
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        if request.preview:
            return provider_pb2.UpdateResponse(properties=self._foreseen(request.urn, request.news))
        subject = self._subject(request.urn, request.old_inputs, request.olds)
        new = self._inputs(subject.kind, request.news)
        with self._told(subject, request.news):
            outputs = subject.kind.update(subject.context, request.id, subject.inputs, subject.outputs, new)
        return provider_pb2.UpdateResponse(properties=_state(subject.kind, request.news, outputs))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> Empty:
        subject = self._subject(request.urn, request.old_inputs, request.properties)
        with self._told(subject, request.old_inputs):
            subject.kind.delete(subject.context, request.id, subject.inputs, subject.outputs)
        return Empty()

    def _kind(self, urn: str) -> Kind:
        token = urn.split("::")[2].rpartition("$")[2]
        kind = self._kinds.get(token)
        if kind is None:
            message = f"this bedplate ({__version__}) does not know {token}"
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, message)
        return kind

    def _subject(self, urn: str, inputs: Struct, state: Struct) -> _Subject:
        kind = self._kind(urn)

        def log(line: str) -> None:
            self._progress(urn, redact(line))

        context = Context(self._workspace, urn, self._cancelled, log)
        outputs = exact_properties(_known(state), kind.OUTPUTS)
        return _Subject(kind, context, self._inputs(kind, inputs), outputs)

    def _inputs(self, kind: Kind, wire: Struct) -> dict[str, Json]:
        values = _known(wire)
        remember_all(known_values(values))
        return exact_properties(values, kind.PROPERTIES)

    def _foreseen(self, urn: str, inputs: Struct) -> Struct:
        unknown = dict.fromkeys(self._kind(urn).OUTPUTS, UNKNOWN_WIRE)
        return Struct(fields={**inputs.fields, **unknown})

    @contextmanager
    def _told(self, subject: _Subject, inputs: Struct) -> Iterator[None]:
        """Turns what a kind raises into what the engine understands."""
        try:
            yield
        except NotHealthy as error:
            state = _state(subject.kind, inputs, error.outputs)
            raise self._unhealthy(subject, error.id, inputs, state, error.reasons) from error
        except ResourceFailed as error:
            text = self._pointed(subject, str(error))
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, text) from error
        except BedplateError as error:
            text = self._pointed(subject, told(error))
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, text) from error

    def _unhealthy(
        self,
        subject: _Subject,
        identity: str,
        inputs: Struct,
        state: Struct,
        reasons: tuple[str, ...],
    ) -> Refusal:
        lines = [redact(self._pointed(subject, reason)) for reason in reasons]
        detail = provider_pb2.ErrorResourceInitFailed(
            id=identity, properties=state, inputs=inputs, reasons=lines
        )
        return Refusal(grpc.StatusCode.UNKNOWN, "; ".join(lines), detail)

    def _pointed(self, subject: _Subject, text: str) -> str:
        return pointed(origin_of(self._workspace, subject.context.urn), text)


def _replaces(kind: Kind, difference: Difference) -> bool:
    declared = kind.PROPERTIES.get(difference.key)
    return declared is not None and declared.replaces


def _known(wire: Struct) -> dict[str, Json]:
    values = {key: plain(value) for key, value in decode(wire).items()}
    return {key: value for key, value in values.items() if value is not UNKNOWN}


def _wire(values: Mapping[str, Json], before: Struct) -> Struct:
    """Inputs as read from the world; what was secret and has not changed stays as it was."""
    old = {key: plain(value) for key, value in decode(before).items()}
    return Struct(
        fields={
            key: before.fields[key] if old.get(key) == value else encode(value)
            for key, value in values.items()
        }
    )


def _state(kind: Kind, inputs: Struct, outputs: Mapping[str, Json]) -> Struct:
    """A resource's state: its inputs as they came, and its outputs, secret where declared or revealing."""
    return Struct(fields={**inputs.fields, **{key: _output(kind, key, v) for key, v in outputs.items()}})


def _output(kind: Kind, key: str, value: Json) -> Wire:
    wire = encode(value)
    declared = kind.OUTPUTS.get(key)
    return secret(wire) if (declared and declared.secret) or reveals(str(value)) else wire


def _progress(engine: str) -> Callable[[str, str], None]:
    """How a line is shown beside a resource while it is worked on; nowhere when run by hand."""
    if not engine:
        return lambda urn, line: None
    stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine))

    def show(urn: str, line: str) -> None:
        message = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=line, urn=urn, ephemeral=True)
        with suppress(grpc.RpcError):  # an engine that is gone shows nothing
            stub.Log(message, timeout=LOG_TIMEOUT_S)

    return show
