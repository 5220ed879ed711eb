"""What a worker knows of itself: which models are loaded, and whether it should get requests."""

from __future__ import annotations

from collections.abc import Mapping

from bedplate.runtime.server.config import Config
from bedplate.runtime.server.model import Model


class Readiness:
    """Changed by the worker's life only; read by everything that answers."""

    def __init__(self, config: Config) -> None:
        self._known = tuple((model.name, model.version) for model in config.models)
        # No version in a request means the one that is listed last.
        self._latest = dict(self._known)
        self._loaded: Mapping[tuple[str, str], Model] = {}
        self._ending = False

    @property
    def ready(self) -> bool:
        return len(self._loaded) == len(self._known) and not self._ending

    @property
    def known(self) -> tuple[tuple[str, str], ...]:
        return self._known

    @property
    def models(self) -> Mapping[tuple[str, str], Model]:
        """The loaded models; one that cannot be loaded does not take the others away."""
        return self._loaded

    def find(self, name: str, version: str | None) -> tuple[str, str] | None:
        """The model and version that a path means, None if there is none."""
        pair = (name, version if version is not None else self._latest.get(name, ""))
        return pair if pair in self._known else None

    def unknown(self, name: str, version: str | None) -> str:
        """What a client is told that means none of them."""
        if version is None or not self.versions(name):
            return f"unknown model {name[:80]!r}"
        return f"unknown version {version[:80]!r} of model {name!r}"

    def versions(self, name: str) -> list[str]:
        return [version for known, version in self._known if known == name]

    def serves(self, pair: tuple[str, str]) -> bool:
        """Whether a model should be asked."""
        return pair in self._loaded and not self._ending

    def loaded(self, models: Mapping[tuple[str, str], Model]) -> None:
        self._loaded = models

    def ending(self) -> None:
        """The service goes away: not ready from now on, though what is asked is still answered."""
        self._ending = True
