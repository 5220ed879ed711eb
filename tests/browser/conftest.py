"""Chromium, and real servers whose page it shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from onnx import TensorProto

from bedplate.runtime.server import auth
from tests.browser.chromium import Chromium
from tests.browser.page import HOSTILE, KEY, running
from tests.browser.tab import Tab, opened
from tests.runtime.server import served_models as models
from tests.runtime.server.served import Server, entry


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    return Chromium.found(tmp_path_factory.mktemp("chromium"))


@pytest.fixture(scope="session")
def browser(chromium: Chromium) -> Iterator[Tab]:
    with opened(chromium) as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Tab:
    browser.console.clear()
    browser.look()
    return browser


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, models.Written]:
    folder = tmp_path_factory.mktemp("zoo")
    hostile = models.echo(TensorProto.STRING)
    hostile.graph.input[0].name = hostile.graph.node[0].input[0] = HOSTILE
    made = {
        "classifier": models.classifier(),
        "classifier2": models.classifier(bias=1000.0),
        "long": models.echo(TensorProto.UINT64),
        "truth": models.echo(TensorProto.BOOL),
        "half": models.echo(TensorProto.FLOAT16),
        "hostile": hostile,
    }
    return {name: models.write(folder / f"{name}.onnx", made[name]) for name in made}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, zoo: dict[str, models.Written]) -> Iterator[Server]:
    entries = [entry("classifier", zoo["classifier"])]
    entries += [entry(name, zoo[name]) for name in ("long", "truth", "half")]
    entries += [entry(HOSTILE, zoo["hostile"], HOSTILE), entry("classifier", zoo["classifier2"], version="2")]
    with running(tmp_path_factory.mktemp("server"), entries, service=HOSTILE) as started:
        yield started


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory, zoo: dict[str, models.Written]) -> Iterator[Server]:
    salted = {"salt": "00ff10", "sha256": auth.digest("00ff10", KEY)}
    entries = [entry(name, zoo[name]) for name in ("classifier", "half")]
    with running(tmp_path_factory.mktemp("locked"), entries, auth={"api_key": salted}) as started:
        yield started
