"""The real yaml-language-server: installed once into the user's cache, spoken to as an editor does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from tests.npm import NODE, modules

HERE = Path(__file__).parent
ANSWER_WITHIN_S = 60
# What an editor sends that has the server as an extension; without the schema store, which is a download.
SETTINGS = {"yaml": {"completion": True, "hover": True, "validate": True, "schemaStore": {"enable": False}}}

Answer = TypeVar("Answer")


def installed() -> Path:
    """The server's start script, as package-lock.json pins it."""
    return modules(HERE) / "yaml-language-server" / "bin" / "yaml-language-server"


@dataclass
class LanguageServer:
    """The server in a process of its own, and an editor's side of the talk. Lines and columns count from 0."""

    client: LanguageClient = field(default_factory=lambda: LanguageClient("bedplate-tests", "1"))
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    told: dict[str, list[types.Diagnostic]] = field(default_factory=dict)

    def start(self) -> None:
        answers: dict[str, Callable[[Any], object]] = {
            types.WORKSPACE_CONFIGURATION: self._settings,
            types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS: self._hear,
            types.CLIENT_REGISTER_CAPABILITY: self._agree,
        }
        for method, answer in answers.items():
            self.client.feature(method)(partial(_answered, answer))
        self._wait(self._begin())

    def stop(self) -> None:
        self._wait(self._end())
        self.runner.close()

    def open(self, path: Path, text: str) -> None:
        document = types.TextDocumentItem(path.as_uri(), "yaml", 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(document))

    def problems(self, path: Path) -> list[types.Diagnostic]:
        """What is found wrong in an open document."""
        return self._wait(self._diagnostics_of(path.as_uri()))

    def complete(self, path: Path, line: int, character: int) -> list[types.CompletionItem]:
        """What is offered at a place."""
        params = types.CompletionParams(_identifier(path), types.Position(line, character))
        answer = self._wait(self.client.text_document_completion_async(params))
        return [*(answer.items if isinstance(answer, types.CompletionList) else answer or ())]

    def hover(self, path: Path, line: int, character: int) -> str:
        """The Markdown that is shown at a place; empty where there is none."""
        params = types.HoverParams(_identifier(path), types.Position(line, character))
        answer = self._wait(self.client.text_document_hover_async(params))
        return answer.contents.value if answer and isinstance(answer.contents, types.MarkupContent) else ""

    def _settings(self, params: types.ConfigurationParams) -> list[Any]:
        return [SETTINGS.get(item.section or "", {}) for item in params.items]

    def _hear(self, params: types.PublishDiagnosticsParams) -> None:
        self.told[params.uri] = [*params.diagnostics]

    def _agree(self, params: types.RegistrationParams) -> None:
        return None

    def _wait(self, answer: Coroutine[Any, Any, Answer]) -> Answer:
        return self.runner.run(_in_time(answer))

    async def _begin(self) -> None:
        await self.client.start_io(str(NODE), str(installed()), "--stdio")
        markdown = [types.MarkupKind.Markdown]
        item = types.ClientCompletionItemOptions(snippet_support=True, documentation_format=markdown)
        documents = types.TextDocumentClientCapabilities(
            completion=types.CompletionClientCapabilities(completion_item=item),
            hover=types.HoverClientCapabilities(content_format=markdown),
            publish_diagnostics=types.PublishDiagnosticsClientCapabilities(),
        )
        workspace = types.WorkspaceClientCapabilities(configuration=True)
        capabilities = types.ClientCapabilities(workspace=workspace, text_document=documents)
        await self.client.initialize_async(types.InitializeParams(capabilities, process_id=os.getpid()))
        self.client.initialized(types.InitializedParams())

    async def _end(self) -> None:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()  # type: ignore[no-untyped-call]

    async def _diagnostics_of(self, uri: str) -> list[types.Diagnostic]:
        while uri not in self.told:
            await asyncio.sleep(0.01)
        return self.told[uri]


def _identifier(path: Path) -> types.TextDocumentIdentifier:
    return types.TextDocumentIdentifier(path.as_uri())


def _answered(answer: Callable[[Any], object], params: object) -> object:
    return answer(params)


async def _in_time(answer: Coroutine[Any, Any, Answer]) -> Answer:
    async with asyncio.timeout(ANSWER_WITHIN_S):
        return await answer
