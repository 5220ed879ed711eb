"""Names that the world outside the project gives: addresses of services, images, hosts, time zones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from bedplate.secret_shapes import has_credentials
from bedplate.spec.leaf import Schema, refuse, shown
from bedplate.spec.secrets import SECRET_IN_SPEC
from bedplate.spec.tree import Scalar
from bedplate.spec.types import Text

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_IMAGE = (
    rf"(?P<registry>({_DOMAIN}|localhost)(:[0-9]{{1,5}})?/)?(?P<path>[a-z0-9]+([._/-]+[a-z0-9]+)*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_BUCKET = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.=-]+)*"
_REFERRING = r"|.*\$\{.*"
_CREDENTIALS = "clients find them in variables of their own, such as MLFLOW_TRACKING_USERNAME and _PASSWORD"


@dataclass(frozen=True)
class Url(Text):
    """An address of one of the schemes."""

    schemes: tuple[str, ...]
    example: str

    @property
    def noun(self) -> str:  # type: ignore[override]
        return f"an address, such as {self.example}"

    @property
    def rule(self) -> str:  # type: ignore[override]
        return f"It begins with {' or '.join(f'{scheme}://' for scheme in self.schemes)}."

    def checked(self, scalar: Scalar, text: str) -> str:
        scheme, found, rest = text.partition("://")
        if has_credentials(text):
            refuse("BP110", f"this address holds credentials, and {SECRET_IN_SPEC}", _CREDENTIALS)
        if not found or not rest or re.search(r"[\s\"'<>\\]", text):
            self.wrong(scalar)
        if scheme not in self.schemes:
            refuse("BP025", f"{shown(scalar)} has an unknown scheme", f"known: {', '.join(self.schemes)}")
        return text

    def schema(self) -> Schema:
        return {
            "type": "string",
            "pattern": f"^(({'|'.join(self.schemes)})://(?![^/?#]*@)[^\\s\"'<>\\\\]+{_REFERRING})$",
        }


class Bucket(Text):
    """A prefix of a bucket that speaks S3. There is no place in it for a key or another parameter."""

    noun = "a place in a bucket, such as s3://acme-ml/flights"

    def checked(self, scalar: Scalar, text: str) -> str:
        if not re.fullmatch(_BUCKET, text) or len(text) > 500 or "/.." in text or "/./" in text:
            self.wrong(scalar, "s3://BUCKET/PREFIX; who may write there, AWS's own variables and files say")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^({_BUCKET}{_REFERRING})$"}


class Image(Text):
    """A container image: `[registry/]path[:tag][@sha256:digest]`."""

    noun = "a container image, such as ghcr.io/acme/server@sha256:..."
    rule = "[registry/]path[:tag][@sha256:64 hexadecimal digits], the path in lower case."

    def checked(self, scalar: Scalar, text: str) -> str:
        if not re.fullmatch(_IMAGE, text) or len(text) > 500:
            self.wrong(scalar, "[registry/]path[:tag][@sha256:64 hexadecimal digits], the path in lower case")
        return text

    def schema(self) -> Schema:
        pattern = re.sub(r"\?P<[a-z]+>", "", _IMAGE)
        return {"type": "string", "pattern": f"^({pattern}{_REFERRING})$"}


class HostName(Text):
    """A host of the Domain Name System."""

    noun = "a host name, such as delay.acme.example"
    rule = "Lower-case letters, digits and -, in parts joined by dots."

    def checked(self, scalar: Scalar, text: str) -> str:
        if not re.fullmatch(_DOMAIN, text) or len(text) > 253:
            self.wrong(scalar, "lower-case letters, digits and -, in parts joined by dots")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^({_DOMAIN}{_REFERRING})$"}


class DnsLabel(Text):
    """A name of an object that becomes part of a host name, such as a namespace (RFC 1123)."""

    noun = "a name of lower-case letters, digits and -"
    rule = "63 characters at most, a letter or digit first and last."

    def checked(self, scalar: Scalar, text: str) -> str:
        if not re.fullmatch(_LABEL, text):
            self.wrong(scalar, "63 characters at most, a letter or digit first and last")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^({_LABEL}{_REFERRING})$"}


class TimeZone(Text):
    """A zone of the IANA time zone database."""

    noun = "a time zone, such as UTC or Europe/Berlin"
    rule = "A zone of the IANA time zone database, the same one on every machine."

    def checked(self, scalar: Scalar, text: str) -> str:
        zones = _zones()
        if text not in zones:
            from bedplate.diagnostics import meant_or

            self.wrong(scalar, meant_or(text, zones, "names are of the IANA database"))
        return text

    def schema(self) -> Schema:
        return {"enum": sorted(_zones())}


def _zones() -> frozenset[str]:
    """Of the package, not of this machine: a spec is valid everywhere or nowhere."""
    from importlib.resources import files

    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


class Address(Text):
    """An entry, or a whole section: `serving.delay`, `serving`."""

    noun = "an address in the spec, such as serving.delay"
    rule = "A section, or a section and the key of an entry."

    def checked(self, scalar: Scalar, text: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)?", text):
            self.wrong(scalar, "a section, or a section and the key of an entry")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)?$"}


ImageValue = Annotated[str, Image()]
BucketValue = Annotated[str, Bucket()]
HostNameValue = Annotated[str, HostName()]
DnsLabelValue = Annotated[str, DnsLabel()]
AddressValue = Annotated[str, Address()]
HttpUrl = Annotated[str, Url(("http", "https"), "https://mlflow.acme.example")]
