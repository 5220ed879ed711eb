"""A tab of the real Chromium that a test works in as a reader does: by mouse and keyboard, over DevTools."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from websockets.sync.client import ClientConnection, connect

from tests.browser.chromium import Chromium

T = TypeVar("T")

WITHIN_S = 30.0
KEYS = {"Tab": 9, "Enter": 13, " ": 32}


@dataclass
class Tab:
    """One page. `console` holds what went wrong in it: errors, exceptions, breaches of its policy."""

    socket: ClientConnection
    session: str = ""
    console: list[str] = field(default_factory=list)
    _sent: int = 0

    def call(self, method: str, **parameters: Any) -> Any:
        """Ask DevTools; what happens meanwhile is noted."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": parameters}
        self.socket.send(json.dumps({**message, "sessionId": self.session} if self.session else message))
        while True:
            told = json.loads(self.socket.recv(WITHIN_S))
            if told.get("id") == self._sent:
                assert "error" not in told, (method, told["error"])
                return told["result"]
            self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        match told.get("method"), told.get("params"):
            case "Log.entryAdded", {"entry": entry} if entry["level"] in ("error", "warning"):
                self.console.append(f"{entry['text']} {entry.get('url', '')}".strip())
            case "Runtime.consoleAPICalled", {"type": "error" | "warning" as kind, "args": words}:
                self.console.append(f"{kind}: {[word.get('value') for word in words]}")
            case "Runtime.exceptionThrown", {"exceptionDetails": details}:
                self.console.append(details.get("exception", details).get("description", details["text"]))
            case "Audits.issueAdded", {"issue": issue} if issue["code"] == "ContentSecurityPolicyIssue":
                self.console.append(json.dumps(issue["details"]))

    def ask(self, script: str, *given: object) -> Any:
        """What a function of the page's language says: `(a, b) => ...`."""
        words = ", ".join(json.dumps(value) for value in given)
        said = self.call(
            "Runtime.evaluate", expression=f"({script})({words})", awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def until(self, found: Callable[[], T]) -> T:
        deadline = time.monotonic() + WITHIN_S
        while not (value := found()):
            assert time.monotonic() < deadline, (self.text("body"), self.console)
            time.sleep(0.02)
        return value

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.until(lambda: self.ask("() => document.readyState") == "complete")

    def count(self, selector: str) -> int:
        found: int = self.ask("(selector) => document.querySelectorAll(selector).length", selector)
        return found

    def text(self, selector: str) -> str:
        """What is to be seen of an element."""
        shown: str = self.ask("(selector) => document.querySelector(selector)?.innerText ?? ''", selector)
        return shown

    def click(self, selector: str) -> None:
        """With the mouse, in the element's middle."""
        at = self.ask(
            """(selector) => {
              const element = document.querySelector(selector);
              element.scrollIntoView({block: "center", behavior: "instant"});
              const box = element.getBoundingClientRect();
              return {x: box.left + box.width / 2, y: box.top + box.height / 2};
            }""",
            selector,
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def press(self, key: str, *, control: bool = False) -> None:
        code = {"key": key, "windowsVirtualKeyCode": KEYS[key], "modifiers": 2 if control else 0}
        text = {"Enter": "\r", " ": " "}.get(key, "")
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **code)
        self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def write(self, text: str) -> None:
        """In place of what the focused field holds."""
        self.ask("() => document.activeElement.select()")
        self.call("Input.insertText", text=text)

    def look(self, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        """The window's size, and which colours the reader likes."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def scripts(self, allowed: bool) -> None:
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def opened(chromium: Chromium) -> Iterator[Tab]:
    """A new browser with one empty tab."""
    profile = chromium.scratch / "driven"
    options = [*chromium.options(profile), "--remote-debugging-port=0", "about:blank"]
    with (chromium.scratch / "driven.log").open("wb") as log:
        process = subprocess.Popen(
            [chromium.program, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        with connect(_address(process, profile / "DevToolsActivePort"), max_size=None) as socket:
            tab = Tab(socket)
            target = tab.call("Target.createTarget", url="about:blank")["targetId"]
            tab.session = tab.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Audits"):
                tab.call(f"{domain}.enable")
            yield tab
            tab.session = ""
            tab.call("Browser.close")
    finally:
        try:
            process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], told: Path) -> str:
    deadline = time.monotonic() + WITHIN_S
    while not (told.exists() and len(lines := told.read_text().splitlines()) == 2):
        assert process.poll() is None, "Chromium ended at once"
        assert time.monotonic() < deadline, "Chromium does not come up"
        time.sleep(0.05)
    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
