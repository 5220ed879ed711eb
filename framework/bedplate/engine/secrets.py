"""Secrets: named in the graph, read where the graph says, known to the state by a keyed fingerprint only."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from bedplate.engine.redact import remember
from bedplate.errors import EngineError
from bedplate.graph import Json
from bedplate.workspace import Workspace

FINGERPRINT_KEY = "fingerprint.key"
PASSPHRASE = "passphrase"  # noqa: S105 - a file's name
PASSPHRASE_VARIABLE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 - the name of a variable
PASSPHRASE_FILE_VARIABLE = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105 - the name of a variable
FINGERPRINT_VARIABLE = "BEDPLATE_FINGERPRINT_KEY"
_SCRYPT_COST = 2**14  # 16 MiB, some hundredths of a second


def read_secret(name: str, source: Mapping[str, str]) -> str:
    """The value of secret `name`, from now on masked in every text. Raises EngineError when it is not set."""
    match dict(source):
        case {"env": variable, **rest} if not rest:
            value = os.environ.get(variable, "")
            if not value:
                raise EngineError(
                    f"the secret {name} is not set: its source is the environment variable {variable}",
                    hint=f"set it where the command runs: export {variable}=...",
                )
            remember(value)
            return value
    raise EngineError(
        f"the secret {name} has a source that cannot be read: {', '.join(sorted(source)) or 'none'}",
        hint="sources are: env",
    )


def secret_value(reference: Mapping[str, Json]) -> str:
    """The value behind a reference as resources carry it: `{"secret", "source", "fingerprint"}`."""
    source = reference["source"]
    if not isinstance(source, dict):
        raise EngineError(f"the secret {reference['secret']} has no source")
    return read_secret(str(reference["secret"]), {key: str(value) for key, value in source.items()})


def references(value: Json) -> list[Mapping[str, Json]]:
    """Every reference to a secret inside a resource's properties."""
    if isinstance(value, dict):
        if value.keys() == {"secret", "source", "fingerprint"}:
            return [value]
        return [found for item in value.values() for found in references(item)]
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    return []


def known_values(properties: Mapping[str, Json]) -> list[str]:
    """The values, as far as they are set here, of the secrets that a resource's properties refer to."""
    sources = [found["source"] for value in properties.values() for found in references(value)]
    variables = [str(source["env"]) for source in sources if isinstance(source, dict) and "env" in source]
    return [os.environ[variable] for variable in variables if os.environ.get(variable)]


def reference(key: bytes, name: str, source: Mapping[str, str]) -> dict[str, Json]:
    """What a resource gets in place of the value. Raises EngineError when the secret is not set."""
    value = read_secret(name, source)
    return {"secret": name, "source": dict(source), "fingerprint": fingerprint(key, name, value)}


def fingerprints(key: bytes, sources: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The fingerprint of every secret of a graph, by name. Raises EngineError when one is not set."""
    return {name: fingerprint(key, name, read_secret(name, source)) for name, source in sources.items()}


def fingerprint(key: bytes, name: str, value: str) -> str:
    """A keyed hash, as hexadecimal: equal values under one name are seen to be equal, and nothing else is."""
    return hmac.new(key, f"{name}\0{value}".encode(), hashlib.sha256).hexdigest()


def fingerprint_key(workspace: Workspace, environment: Mapping[str, str]) -> bytes:
    """The key of fingerprints, for an engine that runs in `environment`.

    Of a state that a team shares everyone must have the same one: it is made from the team's passphrase, or
    given in BEDPLATE_FINGERPRINT_KEY. Otherwise it is a file of this project. Raises EngineError.
    """
    given = environment.get(FINGERPRINT_VARIABLE)
    if given:
        return given.encode()
    shared = _shared_passphrase(workspace, environment)
    if shared is not None:
        return _derived(shared)
    key_file = workspace.secrets / FINGERPRINT_KEY
    create_once(key_file, secrets.token_hex(32))
    return key_file.read_bytes().strip()


@cache
def _derived(passphrase: bytes) -> bytes:
    """Once for all stacks: to be slow is what it is for."""
    return hashlib.scrypt(passphrase, salt=FINGERPRINT_KEY.encode(), n=_SCRYPT_COST, r=8, p=1)


def _shared_passphrase(workspace: Workspace, environment: Mapping[str, str]) -> bytes | None:
    if environment.get(PASSPHRASE_VARIABLE):
        return environment[PASSPHRASE_VARIABLE].encode()
    named = environment.get(PASSPHRASE_FILE_VARIABLE)
    if not named or Path(named) == workspace.secrets / PASSPHRASE:
        return None
    try:
        return Path(named).read_bytes().strip()
    except OSError as error:
        raise EngineError(
            f"the passphrase cannot be read from {named}: {error.strerror}",
            hint=f"{PASSPHRASE_FILE_VARIABLE} names that file",
        ) from error


def ensure_passphrase(workspace: Workspace) -> bool:
    """Makes sure that the passphrase of the project's states exists; True when it was created just now."""
    return create_once(workspace.secrets / PASSPHRASE, secrets.token_urlsafe(32))


def create_once(path: Path, content: str) -> bool:
    """Creates a file that only its owner may read, unless it is there; of two at once one wins."""
    if path.exists():
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    return True
