"""Why a backend cannot be used, by what its clients print through the engine, and what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """Told by any of `words`."""

    words: tuple[str, ...]
    message: str
    cure: str


_MEND = "mend state.backend in the spec"
_CREDENTIALS = "they are taken from where its own tools look, such as AWS_PROFILE or AWS_ACCESS_KEY_ID"
_CAUSES = (
    Cause(
        ("NoSuchBucket", "bucket doesn't exist"), "its bucket does not exist", f"make the bucket, or {_MEND}"
    ),
    Cause(("ContainerNotFound",), "its container does not exist", f"make the container, or {_MEND}"),
    Cause(("get credentials",), "no credentials for it were found", _CREDENTIALS),
    Cause(
        ("missing google credentials",),
        "no credentials for it were found",
        "run `gcloud auth application-default login`",
    ),
    Cause(("AccountName is required",), "no storage account is named", "export AZURE_STORAGE_ACCOUNT=..."),
    Cause(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch"), "its credentials are not known there", _CREDENTIALS
    ),
    Cause(("ExpiredToken",), "its credentials have expired", "log in there again"),
    Cause(
        ("AccessDenied",), "its credentials are not enough", "permit to list, read, write and delete there"
    ),
    Cause(
        ("Invalid region", "Missing Region"),
        "no region is named",
        "export AWS_REGION=..., or write ?region=... after state.backend",
    ),
    Cause(("connection refused",), "nothing listens there", f"start it, or {_MEND}"),
    Cause(("no such host",), "there is no such host", f"look at the network, or {_MEND}"),
    Cause(("i/o timeout",), "nothing answers there", f"look at the network, or {_MEND}"),
    Cause(("unknown query parameter",), "its address has a parameter that is none", _MEND),
    Cause(("unable to open",), "its address cannot be opened", _MEND),
    Cause(
        ("PULUMI_ACCESS_TOKEN must be set",),
        "its address is taken for Pulumi Cloud's, and there is no token",
        f"export PULUMI_ACCESS_TOKEN=..., or {_MEND}",
    ),
)


def cause_of(text: str) -> Cause | None:
    """The first cause that `text` tells of."""
    return next((cause for cause in _CAUSES if any(words in text for words in cause.words)), None)
