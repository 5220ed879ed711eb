"""Where the states of an environment lie, in Pulumi's own words: addresses are passed on as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

PASSPHRASE_PROVIDER = "passphrase"  # noqa: S105 - a word of Pulumi's


@dataclass(frozen=True, slots=True)
class Backend:
    """`url` None: files in the project's .bedplate/state. `secrets_provider` None: a passphrase."""

    url: str | None = None
    secrets_provider: str | None = None

    @property
    def folder(self) -> Path | None:
        """The folder that a file backend's address names; None for the project's own, and for other kinds."""
        parts = urlsplit(self.url or "")
        return Path(unquote(parts.path)) if parts.scheme == "file" else None

    @property
    def is_remote(self) -> bool:
        """Whether only the engine can look at the states."""
        return self.url is not None and self.folder is None

    @property
    def is_service(self) -> bool:
        """Whether it is Pulumi's own service, which keeps locks and encrypts secrets itself."""
        return urlsplit(self.url or "").scheme in ("http", "https")

    @property
    def encrypts_with(self) -> str | None:
        """The secrets provider of its stacks; None where the service decides."""
        return self.secrets_provider or (None if self.is_service else PASSPHRASE_PROVIDER)

    @property
    def takes_a_passphrase(self) -> bool:
        return self.encrypts_with == PASSPHRASE_PROVIDER
