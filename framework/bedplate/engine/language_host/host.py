"""What the engine asks of a language.

`Run` reads stacks/<section>/graph.<environment>.json and registers what it holds. It decides nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
from google.protobuf.empty_pb2 import Empty

from bedplate.engine.language_host.registration import Program, Stopped
from bedplate.engine.plugin_process import UNLIMITED, Arguments, serve, told
from bedplate.engine.protocol import language_pb2, language_pb2_grpc, plugin_pb2, resource_pb2_grpc
from bedplate.engine.redact import redact
from bedplate.engine.secrets import fingerprint_key, reference
from bedplate.engine.sources import read_sources, read_spec_files
from bedplate.errors import EngineError
from bedplate.graph import Graph, GraphError, Json
from bedplate.version import __version__
from bedplate.workspace import Workspace


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """What the engine asks of a language. Nothing is installed: a graph has no dependencies of its own."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=__version__)

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        # Pulumi.yaml names our provider by its path; a version here would be written into the state, and
        # a later bedplate could no longer refresh or destroy what this one made.
        return language_pb2.GetRequiredPackagesResponse()

    def GetRequiredPlugins(
        self, request: language_pb2.GetRequiredPluginsRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPluginsResponse:
        return language_pb2.GetRequiredPluginsResponse()

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        ours = language_pb2.DependencyInfo(name="bedplate", version=__version__)
        return language_pb2.GetProgramDependenciesResponse(dependencies=[ours])

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        return iter(())

    def RuntimeOptionsPrompts(
        self, request: language_pb2.RuntimeOptionsRequest, context: grpc.ServicerContext
    ) -> language_pb2.RuntimeOptionsResponse:
        return language_pb2.RuntimeOptionsResponse()

    def About(
        self, request: language_pb2.AboutRequest, context: grpc.ServicerContext
    ) -> language_pb2.AboutResponse:
        return language_pb2.AboutResponse(executable=sys.executable, version=__version__)

    def Run(
        self, request: language_pb2.RunRequest, context: grpc.ServicerContext
    ) -> language_pb2.RunResponse:
        folder = Path(request.info.program_directory)
        try:
            graph = load_graph(folder, request.project, request.stack)
            refuse_stale(self._workspace, folder, request.stack)
            with grpc.insecure_channel(request.monitor_address, options=UNLIMITED) as channel:
                self._program(graph, folder, request, channel).run()
        except EngineError as error:
            return language_pb2.RunResponse(error=redact(told(error)))
        except Stopped:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse()

    def _program(
        self, graph: Graph, folder: Path, request: language_pb2.RunRequest, channel: grpc.Channel
    ) -> Program:
        from bedplate.engine.identity import identity  # it reads YAML, which the handshake need not wait for

        return Program(
            monitor=resource_pb2_grpc.ResourceMonitorStub(channel),
            workspace=self._workspace,
            graph=graph,
            origins=read_sources(folder / f"sources.{graph.environment}.json"),
            secrets=self._references(graph.secrets),
            preview=request.dryRun,
            limit=max(1, request.parallel),
            identity=identity(self._workspace),
        )

    def _references(self, sources: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Json]]:
        if not sources:
            return {}
        key = fingerprint_key(self._workspace, os.environ)
        return {name: reference(key, name, source) for name, source in sources.items()}


def load_graph(folder: Path, project: str, stack: str) -> Graph:
    """The graph of a stack. Raises EngineError when it is not there, damaged, or another stack's."""
    path = folder / f"graph.{stack}.json"
    again = "run `bedplate compile`, then try again"
    try:
        graph = Graph.from_json(path.read_bytes())
    except FileNotFoundError:
        raise EngineError(f"there is no {path.name} in {folder.name}/", hint=again) from None
    except (OSError, GraphError) as error:
        raise EngineError(f"{folder.name}/{path.name} cannot be used: {error}", hint=again) from error
    if (f"{graph.project}-{graph.stack}", graph.environment) != (project, stack):
        raise EngineError(
            f"{folder.name}/{path.name} is of {graph.project}-{graph.stack} in {graph.environment}, "
            f"not of {project} in {stack}",
            hint=again,
        )
    return graph


def refuse_stale(workspace: Workspace, folder: Path, stack: str) -> None:
    """Raises EngineError when the spec was edited after its graph was compiled."""
    changed = read_spec_files(folder / f"sources.{stack}.json").changed(workspace.root)
    if changed is not None and workspace.spec.exists():
        raise EngineError(
            f"{folder.name}/graph.{stack}.json is older than {changed}",
            hint="run `bedplate compile`",
        )


def main() -> None:
    """Serves the engine until it is done."""
    arguments = Arguments.parsed(sys.argv[1:])

    def register(server: grpc.Server) -> None:
        host = LanguageHost(arguments.workspace)
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)

    serve(arguments, register)
