"""The page's files as a browser gets them, and the data that it asks for; tests/browser works in the page itself."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Any

import httpx
import pytest

from bedplate.runtime.server import auth, page_files
from tests.runtime.server.served import Server, raw, until
from tests.runtime.server.test_server_protocol import error_of

SOURCES = files("bedplate.runtime.server") / "page"
EVERY_FILE = pytest.mark.parametrize("path", page_files.FILES)
# What could make script or markup of a text, or keep the key.
UNWANTED = (
    r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|\beval\b|Function\(|Storage|cookie|https?:"
)


@EVERY_FILE
def test_it_comes_with_a_policy_that_allows_only_its_own(shared: Server, path: str) -> None:
    answer = shared.client.get(path)
    name, kind = page_files.FILES[path]
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.content == (SOURCES / name).read_bytes()
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "connect", "img")} == {"'self'"}
    assert policy["require-trusted-types-for"] == "'script'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


@EVERY_FILE
def test_it_is_sent_again_only_when_it_changed(shared: Server, path: str) -> None:
    first = shared.client.get(path)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for said in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = shared.client.get(path, headers={"If-None-Match": said})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert again.headers["content-security-policy"] == page_files.POLICY
    for said in ('"other"', etag.strip('"'), ""):
        assert shared.client.get(path, headers={"If-None-Match": said}).status_code == 200


@EVERY_FILE
def test_it_is_read_and_not_written(shared: Server, path: str) -> None:
    head = shared.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(shared.client.get(path).content)
    error_of(shared.client.post(path), 405)


def test_every_file_in_the_folder_is_one_of_the_page() -> None:
    assert {file.name for file in SOURCES.iterdir()} == {name for name, _ in page_files.FILES.values()}


def test_it_leads_only_to_what_the_server_has(shared: Server) -> None:
    page = shared.client.get("/").text
    script = "".join((SOURCES / f"{name}.js").read_text() for name in ("page", "figures", "texts"))
    led = set(re.findall(r'(?:src|href)="([^"]+)"', page)) | set(
        re.findall(r'(?:ask|from) ?\(?"([^"]+)"', script)
    )
    assert {"v2", "metrics", "openapi.json", "page/service.json", "./figures.js"} <= led
    for path in led:
        assert shared.client.get("/" + path.replace("./", "page/")).status_code == 200, path


def test_nothing_in_it_makes_markup_of_a_text() -> None:
    for name, _ in page_files.FILES.values():
        text = (SOURCES / name).read_text().replace("http://www.w3.org/2000/svg", "").replace('"https:"', "")
        assert re.findall(UNWANTED, text) == [], name
    page = (SOURCES / "page.html").read_text()
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page) == []


def test_it_is_told_of_every_version_and_which_is_asked(shared: Server) -> None:
    answer = shared.client.get("/page/service.json")
    told = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert (told["name"], told["ready"], told["slo_p95_s"]) == ("serving.test", True, 0.123)
    found = [(m["version"], m["latest"]) for m in told["models"] if m["name"] == "classifier"]
    assert found == [("1", False), ("2", True)]
    assert len(told["models"]) == len(shared.tree["models"])


def test_every_example_is_answered(shared: Server) -> None:
    without = set()
    for model in shared.client.get("/page/service.json").json()["models"]:
        if model["example"] is None:
            without.add(model["name"])
            continue
        path = f"/v2/models/{model['name']}/versions/{model['version']}/infer"
        answer = shared.client.post(path, content=model["example"])
        # zeros are what every model was warmed up with; one over zero is infinite, which JSON cannot say
        assert answer.status_code == (422 if model["name"] == "reciprocal" else 200), answer.text
    assert without == {"half", "halved"}


def test_openapi_shows_the_example(shared: Server) -> None:
    paths = shared.client.get("/openapi.json").json()["paths"]

    def body(name: str) -> dict[str, Any]:
        content = paths[f"/v2/models/{name}/infer"]["post"]["requestBody"]["content"]
        assert isinstance(content, dict)
        return content

    shown = body("truth")["application/json"]["example"]
    assert shown == {"inputs": [{"name": "in", "datatype": "BOOL", "shape": [1], "data": [False]}]}
    assert list(body("truth")) == ["application/octet-stream", "application/json"]
    assert list(body("half")) == ["application/octet-stream"]  # FP16 has no JSON form


def test_with_a_key_its_files_are_open_and_its_data_is_not(serve: Callable[..., Server]) -> None:
    key = secrets.token_hex(8)
    salted = {"salt": "00ff", "sha256": auth.digest("00ff", key)}
    server = serve(auth={"api_key": salted}).started()
    for path in page_files.FILES:
        assert "serving.test" not in server.client.get(path).text
    error_of(server.client.get("/page/service.json"), 401)
    for path in ("//page/page.js", "/page/page.js/", "/page/%2e%2e/v2", "/page/../page/service.json"):
        assert raw(server, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())[0] == 401, path
    assert server.client.get("/page/service.json", headers={"X-API-Key": key}).status_code == 200


def test_before_the_models_are_loaded_it_is_told_of_none(serve: Callable[..., Server]) -> None:
    server = serve("slow")
    server.start()
    told: list[tuple[bool, int]] = []

    def ready() -> bool:
        with suppress(httpx.TransportError):
            body = httpx.get(server.url + "/page/service.json").json()
            told.append((body["ready"], len(body["models"])))
        return bool(told) and told[-1][0]

    until(ready)
    assert (told[0], told[-1], set(told[:-1])) == ((False, 0), (True, 1), {(False, 0)})
