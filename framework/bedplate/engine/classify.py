"""What kind of failure the engine's printed text describes. Unknown wording is a plain EngineError."""

from __future__ import annotations

from bedplate.engine.engine_lock import told_locks
from bedplate.engine.unreachable import cause_of
from bedplate.errors import ApplyFailed, EngineError, Interrupted, Locked, StateError

_RECOVER = "wait for it to end; if it was killed, run `bedplate recover`"
_CANCEL = "wait for it to end; if it was killed, run `pulumi cancel`"
_STATE = (
    "unmarshalling checkpoint",
    "could not load deployment",
    "loading checkpoint",
    "unexpected end of JSON input",
    "snapshot integrity failure",
    "unsupported deployment version",
    "could not deserialize deployment",
    "failed to load checkpoint",
)
_PASSPHRASE = (
    "incorrect passphrase",
    "passphrase must be set",
    "failed to decrypt",
    "bad value",
    "message authentication failed",
)


def classify(text: str, *, what: str) -> EngineError:
    """The error for an engine run that failed before or without any resource's own error.

    `what` names the run in the message, such as "stack serving of local".
    """
    first = next((line for line in text.splitlines() if line.startswith("error:")), "")
    detail = first.removeprefix("error:").strip() or _last_line(text)
    locks = told_locks(text)
    if locks or "Another update is currently in progress" in text:
        by = f" by {locks[0]}" if locks else ""
        return Locked(f"{what} is locked{by}", hint=_RECOVER if locks else _CANCEL)
    if any(words in text for words in _PASSPHRASE):
        return EngineError(
            f"{what}: cannot decrypt the state: the passphrase is wrong or missing",
            hint="export the PULUMI_CONFIG_PASSPHRASE that it was made with; "
            "that of a state in .bedplate/state lies in .bedplate/secrets/passphrase",
        )
    cause = cause_of(text)
    if cause:
        return StateError(f"{what}: the state cannot be reached: {cause.message}", hint=cause.cure)
    if any(words in text for words in _STATE):
        return StateError(f"{what}: the state cannot be read: {detail}")
    if "update canceled" in text or "canceled" in detail:
        return Interrupted(f"{what}: interrupted; what was done is recorded", hint="run the command again")
    return ApplyFailed(f"{what}: {detail or 'the engine failed without a word'}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
