"""What kind of failure the engine's printed text describes. Unknown wording is a plain EngineError."""

from __future__ import annotations

from bedplate.engine.engine_lock import told_locks
from bedplate.errors import ApplyFailed, EngineError, Interrupted, Locked, StateError

_CREDENTIALS = (
    "credentials are taken from where their own tools look, such as AWS_PROFILE or AWS_ACCESS_KEY_ID"
)
_UNREACHABLE = (
    ("NoSuchBucket", "its bucket does not exist", "make the bucket, or mend state.backend in the spec"),
    (
        "bucket doesn't exist",
        "its bucket does not exist",
        "make the bucket, or mend state.backend in the spec",
    ),
    ("ContainerNotFound", "its container does not exist", "make it, or mend state.backend in the spec"),
    ("get credentials", "no credentials for it were found", _CREDENTIALS),
    (
        "missing google credentials",
        "no credentials for it were found",
        "run `gcloud auth application-default login`",
    ),
    ("AccountName is required", "no storage account is named", "export AZURE_STORAGE_ACCOUNT=..."),
    ("InvalidAccessKeyId", "its credentials are not known there", _CREDENTIALS),
    ("SignatureDoesNotMatch", "its credentials are wrong", _CREDENTIALS),
    ("ExpiredToken", "its credentials have expired", "log in again"),
    (
        "AccessDenied",
        "its credentials do not permit that",
        "the engine lists, reads, writes and deletes objects there",
    ),
    ("Invalid region", "no region is named", "export AWS_REGION=..., or add ?region=... to state.backend"),
    ("Missing Region", "no region is named", "export AWS_REGION=..., or add ?region=... to state.backend"),
    ("connection refused", "nothing listens there", "start it, or mend the endpoint in state.backend"),
    ("no such host", "there is no such host", "mend state.backend in the spec, or look at the network"),
    ("i/o timeout", "nothing answers there", "look at the network, or mend the endpoint in state.backend"),
    ("unknown query parameter", "its address has a parameter that is none", "mend state.backend in the spec"),
    ("unable to open", "its address cannot be opened", "mend state.backend in the spec"),
    (
        "PULUMI_ACCESS_TOKEN must be set",
        "its address is taken for Pulumi Cloud's, and there is no token",
        "export PULUMI_ACCESS_TOKEN=..., or mend state.backend in the spec",
    ),
)
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
            hint="restore .bedplate/secrets/passphrase, or the PULUMI_CONFIG_PASSPHRASE that made the state",
        )
    for words, reason, hint in _UNREACHABLE:
        if words in text:
            return StateError(f"{what}: the state cannot be reached: {reason}", hint=hint)
    if any(words in text for words in _STATE):
        return StateError(f"{what}: the state cannot be read: {detail}")
    if "update canceled" in text or "canceled" in detail:
        return Interrupted(f"{what}: interrupted; what was done is recorded", hint="run the command again")
    return ApplyFailed(f"{what}: {detail or 'the engine failed without a word'}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
