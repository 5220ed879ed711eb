"""What is wrong with environments across their own fields, and between them and the entries of sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, urlsplit

from bedplate.diagnostics import Diagnostic, PathKey, did_you_mean, meant, meant_or
from bedplate.secret_shapes import has_credentials, names_a_secret
from bedplate.sections import SECTIONS
from bedplate.spec.environments import LOCAL, ROOT
from bedplate.spec.frame import EnvironmentSpec
from bedplate.spec.grammar import entries
from bedplate.spec.names import is_name
from bedplate.spec.secrets import SECRET_IN_SPEC
from bedplate.spec.tree import Map, Scalar, Seq, at, find, is_null

_FROM_ENVIRONMENT = (
    "leave it out: Pulumi takes it from the environment, such as PGPASSWORD, AWS_SECRET_ACCESS_KEY"
)


@dataclass(frozen=True, slots=True)
class FrameChecks:
    """`specs`: the environments that could be read; `written`: the names of all."""

    tree: Map
    specs: Mapping[str, EnvironmentSpec]
    written: tuple[str, ...]

    def run(self) -> Iterator[Diagnostic]:
        for name, spec in self.specs.items():
            yield from self.protected(name, spec)
            yield from self.backend(name, spec)
        for section in SECTIONS if self.is_mapping(ROOT) else ():
            for key, node in entries(self.tree, section)[0].items():
                listed = node.items.get(ROOT) if isinstance(node, Map) else None
                if isinstance(listed, Seq):
                    yield from self.places((section, key, ROOT), listed)

    def protected(self, name: str, spec: EnvironmentSpec) -> Iterator[Diagnostic]:
        for index, address in enumerate(spec.protect):
            section, _, entry = address.partition(".")
            if section in SECTIONS and not self.is_mapping(section):
                continue  # which has been said
            known = self.known(section) if section in SECTIONS else frozenset(SECTIONS)
            wanted = entry if section in SECTIONS else section
            if not wanted or wanted in known:
                continue
            there_are = f"there are: {', '.join(sorted(known)) or 'none'}"
            near = self.almost(section, entry)
            hint = meant(near) if near else there_are
            path: tuple[PathKey, ...] = (ROOT, name, "protect", index)
            yield self.found("BP118", f"there is no {address} to protect", path, hint)

    def almost(self, section: str, entry: str) -> str | None:
        """The whole address that was probably meant, or the section alone where nothing in it is like the entry."""
        near = section if section in SECTIONS else did_you_mean(section, SECTIONS)
        if near is None or not entry:
            return near
        known = self.known(near)
        meant_entry = entry if entry in known else did_you_mean(entry, known)
        if meant_entry is None:
            return near if near != section else None
        return f"{near}.{meant_entry}"

    def is_mapping(self, key: str) -> bool:
        return isinstance(self.tree.items.get(key, self.tree), Map)

    def known(self, section: str) -> frozenset[str]:
        """Every entry of a section, wherever it is written."""
        parents = [(section,), *((ROOT, name, "override", section) for name in self.written)]
        nodes = (at(self.tree, path) for path in parents)
        written = (item for node in nodes if isinstance(node, Map) for item in node.items.items())
        return frozenset(key for key, item in written if not is_null(item))

    def backend(self, name: str, spec: EnvironmentSpec) -> Iterator[Diagnostic]:
        backend = spec.state.backend if spec.state else None
        if backend is None or "${" in backend:
            return
        parts = _parts(backend)
        path = (ROOT, name, "state", "backend")
        if has_credentials(backend) or any(
            names_a_secret(key) or key == "sig" for key in parse_qs(parts.query)
        ):
            message = f"this address holds credentials, and {SECRET_IN_SPEC}"
            yield self.found("BP110", message, path, _FROM_ENVIRONMENT)
        elif not parts.scheme:
            hint = "such as s3://BUCKET, gs://BUCKET, file:///absolute/path or https://api.pulumi.com"
            yield self.found("BP120", f"{backend} is no address of a backend", path, hint)
        elif parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
            message = f"{backend} means another folder in every folder that a command is run from"
            yield self.found("BP120", message, path, "give the whole path: file:///srv/state")

    def places(self, path: tuple[str, ...], listed: Seq) -> Iterator[Diagnostic]:
        """Entries that name environments which are none, or that exist nowhere."""
        if not listed.items:
            message = f"{path[0]}.{path[1]} exists in no environment"
            yield self.found("BP119", message, path, "name some, or leave `environments` out", True)
        known = [name for name, spec in self.specs.items() if not spec.abstract]
        if not self.written:
            known = [LOCAL]
        broken = frozenset(self.written) - self.specs.keys()
        for index, item in enumerate(listed.items):
            if not isinstance(item, Scalar) or item.text in known or item.text in broken:
                continue
            if not is_name(item):
                continue  # which is said where it is read
            message = f"there is no environment {item.text}"
            if item.text in self.specs:
                message = f"the environment {item.text} is abstract: nothing exists there"
            hint = meant_or(item.text, known, f"there are: {', '.join(sorted(known)) or 'none'}")
            yield self.found("BP102", message, (*path, index), hint)

    def found(
        self, code: str, message: str, path: tuple[PathKey, ...], hint: str, at_key: bool = False
    ) -> Diagnostic:
        return Diagnostic(code, message, path, find(self.tree, path, at_key=at_key).span(), hint)


def _parts(address: str) -> SplitResult:
    """Those of an address; of what is none, no scheme."""
    try:
        return urlsplit(address)
    except ValueError:
        return SplitResult("", "", address, "", "")
