from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from bedplate.engine import redact as module
from bedplate.engine.redact import redact, remember, reveals

VALUE = 'p"a\\ss w/ö?rd'


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    before = set(module._forms)
    yield
    module._forms.clear()
    module._forms.update(before)


@pytest.mark.parametrize(
    "written",
    [
        VALUE,
        json.dumps({"k": VALUE}),
        json.dumps({"k": VALUE}, ensure_ascii=False),
        repr([VALUE]),
        f"postgres://u:{quote(VALUE, safe='')}@host/",
        f"Basic {base64.b64encode(VALUE.encode()).decode()}",
    ],
)
def test_a_known_value_is_masked_however_it_is_written(written: str) -> None:
    assert redact(written) == written
    remember(VALUE)
    assert reveals(written)
    masked = redact(written)
    assert "[secret]" in masked
    assert not reveals(masked)


def test_every_line_of_a_long_value_is_masked() -> None:
    remember("-----BEGIN KEY-----\nAAAA\n-----END KEY-----")
    assert redact("found AAAA there") == "found [secret] there"


def test_the_longest_goes_first() -> None:
    remember("hunter")
    remember("hunter2")
    assert redact("hunter2 and hunter") == "[secret] and [secret]"


def test_nothing_is_masked_by_an_empty_value() -> None:
    remember("")
    assert redact("text") == "text"
