"""The model server's page in the real Chromium, asked as a reader does: of a real server, by mouse and keyboard."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.page import HOSTILE, KEY, running
from tests.browser.tab import Tab
from tests.npm import modules
from tests.runtime.server import served_models as models
from tests.runtime.server.served import Server, entry, row, tensor

OPEN = "details[open] "
SEND = OPEN + "button.main"
OUTCOME = OPEN + ".outcome"
# What sticks out of the window, or of a box that cuts it off.
OUTSIDE = """
  () => [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility()).filter((e) =>
    e.getBoundingClientRect().right > innerWidth || (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0
      && getComputedStyle(e).display !== "inline")).map((e) => e.outerHTML.slice(0, 80))
"""
AXE = "async () => (await axe.run(document)).violations.map((found) => [found.id, found.nodes.map((n) => n.html)])"


def shown(tab: Tab, server: Server, model: str = "classifier") -> None:
    """Open the page, and of its models one."""
    tab.open(server.url + "/")
    tab.until(lambda: tab.count("details"))
    tab.ask(
        """(name) => document.querySelectorAll("details").forEach(
             (card) => (card.open = card.querySelector("h2").textContent === name))""",
        model,
    )
    assert tab.count("details[open]") == 1


def figure(tab: Tab, row: int, column: int) -> str:
    return tab.text(f"{OPEN}.traffic tbody tr:nth-child({row}) td:nth-child({column})")


def test_it_shows_the_service_and_its_models(tab: Tab, server: Server) -> None:
    shown(tab, server)
    assert tab.ask("() => document.getElementById('service').textContent") == HOSTILE
    assert tab.ask("() => document.title") == " ".join(HOSTILE.split("\n"))
    assert tab.text("#state") == "ready"
    assert tab.count("details") == 5
    cells = tab.ask(
        f"() => [...document.querySelectorAll('{OPEN}.signature td')].map((cell) => cell.innerText)"
    )
    assert cells == ["x", "FP32", "[-1, 4]", "total", "FP32", "[-1]", "label", "INT64", "[-1]"]
    links = tab.ask("() => [...document.querySelectorAll('nav a')].map((a) => new URL(a.href).pathname)")
    assert links == ["/v2", "/openapi.json", "/metrics"]
    assert tab.console == []


def test_a_request_is_sent_and_its_answer_shown(tab: Tab, server: Server) -> None:
    shown(tab, server)
    before = figure(tab, 1, 3)
    tab.click(SEND)
    tab.until(lambda: tab.text(OUTCOME).startswith("Answered in "))
    answer = json.loads(tab.text(OPEN + ".answer"))
    assert (answer["model_name"], answer["model_version"]) == ("classifier", "2")
    assert answer["outputs"][0]["data"] == [1000.0]
    tab.until(lambda: figure(tab, 1, 3) == str(int(before) + 1))
    assert tab.console == []


def test_another_version_is_chosen_and_asked(tab: Tab, server: Server) -> None:
    shown(tab, server)
    tab.ask(
        """() => {
          const select = document.querySelector("details[open] select");
          select.value = "1";
          select.dispatchEvent(new Event("change"));
        }"""
    )
    assert tab.text(OPEN + ".where") == "/v2/models/classifier/versions/1/infer"
    tab.click(SEND)
    tab.until(lambda: tab.text(OUTCOME).startswith("Answered"))
    assert json.loads(tab.text(OPEN + ".answer"))["outputs"][0]["data"] == [0.0]


def test_an_error_is_shown_in_the_servers_words(tab: Tab, server: Server) -> None:
    shown(tab, server)
    for request, words in (
        ({"inputs": [tensor("x", "FP32", [1, 4], [1, 2, 3])]}, "expected 4 elements for shape [1, 4], got 3"),
        ({"inputs": [tensor("y", "FP32", [1], [1])]}, "unknown input 'y'; the model's inputs are 'x'"),
    ):
        tab.click(OPEN + "textarea")
        tab.write(json.dumps(request))
        tab.press("Enter", control=True)
        tab.until(lambda: tab.text(OUTCOME).startswith("400: "))
        tab.until(lambda words=words: words in tab.text(OUTCOME))  # type: ignore[misc]
        assert tab.count(OPEN + ".answer[hidden]") == 1
    tab.click(OPEN + ".reset")
    tab.click(SEND)
    tab.until(lambda: tab.text(OUTCOME).startswith("Answered"))
    assert {line.split(" http")[0] for line in tab.console} <= {
        "Failed to load resource: the server responded with a status of 400 (Bad Request)"
    }


def test_it_is_worked_by_keyboard_alone(tab: Tab, server: Server) -> None:
    shown(tab, server)
    outlined = "() => getComputedStyle(document.activeElement).outlineStyle !== 'none'"
    for _ in range(30):
        tab.press("Tab")
        assert tab.ask(outlined), tab.ask("() => document.activeElement.outerHTML")
        if tab.ask("() => document.activeElement.textContent") == "Send":
            break
    tab.press("Enter")
    tab.until(lambda: tab.text(OUTCOME).startswith("Answered"))
    assert tab.ask("() => document.activeElement.textContent") == "Send"
    assert tab.ask(f"() => document.querySelector('{OUTCOME}').role") == "status"


def test_figures_follow_what_others_ask(tab: Tab, server: Server) -> None:
    shown(tab, server)
    before = int(figure(tab, 1, 3))
    for _ in range(20):
        server.infer("classifier", row())
    tab.until(lambda: int(figure(tab, 1, 3)) == before + 20)
    tab.until(lambda: figure(tab, 1, 2).endswith(" per s"))
    assert all(figure(tab, line, 2).endswith(" ms") for line in (2, 3))
    assert tab.text(OPEN + ".objective").startswith("Objective: 95 % within 123 ms; ")
    tab.ask(
        """() => {
          Object.defineProperty(document, "visibilityState", {value: "hidden", configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
          window.asked = 0;
          const fetched = window.fetch;
          window.fetch = (...words) => { window.asked += 1; return fetched(...words); };
        }"""
    )
    assert tab.ask("() => new Promise((done) => setTimeout(() => done(window.asked), 4000))") == 0
    tab.ask(
        "() => { delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange')); }"
    )
    tab.until(lambda: tab.ask("() => window.asked"))


def test_whole_numbers_of_64_bits_are_shown_whole(tab: Tab, server: Server) -> None:
    shown(tab, server, "long")
    tab.click(OPEN + "textarea")
    tab.write(json.dumps({"inputs": [tensor("in", "UINT64", [1], [2**64 - 1])]}))
    tab.click(SEND)
    tab.until(lambda: str(2**64 - 1) in tab.text(OPEN + ".answer"))


def test_hostile_names_are_only_texts(tab: Tab, server: Server) -> None:
    shown(tab, server, HOSTILE)
    tab.click(SEND)
    tab.until(lambda: tab.text(OUTCOME).startswith("Answered"))
    assert json.loads(tab.text(OPEN + ".answer"))["model_name"] == HOSTILE
    tab.until(lambda: int(figure(tab, 1, 3)) > 0)
    assert tab.ask(f"() => document.querySelector('{OPEN}.signature td').textContent") == HOSTILE
    assert tab.count("img, iframe, main script, [onerror]") == 0
    assert tab.ask("() => 'hacked' in window") is False
    assert tab.console == []


def test_its_policy_holds_in_the_browser(tab: Tab, server: Server) -> None:
    shown(tab, server)
    assert tab.console == []
    tab.ask("() => { new Image().src = 'http://127.0.0.1:9/picture'; }")
    tab.until(lambda: tab.count("body") and any("img-src" in line for line in tab.console))
    markup = "() => { try { document.body.innerHTML = '<b>'; } catch (error) { return String(error); } }"
    assert "TrustedHTML" in tab.ask(markup)


def words_of(command: str) -> list[str]:
    """What a shell gives curl."""
    script = "curl() { for word; do printf '%s\\0' \"$word\"; done; }\n" + command
    ran = subprocess.run(["sh", "-euc", script], capture_output=True, check=True, env={"API_KEY": KEY})
    return ran.stdout.decode().split("\0")[:-1]


def test_the_curl_line_says_the_same(tab: Tab, server: Server) -> None:
    shown(tab, server, HOSTILE)
    request = {"inputs": [tensor(HOSTILE, "BYTES", [2], ["it's $HOME `id` \\", 'a  "b"\n'])]}
    tab.click(OPEN + "textarea")
    tab.write(json.dumps(request, indent=3))
    command = tab.ask(f"() => document.querySelector('{OPEN}.command').textContent")
    assert "\n" not in command
    url, *headers, flag, body = words_of(command)
    assert (headers, flag) == (["-H", "Content-Type: application/json"], "--data-raw")
    assert json.loads(body) == request
    answer = server.client.post(url, content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["outputs"][0]["data"] == request["inputs"][0]["data"]
    allowed = {"origin": server.url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    tab.call("Browser.grantPermissions", **allowed)
    tab.click(OPEN + ".copy")
    tab.until(lambda: tab.text(OPEN + ".copied") == "Copied")
    assert tab.ask("() => navigator.clipboard.readText()") == command


def test_half_precision_is_tried_from_python(tab: Tab, server: Server) -> None:
    shown(tab, server, "half")
    assert tab.text(OPEN + ".no-form") == "Input 'in' is FP16, which has no JSON form."
    assert tab.ask(f"() => document.querySelector('{OPEN}form').checkVisibility()") is False
    snippet = tab.ask(f"() => document.querySelector('{OPEN}.command').textContent")
    ran = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, check=True)
    assert ran.stdout == "[0.]\n"


def test_with_a_key_it_is_asked_for_and_kept_nowhere(tab: Tab, locked: Server) -> None:
    tab.open(locked.url + "/")
    tab.until(lambda: tab.text("#state") == "locked")
    assert "serving.test" not in tab.ask("() => document.documentElement.outerHTML")
    assert tab.ask("() => document.activeElement.id") == "key"
    for key in ("wrong", KEY):
        tab.write(key)
        tab.press("Enter")
        if key == "wrong":
            tab.until(lambda: tab.text("#refused") == "This is not the key.")
    tab.until(lambda: tab.count("details") == 2)
    tab.click(SEND)
    tab.until(lambda: tab.text(OUTCOME).startswith("Answered"))
    assert tab.text("#locked")
    kept = "() => [document.documentElement.outerHTML, document.cookie, document.getElementById('key').value]"
    assert not [text for text in tab.ask(kept) if KEY in text]
    assert tab.ask("() => [localStorage.length, sessionStorage.length]") == [0, 0]
    command = tab.ask(f"() => document.querySelector('{OPEN}.command').textContent")
    assert words_of(command)[1:3] == ["-H", f"X-API-Key: {KEY}"]
    assert {line.split(" http")[0] for line in tab.console} == {
        "Failed to load resource: the server responded with a status of 401 (Unauthorized)"
    }
    tab.open(locked.url + "/?again")
    tab.until(lambda: tab.text("#state") == "locked")


def test_the_python_for_a_locked_server_takes_the_key_from_outside(tab: Tab, locked: Server) -> None:
    tab.open(locked.url + "/?python")
    tab.until(lambda: tab.text("#state") == "locked")
    tab.write(KEY)
    tab.press("Enter")
    tab.until(lambda: tab.count("details") == 2)
    snippet = tab.ask("() => document.querySelectorAll('.command')[1].textContent")
    assert KEY not in snippet
    assert 'os.environ["API_KEY"]' in snippet
    compile(snippet, "snippet", "exec")


def test_a_server_that_ends_is_told_of(tab: Tab, zoo: dict[str, models.Written], tmp_path: Path) -> None:
    with running(tmp_path, [entry("classifier", zoo["classifier"])]) as server:
        shown(tab, server)
    tab.until(lambda: tab.text("#state") == "does not answer")
    tab.click(SEND)
    tab.until(lambda: tab.text(OUTCOME) == "The server does not answer")


def test_what_is_written_outlives_a_change_of_other_models(
    tab: Tab, zoo: dict[str, models.Written], tmp_path: Path
) -> None:
    with running(tmp_path, [entry("classifier", zoo["classifier"])]) as server:
        shown(tab, server)
        tab.click(OPEN + "textarea")
        tab.write("mine")
        more = [entry(name, zoo[name]) for name in ("classifier", "long")]
        server.change({**server.tree, "generation": "a2", "models": more})
        tab.until(lambda: tab.count("details") == 2)
        assert tab.ask("() => document.activeElement.value") == "mine"


def test_without_scripts_it_says_what_it_is(tab: Tab, server: Server) -> None:
    tab.scripts(False)
    try:
        tab.open(server.url + "/")
        assert "Open Inference Protocol v2" in tab.text("main")
        assert tab.count("noscript a[href='v2']") == 1
        tab.look(width=320)
        assert tab.ask(OUTSIDE) == []
    finally:
        tab.scripts(True)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scene", ["answered", "refused", "python", "hostile", "locked"])
def test_anyone_can_read_it(
    tab: Tab, server: Server, locked: Server, scene: str, width: int, dark: bool
) -> None:
    tab.look(width=width, dark=dark)
    if scene == "locked":
        tab.open(locked.url + "/")
        tab.until(lambda: tab.text("#state") == "locked")
        tab.write("wrong")
        tab.press("Enter")
        tab.until(lambda: tab.text("#refused"))
    else:
        shown(tab, server, {"python": "half", "hostile": HOSTILE}.get(scene, "classifier"))
        if scene != "python":
            tab.click(OPEN + "textarea")
            tab.write("{" if scene == "refused" else tab.ask("() => document.activeElement.value"))
            tab.click(SEND)
            tab.until(lambda: tab.text(OUTCOME)[:3] in ("Ans", "400"))
    assert tab.ask(OUTSIDE) == []
    axe = modules(Path(__file__).parent) / "axe-core" / "axe.min.js"
    tab.call("Runtime.evaluate", expression=axe.read_text())
    assert tab.ask(AXE) == []
