"""The real Chromium, without a window: a page is loaded, its scripts run, and what they find is read."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
ANSWER_WITHIN_S = 120
VIRTUAL_MS = 60_000
_PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><title>looked at</title></head>
<body>{body}<pre id="answer"></pre>{scripts}
<script>
  const given = {given};
  const show = (value) => {{ document.getElementById("answer").textContent = JSON.stringify(value); }};
  (async () => {{ {script} }})().then(show, (error) => show({{failed: String(error)}}));
</script></body></html>
"""
_ANSWER = re.compile(r'<pre id="answer">(.*?)</pre>', re.DOTALL)


@dataclass(frozen=True)
class Chromium:
    """`scratch` is where its profile and its pages lie."""

    program: str
    scratch: Path

    @classmethod
    def found(cls, scratch: Path) -> Chromium:
        program = next(filter(None, map(shutil.which, NAMES)), None)
        assert program, "there is no Chromium here: run tests/browser/install"
        return cls(program, scratch)

    def ask(
        self,
        script: str,
        given: object,
        *,
        body: str = "",
        sources: tuple[Path, ...] = (),
        dark: bool = False,
    ) -> Any:
        """What `script`, the body of an async function, returns about `given` and `body`. `dark`: the reader's wish."""
        scripts = "".join(f'<script src="{source.as_uri()}"></script>' for source in sources)
        data = json.dumps(given).replace("<", "\\u003c")
        page = self.scratch / "page.html"
        page.write_text(_PAGE.format(body=body, scripts=scripts, given=data, script=script), encoding="utf-8")
        shown = self._run(
            "--dump-dom", f"--blink-settings=preferredColorScheme={0 if dark else 1}", page.as_uri()
        )
        answer = _ANSWER.search(shown)
        assert answer is not None, f"no answer: {shown[-2000:]}"
        assert answer[1], f"the page gave no answer: {shown[-2000:]}"
        value = json.loads(html.unescape(answer[1]))
        assert not (isinstance(value, dict) and "failed" in value), value["failed"]
        return value

    def options(self, profile: Path) -> list[str]:
        options = [
            "--headless",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
        ]
        if os.geteuid() == 0:  # who may do everything has no sandbox to go into
            options.append("--no-sandbox")
        return [*options, f"--user-data-dir={profile}"]

    def _run(self, *words: str) -> str:
        options = [*self.options(self.scratch / "profile"), f"--virtual-time-budget={VIRTUAL_MS}"]
        command = [self.program, *options, *words]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_WITHIN_S, check=True)
        return ran.stdout
