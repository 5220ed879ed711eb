"""The programs that build images: docker, podman, buildah. Each is argument lists and how to read its answers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bedplate.errors import EngineError
from bedplate.image import Base

ANSWER_S = 30
COPY_S = 600
REPO_DIGESTS = "{{range .RepoDigests}}{{.}} {{end}}"
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Builder(Protocol):
    """What is asked of a builder."""

    @property
    def name(self) -> str: ...

    def problem(self) -> str | None:
        """Why it cannot be used on this machine, None if it can."""

    def pull(self, base: Base) -> list[str]:
        """The command that brings a base here."""

    def build(self, context: Path, reference: str, base: Base, id_file: Path) -> list[str]:
        """The command that builds `context`, names the image and writes its id to a file."""

    def settled(self, image: str, reference: str, scratch: Path) -> str:
        """The id of what was just built, without what no two builds share. Raises EngineError."""

    def id_of(self, image: str) -> str:
        """The id of the image that it has under a name or an id; an empty text where it has none."""

    def digests(self, image: str) -> tuple[str, ...]:
        """The digests that it knows registries to have an image by."""

    def push(self, image: str, reference: str, digest_file: Path) -> list[str]:
        """The command that pushes an image."""

    def pushed(self, reference: str, digest_file: Path) -> str:
        """The digest under which the registry has what was just pushed. Raises EngineError."""


@dataclass(frozen=True, slots=True)
class Docker:
    """Docker's BuildKit. All times but those of files are SOURCE_DATE_EPOCH from 0.11 (Docker 23) on."""

    name: str = "docker"

    def problem(self) -> str | None:
        if shutil.which(self.name) is None:
            return "is not on PATH"
        if not _succeeds(self.name, "version", "--format", "{{.Server.Version}}"):
            return "has no daemon that answers"
        # podman, which may be called docker, has a buildx that takes none of its options.
        return None if "docker/buildx" in _answer(self.name, "buildx", "version") else "has no buildx"

    def pull(self, base: Base) -> list[str]:
        return [self.name, "pull", "--quiet", "--platform", base.platform, base.reference]

    def build(self, context: Path, reference: str, base: Base, id_file: Path) -> list[str]:
        words = [self.name, "buildx", "build", "--progress", "plain", "--network", "none"]
        words += ["--provenance", "false", "--sbom", "false", "--platform", base.platform]
        words += ["--build-arg", f"SOURCE_DATE_EPOCH={base.epoch}"]
        # Not rewrite-timestamp: docker's own store ignores it, and containerd's refuses it beside --load.
        return [*words, "--load", "--tag", reference, "--iidfile", str(id_file), str(context)]

    def settled(self, image: str, reference: str, scratch: Path) -> str:
        return image

    def id_of(self, image: str) -> str:
        return _answer(self.name, "image", "inspect", "--format", "{{.Id}}", image)

    def digests(self, image: str) -> tuple[str, ...]:
        return _digests(_answer(self.name, "image", "inspect", "--format", REPO_DIGESTS, image))

    def push(self, image: str, reference: str, digest_file: Path) -> list[str]:
        return [self.name, "push", "--quiet", reference]

    def pushed(self, reference: str, digest_file: Path) -> str:
        repository = reference.rpartition(":")[0]
        for known in _answer(self.name, "image", "inspect", "--format", REPO_DIGESTS, reference).split():
            if known.startswith(f"{repository}@"):
                return known.rpartition("@")[2]
        raise EngineError(
            f"docker does not know the digest of {reference}", hint="look whether it was pushed"
        )


