"""Pulumi.<environment>.yaml says of the encryption what the state says, and is else the engine's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bedplate.engine.stack_settings import forget_salt, provider_of, restore_encryption

BY_PASSPHRASE = {"type": "passphrase", "state": {"salt": "v1:a:v1:b:c"}}
BY_SERVICE = {"type": "cloud", "state": {"url": "awskms://alias/x?region=eu", "encryptedkey": "a2V5"}}
SERVICE_SETTINGS = {"secretsprovider": "awskms://alias/x?region=eu", "encryptedkey": "a2V5"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Pulumi.prod.yaml"


@pytest.mark.parametrize(
    ("encryption", "before", "after"),
    [
        (BY_PASSPHRASE, None, {"encryptionsalt": "v1:a:v1:b:c"}),
        (BY_PASSPHRASE, {"config": {"x:y": "z"}}, {"config": {"x:y": "z"}, "encryptionsalt": "v1:a:v1:b:c"}),
        (BY_PASSPHRASE, {"encryptionsalt": "v1:old"}, {"encryptionsalt": "v1:a:v1:b:c"}),
        (BY_PASSPHRASE, SERVICE_SETTINGS, {"encryptionsalt": "v1:a:v1:b:c"}),
        (BY_SERVICE, None, SERVICE_SETTINGS),
        (BY_SERVICE, {"encryptionsalt": "v1:old"}, SERVICE_SETTINGS),
        (BY_SERVICE, {**SERVICE_SETTINGS, "secretsprovider": "awskms://alias/x?profile=ada"}, None),
        ({"type": "service", "state": {}}, {"encryptionsalt": "v1:old"}, None),
        ({}, {"encryptionsalt": "v1:old"}, None),
        ({}, None, None),
    ],
)
def test_the_state_rules(
    path: Path, encryption: Mapping[str, Any], before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    """`after` None: it is left alone."""
    if before is not None:
        path.write_text(yaml.safe_dump(before) + "# a comment\n")
    content = path.read_text() if before is not None else None
    for _ in range(2):
        restore_encryption(path, encryption)
        if after is not None:
            assert yaml.safe_load(path.read_text()) == after
        else:
            assert (path.read_text() if path.exists() else None) == content


def test_what_encrypts_is_named_as_the_spec_names_it() -> None:
    assert provider_of(BY_PASSPHRASE) == "passphrase"
    assert provider_of(BY_SERVICE) == "awskms://alias/x?region=eu"
    assert provider_of({}) is None


def test_the_salt_of_a_state_that_is_gone_is_forgotten_and_nothing_else(path: Path) -> None:
    forget_salt(path)
    assert not path.exists()
    path.write_text("encryptionsalt: v1:old\nconfig: {x: y}\n")
    forget_salt(path)
    assert yaml.safe_load(path.read_text()) == {"config": {"x": "y"}}
