"""bedplate.lock: what every clone must agree on, and no spec says. Tools write it; it is committed.

version: 1
identity: 1e7d52...                    whose state this is; made by the first `up`
shards:                                among how many stacks a section's entries are placed, by environment
  prod: {serving: 4}
models:                                which versions are pinned, by environment and key
  prod:
    delay: {version: ..., sha256: ..., size: ..., source: ..., signature: {...}}
images:                                what the registry has of servers' images, by environment and name
  prod:
    delay:
      digest: sha256:...
      models: [...]                     the sha256 of each that is baked in, where any is
      base: {name: ..., platform: ..., id: sha256:..., digests: [...]}      what it was built on
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar

import yaml

from bedplate.shards import MOST
from bedplate.signature import Signature

VERSION = 1
_HEADER = "# Written by bedplate, read by every clone: commit it.\n"

Value = TypeVar("Value")


class LockFileError(ValueError):
    """The text is no lock file of this version."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One version of a model. `source` is where it was found: a path, or the registry's own address of it."""

    version: str
    sha256: str
    size: int
    source: str
    signature: Signature | None = None


@dataclass(frozen=True, slots=True)
class BasePin:
    """What the name of a base meant on one platform: its configuration's digest, and those that registries have it by.

    Not every builder knows all of them.
    """

    name: str
    platform: str
    id: str
    digests: tuple[str, ...] = ()

    def moved_to(self, now: BasePin) -> bool:
        """Whether the same name means another image now."""
        named_alike = (self.name, self.platform) == (now.name, now.platform)
        return named_alike and not {self.id, *self.digests} & {now.id, *now.digests}


@dataclass(frozen=True, slots=True)
class ImagePin:
    """An image of a server, by its digest in the registry. `models`: the sha256 of each that is baked in."""

    digest: str
    models: tuple[str, ...] = ()
    base: BasePin | None = None


@dataclass(frozen=True, slots=True)
class LockFile:
    """The whole file. `models` and `images` by environment, then by key and by the server's name."""

    identity: str | None = None
    models: Mapping[str, Mapping[str, Pin]] = field(default_factory=dict)
    images: Mapping[str, Mapping[str, ImagePin]] = field(default_factory=dict)
    shards: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def shards_of(self, environment: str, section: str) -> int | None:
        """Among how many stacks a section is divided, None where it is not."""
        return self.shards.get(environment, {}).get(section)

    def with_shards(self, environment: str, section: str, count: int) -> LockFile:
        """The same with a section divided among `count` stacks; among one is not divided."""
        counts = {**self.shards.get(environment, {}), section: count}
        kept = {name: number for name, number in counts.items() if number > 1}
        shards = {**self.shards, environment: kept}
        return replace(self, shards={name: found for name, found in shards.items() if found})

    def pinned(self, environment: str, model: str) -> Pin | None:
        return self.models.get(environment, {}).get(model)

    def with_pin(self, environment: str, model: str, pin: Pin) -> LockFile:
        pins = {**self.models.get(environment, {}), model: pin}
        return replace(self, models={**self.models, environment: pins})

    def image(self, environment: str, name: str) -> ImagePin | None:
        return self.images.get(environment, {}).get(name)

    def with_image(self, environment: str, name: str, pin: ImagePin) -> LockFile:
        images = {**self.images.get(environment, {}), name: pin}
        return replace(self, images={**self.images, environment: images})


def parse(text: str) -> LockFile:
    """The inverse of `to_text`. Raises LockFileError on anything else."""
    try:
        data = yaml.load(text, Loader=yaml.CSafeLoader)
        if not isinstance(data, dict) or data["version"] != VERSION:
            raise LockFileError(f"it is not of version {VERSION}")
        identity = data.get("identity")
        return LockFile(
            None if identity is None else str(identity),
            _each(data.get("models"), lambda pins: _each(pins, _pin)),
            _each(data.get("images"), lambda pins: _each(pins, _image_pin)),
            _each(data.get("shards"), lambda counts: _each(counts, _count)),
        )
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise LockFileError(str(error).partition("\n")[0]) from error


def to_text(lock: LockFile) -> str:
    """The file's text: sorted, so that two branches rarely meet on one line."""
    data: dict[str, object] = {"version": VERSION}
    if lock.identity is not None:
        data["identity"] = lock.identity
    if lock.shards:
        data["shards"] = {name: dict(sorted(found.items())) for name, found in sorted(lock.shards.items())}
    if lock.models:
        data["models"] = {
            environment: {key: _pin_data(pins[key]) for key in sorted(pins)}
            for environment, pins in sorted(lock.models.items())
        }
    if lock.images:
        data["images"] = {
            environment: {name: _image_data(pins[name]) for name in sorted(pins)}
            for environment, pins in sorted(lock.images.items())
        }
    return _HEADER + "".join(map(_block, data.items()))


def _block(item: tuple[str, object]) -> str:
    """One key of the file on lines of its own; what has no mappings within is written on one."""
    key, value = item
    flow = None if isinstance(value, dict) else False
    return str(yaml.safe_dump({key: value}, sort_keys=False, width=1000, default_flow_style=flow))


def _each(data: object, read: Callable[..., Value]) -> dict[str, Value]:
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise TypeError("expected a mapping")
    return {str(key): read(value) for key, value in data.items()}


def _count(data: object) -> int:
    if isinstance(data, bool) or not isinstance(data, int) or not 2 <= data <= MOST:
        raise ValueError(f"shards: expected a number from 2 to {MOST}")
    return data


def _image_pin(data: object) -> ImagePin:
    if isinstance(data, str):
        return ImagePin(data)
    if not isinstance(data, dict) or not isinstance(data.get("models", []), list):
        raise TypeError("images: expected a digest, or {digest, models, base}")
    base = data.get("base")
    models = tuple(map(str, data.get("models", ())))
    return ImagePin(str(data["digest"]), models, None if base is None else _base_pin(base))


def _base_pin(data: object) -> BasePin:
    if not isinstance(data, dict) or not isinstance(data.get("digests", []), list):
        raise TypeError("images: expected a base as {name, platform, id, digests}")
    digests = tuple(map(str, data.get("digests", ())))
    return BasePin(str(data["name"]), str(data["platform"]), str(data["id"]), digests)


def _image_data(pin: ImagePin) -> str | dict[str, object]:
    data: dict[str, object] = {"digest": pin.digest}
    if pin.models:
        data["models"] = list(pin.models)
    if pin.base is not None:
        data["base"] = {**asdict(pin.base), "digests": list(pin.base.digests)}
    return data if len(data) > 1 else pin.digest


def _pin(data: Mapping[str, object]) -> Pin:
    signature = data.get("signature")
    if signature is not None and not isinstance(signature, dict):
        raise TypeError("signature")
    return Pin(
        str(data["version"]),
        str(data["sha256"]),
        int(str(data["size"])),
        str(data["source"]),
        Signature.from_data(signature) if signature else None,
    )


def _pin_data(pin: Pin) -> dict[str, object]:
    data: dict[str, object] = {
        "version": pin.version,
        "sha256": pin.sha256,
        "size": pin.size,
        "source": pin.source,
    }
    if pin.signature is not None:
        data["signature"] = pin.signature.to_data()
    return data