@dataclass(frozen=True, slots=True)
class Containers:
    """podman or buildah, which share most of their options.

    `verb` builds, `look` with `id_form` gives an image's id and with `digests_form` its digests; with `as_it_is` layers
    are pushed to a folder uncompressed.
    """

    name: str
    verb: str
    look: tuple[str, ...]
    id_form: str
    digests_form: str
    as_it_is: tuple[str, ...] = ()

    def problem(self) -> str | None:
        if shutil.which(self.name) is None:
            return "is not on PATH"
        return None if _succeeds(self.name, "info") else f"does not work ({self.name} info says why)"

    def pull(self, base: Base) -> list[str]:
        words = [self.name, "pull", "--quiet", "--platform", base.platform, *_without_tls(base.reference)]
        return [*words, base.reference]

    def build(self, context: Path, reference: str, base: Base, id_file: Path) -> list[str]:
        # docker's format: OCI's has no HEALTHCHECK. chroot isolation cannot take the network away.
        network = "host" if os.environ.get("BUILDAH_ISOLATION") == "chroot" else "none"
        words = [self.name, self.verb, "--format", "docker", "--network", network, "--pull=false"]
        words += ["--platform", base.platform, "--timestamp", str(base.epoch), "--tag", reference]
        return [*words, "--no-cache", "--iidfile", str(id_file), str(context)]

    def settled(self, image: str, reference: str, scratch: Path) -> str:
        """Docker's format names the container that the image was made in, which is another one each time."""
        layout = scratch / "image"
        self._say("push", "--quiet", *self.as_it_is, image, f"dir:{layout}")
        if not _rewritten(layout):
            return image
        same = self._say("pull", "--quiet", f"dir:{layout}").strip()
        self._say("tag", same, reference)
        self._say("rmi", image)
        return f"sha256:{same}"

    def _say(self, *words: str) -> str:
        ran = subprocess.run((self.name, *words), capture_output=True, text=True, timeout=COPY_S, check=False)
        if ran.returncode != 0:
            last = ran.stderr.strip().splitlines()[-1:]
            raise EngineError(f"{self.name} {words[0]} failed: {''.join(last) or f'exit {ran.returncode}'}")
        return ran.stdout

    def id_of(self, image: str) -> str:
        found = _answer(self.name, *self.look, self.id_form, image)
        return f"sha256:{found.removeprefix('sha256:')}" if found else ""

    def digests(self, image: str) -> tuple[str, ...]:
        return _digests(_answer(self.name, *self.look, self.digests_form, image))

    def push(self, image: str, reference: str, digest_file: Path) -> list[str]:
        words = [self.name, "push", "--digestfile", str(digest_file), *_without_tls(reference)]
        return [*words, image, f"docker://{reference}"]

    def pushed(self, reference: str, digest_file: Path) -> str:
        return digest_file.read_text().strip()


BUILDERS: dict[str, Builder] = {
    "docker": Docker(),
    "podman": Containers("podman", "build", ("image", "inspect", "--format"), "{{.Id}}", REPO_DIGESTS),
    "buildah": Containers(
        "buildah",
        "bud",
        ("inspect", "--type", "image", "--format"),
        "{{.FromImageID}}",
        "{{.FromImageDigest}}",
        ("--disable-compression",),
    ),
}


def choose(name: str | None) -> Builder:
    """The builder of this name, or the first that can be used here. Raises EngineError."""
    wanted = [BUILDERS[name]] if name else [*BUILDERS.values()]
    problems = []
    for builder in wanted:
        problem = builder.problem()
        if problem is None:
            return builder
        problems.append(f"{builder.name} {problem}")
    raise EngineError(
        f"images cannot be built here: {', '.join(problems)}",
        hint="install one (Debian, Ubuntu: apt-get install buildah), or take the build context elsewhere: "
        "bedplate build --context-only",
    )


def _rewritten(layout: Path) -> bool:
    """Takes the container's id, and the host name made of it, out of an image laid out in a folder.

    False: they were not in there.
    """
    manifest_file = layout / "manifest.json"
    manifest = json.loads(manifest_file.read_bytes())
    before = (layout / manifest["config"]["digest"].partition(":")[2]).read_bytes()
    config = json.loads(before)
    config.pop("container", None)
    for part in ("config", "container_config"):
        if config.get(part, {}).get("Hostname"):
            config[part]["Hostname"] = ""
    data = json.dumps(config, sort_keys=True).encode()
    if config == json.loads(before):
        return False
    digest = hashlib.sha256(data).hexdigest()
    (layout / digest).write_bytes(data)
    manifest["config"] |= {"digest": f"sha256:{digest}", "size": len(data)}
    manifest_file.write_text(json.dumps(manifest))
    return True


def _without_tls(reference: str) -> tuple[str, ...]:
    """As docker does: a registry on this machine is asked without TLS."""
    host = reference.partition("/")[0].rpartition(":")[0]
    return ("--tls-verify=false",) if host in _LOOPBACK else ()


def _digests(told: str) -> tuple[str, ...]:
    """Of `sha256:...` and `NAME@sha256:...`, with spaces between them."""
    return tuple(sorted({known.rpartition("@")[2] for known in told.split()}))


def _succeeds(*words: str) -> bool:
    ran = _ran(*words)
    return ran is not None and ran.returncode == 0


def _answer(*words: str) -> str:
    """What it says; nothing where it fails."""
    ran = _ran(*words)
    return ran.stdout.strip() if ran is not None and ran.returncode == 0 else ""


def _ran(*words: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
