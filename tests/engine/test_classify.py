"""The engine's words, as it printed them, and the error each means; new words are a plain failure."""

from __future__ import annotations

import pytest

from bedplate.engine.classify import classify
from bedplate.errors import ApplyFailed, EngineError, Interrupted, Locked, StateError

LOCKED = """error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with `pulumi cancel`.
  file:///p/.bedplate/state/.pulumi/locks/organization/flights-serving/local/1.json: created by ada@box (pid 77) at 2026-01-01T00:00:00Z
"""  # noqa: E501

CONFLICT = "error: [409] Conflict: Another update is currently in progress."

RECORDED = [
    (LOCKED, Locked),
    (CONFLICT, Locked),
    ('error: unable to open bucket "s4://x": no driver', StateError),
    ("error: incorrect passphrase", EngineError),
    ('error: constructing secrets manager of type "passphrase": incorrect passphrase', EngineError),
    ("error: passphrase must be set with PULUMI_CONFIG_PASSPHRASE", EngineError),
    ("error: could not deserialize deployment: unexpected end of JSON input", StateError),
    ("error: update canceled", Interrupted),
    ("error: something nobody has read before", ApplyFailed),
    ("", ApplyFailed),
]


@pytest.mark.parametrize(("text", "expected"), RECORDED)
def test_recorded_output_has_its_class(text: str, expected: type[EngineError]) -> None:
    assert type(classify(text, what="stack serving of local")) is expected


def test_lock_names_its_holder() -> None:
    assert "ada@box, pid 77" in classify(LOCKED, what="stack serving of local").message


def test_what_a_service_locks_only_the_engine_can_cancel() -> None:
    assert "pulumi cancel" in str(classify(CONFLICT, what="stack x").hint)
    assert "bedplate recover" in str(classify(LOCKED, what="stack x").hint)


def test_unknown_words_are_passed_on() -> None:
    text = next(text for text, _ in RECORDED if "nobody has read" in text)
    assert "nobody has read" in classify(text, what="stack x").message
