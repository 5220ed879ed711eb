"""Reading a JSON object member by member: each by name and type, and nothing may be left over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class ConfigError(ValueError):
    """The configuration file is missing, unreadable or not what the server expects."""


class Table:
    """A JSON object whose members are taken by name and type; what is left over is an error."""

    def __init__(self, value: object, at: str) -> None:
        if not isinstance(value, dict):
            raise ConfigError(f"{at or 'the configuration'}: expected an object")
        self._members: dict[str, object] = dict(value)
        self._at = at

    def _path(self, name: str) -> str:
        return f"{self._at}.{name}" if self._at else name

    def take(self, name: str) -> object:
        if name not in self._members:
            raise ConfigError(f"{self._path(name)}: missing")
        return self._members.pop(name)

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{self._path(name)}: expected a non-empty string")
        return value

    def whole(self, name: str, least: int) -> int:
        value = self.take(name)
        if type(value) is not int or value < least:
            raise ConfigError(f"{self._path(name)}: expected a whole number of at least {least}")
        return value

    def seconds(self, name: str) -> float:
        value = self.take(name)
        if type(value) not in (int, float) or not 0 < value < float("inf"):  # type: ignore[operator]
            raise ConfigError(f"{self._path(name)}: expected a positive number of seconds")
        return float(value)  # type: ignore[arg-type]

    def share(self, name: str) -> float:
        value = self.take(name)
        if type(value) not in (int, float) or not 0 < value <= 1:  # type: ignore[operator]
            raise ConfigError(f"{self._path(name)}: expected a share over 0, at most 1")
        return float(value)  # type: ignore[arg-type]

    def ratio(self, name: str) -> float:
        value = self.take(name)
        if type(value) not in (int, float) or not 0 <= value <= 1:  # type: ignore[operator]
            raise ConfigError(f"{self._path(name)}: expected a number from 0 to 1")
        return float(value)  # type: ignore[arg-type]

    def list(self, name: str) -> Sequence[object]:
        value = self.take(name)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ConfigError(f"{self._path(name)}: expected a list")
        return value

    def table(self, name: str) -> Table:
        return Table(self.take(name), self._path(name))

    def optional(self, name: str, read: Callable[[str], T]) -> T | None:
        if self._members.get(name) is None:
            self._members.pop(name, None)
            return None
        return read(name)

    def close(self) -> None:
        if self._members:
            raise ConfigError(f"{self._path(sorted(self._members)[0])}: unknown member")
