"""Pulumi.<environment>.yaml, in which the engine keeps how the secrets of a stack's state are encrypted.

The state itself says it too, and rules: in a clone that has no such file the engine would go by another
passphrase without a word, and encrypt by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bedplate.atomic import write_atomically

SALT, KEY, PROVIDER = "encryptionsalt", "encryptedkey", "secretsprovider"


def restore_encryption(path: Path, encryption: Mapping[str, Any]) -> None:
    """Has the file say what the state says. How a key service is reached may differ from clone to clone.

    `encryption`: the state's `secrets_providers`, empty where it has none.
    """
    wanted = _settings_of(encryption)
    settings = _read(path)
    if wanted and any(settings.get(key) != wanted.get(key) for key in (SALT, KEY)):
        others = {key: value for key, value in settings.items() if key not in (SALT, KEY, PROVIDER)}
        _write(path, {**others, **wanted})


def forget_salt(path: Path) -> None:
    """The salt of a state that is gone belongs to nothing, and the engine would go by it."""
    settings = _read(path)
    if settings.pop(SALT, None) is not None:
        _write(path, settings)


def provider_of(encryption: Mapping[str, Any]) -> str | None:
    """What encrypts the state, as `stack init` is told it; None where the state does not say."""
    if encryption.get("type") == "cloud":
        return str(encryption["state"]["url"])
    return encryption.get("type")


def _settings_of(encryption: Mapping[str, Any]) -> dict[str, str]:
    match encryption:
        case {"type": "passphrase", "state": {"salt": salt}}:
            return {SALT: salt}
        case {"type": "cloud", "state": {"url": url, "encryptedkey": key}}:
            return {PROVIDER: url, KEY: key}
    return {}


def _read(path: Path) -> dict[str, Any]:
    try:
        return yaml.safe_load(path.read_bytes()) or {}
    except FileNotFoundError:
        return {}


def _write(path: Path, settings: Mapping[str, Any]) -> None:
    write_atomically(path, yaml.safe_dump(dict(settings)) if settings else "")
