"""Pulumi's messages and services, without the SDK around them.

Importing the SDK's package runs all of it, half a second in each of the processes that an `up` starts. So
its generated modules are imported through empty stand-ins for the packages that hold them, which are taken
away afterwards: a later `import pulumi` is the real one.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from types import ModuleType

_PACKAGES = ("pulumi", "pulumi.runtime", "pulumi.runtime.proto")


def _stand_ins() -> dict[str, ModuleType]:
    modules: dict[str, ModuleType] = {}
    path: list[str] | None = None
    for name in _PACKAGES:
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError(
                "the engine needs the package pulumi: pip install 'bedplate[engine]'", name=name
            )
        path = list(spec.submodule_search_locations)
        module = ModuleType(name)
        module.__path__ = path
        modules[name] = module
    return modules


_added = {} if "pulumi" in sys.modules else _stand_ins()
sys.modules.update(_added)

from pulumi.runtime.proto import (  # noqa: E402
    alias_pb2,
    engine_pb2,
    engine_pb2_grpc,
    language_pb2,
    language_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
    source_pb2,
    status_pb2,
)

for _name in _added:
    del sys.modules[_name]

__all__ = [
    "alias_pb2",
    "engine_pb2",
    "engine_pb2_grpc",
    "language_pb2",
    "language_pb2_grpc",
    "plugin_pb2",
    "provider_pb2",
    "provider_pb2_grpc",
    "resource_pb2",
    "resource_pb2_grpc",
    "source_pb2",
    "status_pb2",
]
