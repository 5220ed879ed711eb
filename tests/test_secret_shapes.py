"""What the keys of secrets are called: one list, for what is refused and for what is masked."""

from __future__ import annotations

import pytest

from bedplate.diagnostics import Diagnostic, Span
from bedplate.report import as_text
from bedplate.secret_shapes import names_a_secret

CALLED = [
    "pass", "PASSWORD", "passwd", "passphrase", "client_secret", "HUB_TOKEN", "api_key", "apikey", "API-KEY",
    "AWS_ACCESS_KEY", "accesskey", "access-key", "private_key", "PRIVATEKEY", "credential", "db-credentials",
]  # fmt: skip
OTHERS = ["MAX_TOKENS", "passport", "keys", "tokenizer", "secretary", "bypass_rate", "key"]


def masked(key: str) -> bool:
    span = Span("f", 1, 1, 2, f"{key}: hunter2")
    report = as_text([Diagnostic("BP020", "unknown key", (), span)], colour=False, width=80)
    return "hunter2" not in report


@pytest.mark.parametrize("key", CALLED)
def test_what_is_refused_beside_a_key_is_masked_beside_it(key: str) -> None:
    assert names_a_secret(key)
    assert masked(key)


@pytest.mark.parametrize("key", OTHERS)
def test_other_keys_have_values_that_are_shown(key: str) -> None:
    assert not names_a_secret(key)
    assert not masked(key)
