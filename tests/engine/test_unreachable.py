"""What the clients of backends were seen to print."""

from __future__ import annotations

import pytest

from bedplate.engine.classify import classify
from bedplate.engine.unreachable import cause_of

AT_META = 'error: read ".pulumi/meta.yaml": blob (code=Unknown): operation error S3: GetObject, '
TEXTS = [
    (
        "error: error listing stacks: could not list bucket: blob (code=NotFound): operation error S3: ListObjectsV2, "
        "https response error StatusCode: 404, RequestID: Pm, HostID: 9G/0=, NoSuchBucket: The specified bucket does "
        "not exist",
        "its bucket does not exist",
    ),
    (
        f"{AT_META}get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found, "
        "operation error ec2imds: GetMetadata, access disabled to EC2 IMDS via client option",
        "no credentials for it were found",
    ),
    (
        f"{AT_META}https response error StatusCode: 403, RequestID: fG, HostID: 9G=, api error InvalidAccessKeyId: "
        "The AWS Access Key Id you provided does not exist in our records.",
        "its credentials are not known there",
    ),
    (
        f"{AT_META}resolve auth scheme: resolve endpoint: endpoint rule error, Invalid region: region was not a valid "
        "DNS name.",
        "no region is named",
    ),
    (
        f"{AT_META}exceeded maximum number of attempts, 3, https response error StatusCode: 0, RequestID: , HostID: , "
        'request send failed, Get "http://127.0.0.1:5998/states/.pulumi/meta.yaml?x-id=GetObject": dial tcp '
        "127.0.0.1:5998: connect: connection refused",
        "nothing listens there",
    ),
    (
        'error: unable to open bucket "s3://x?what=1": open bucket s3://x?what=1: unknown query parameter "what"',
        "its address has a parameter that is none",
    ),
    (
        "error: missing google credentials: unable to find gcp credentials: google: could not find default "
        "credentials.",
        "no credentials for it were found",
    ),
    (
        'error: unable to open bucket "azblob://states": azureblob: Options.AccountName is required',
        "no storage account is named",
    ),
    (
        "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions",
        "its address is taken for Pulumi Cloud's, and there is no token",
    ),
]


@pytest.mark.parametrize(("text", "message"), TEXTS)
def test_a_backend_that_cannot_be_used_says_why_and_what_to_do(text: str, message: str) -> None:
    cause = cause_of(text)
    assert cause is not None
    assert cause.message == message
    told = classify(text, what="stack x")
    assert told.message == f"stack x: the state cannot be reached: {message}"
    assert told.hint == cause.cure


def test_other_words_have_no_cause_here() -> None:
    assert cause_of("error: no stack named 'local' found") is None
