from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.backend import Backend


@pytest.mark.parametrize(
    ("backend", "is_remote", "encrypts_with"),
    [
        (Backend(), False, "passphrase"),
        (Backend("file:///srv/state"), False, "passphrase"),
        (Backend("s3://states?endpoint=127.0.0.1:9000"), True, "passphrase"),
        (Backend("s3://states", "awskms://alias/bedplate"), True, "awskms://alias/bedplate"),
        (Backend("gs://states", "passphrase"), True, "passphrase"),
        (Backend("https://api.pulumi.com"), True, None),
        (Backend("https://api.pulumi.com", "passphrase"), True, "passphrase"),
    ],
)
def test_what_an_address_means(backend: Backend, is_remote: bool, encrypts_with: str | None) -> None:
    assert backend.is_remote is is_remote
    assert backend.encrypts_with == encrypts_with
    assert backend.takes_a_passphrase is (encrypts_with == "passphrase")


def test_a_folder_may_have_any_name() -> None:
    assert Backend(Path("/srv/a b").as_uri()).folder == Path("/srv/a b")
    assert Backend("s3://states").folder is None
