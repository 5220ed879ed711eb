"""The frame of a project around its sections: version, name, variables, environments, defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel

from bedplate.spec.leaf import Leaf, Resolver, Schema, refuse, shown
from bedplate.spec.model import SpecModel, optional, required
from bedplate.spec.places import AddressValue, DnsLabelValue, HttpUrl, TimeZone, Url
from bedplate.spec.secrets import EnvironmentVariable
from bedplate.spec.tree import Scalar
from bedplate.spec.types import (
    BooleanValue,
    FilePath,
    FolderPath,
    NameValue,
    OneOf,
    TextValue,
)
from bedplate.targets import WORDS

VERSIONS = (1,)
MODES = {
    "development": "nothing is asked beyond what is valid",
    "production": "images by digest, no state in files, gates on rollouts, two replicas",
}
READ_WHOLE = ("secrets",)
"""The fields of an environment whose entries replace those of the one that it extends, and are not merged."""


@dataclass(frozen=True)
class Version(Leaf):
    """The version of the language."""

    noun = "the version of the language"

    def parse(self, scalar: Scalar, references: Resolver | None) -> int:
        if not scalar.plain or scalar.text not in map(str, VERSIONS):
            supported = ", ".join(map(str, VERSIONS))
            refuse(
                "BP101",
                f"version {shown(scalar)} of the language is not supported",
                f"supported: {supported}",
            )
        return int(scalar.text)

    def schema(self) -> Schema:
        return {"type": "integer", "enum": list(VERSIONS)}


@dataclass(frozen=True)
class Entries(Leaf):
    """A mapping of named things, each read on its own, so that one that is wrong does not hide the others."""

    model: type[BaseModel] | None = None

    def read(self, value: object, references: Resolver | None) -> None:
        return None


@dataclass(frozen=True)
class Parts(Leaf):
    """Parts of sections, which mean nothing before they are merged. `of_entries`: by the keys of entries."""

    of_entries: bool
    noun = "a mapping of sections"

    def read(self, value: object, references: Resolver | None) -> None:
        if not isinstance(value, dict):
            refuse("BP022", f"expected {self.noun}")


class IncludePath(FilePath):
    """A file, or a pattern that stands for several. The loader has read them."""

    noun = "a file of the project, or a pattern such as teams/*.yaml"
    rule = "From the project's folder on, and never out of it. In a name, * stands for anything."

    def parse(self, scalar: Scalar, references: Resolver | None) -> str:
        return scalar.text


class KubernetesKey(SpecModel):
    """One key of a Secret of the cluster."""

    name: DnsLabelValue = required("The Secret's name.", "redis")
    key: TextValue = required("The key in it.", "url")


class SecretSource(SpecModel):
    """Where the value of a secret is read when the project is applied: one of these."""

    ONE_OF = ("env", "kubernetes")

    env: Annotated[str, EnvironmentVariable()] | None = optional(
        None, "The environment variable that holds the value.", "API_KEY"
    )
    kubernetes: KubernetesKey | None = optional(
        None, "The key of a Secret of the cluster that holds the value.", "{name: redis, key: url}"
    )


class Variable(SpecModel):
    """A text that environments can give, used as ${var.NAME}."""

    type: Annotated[str, OneOf({"string": "a text"})] = required("The type of the variable.", "string")
    default: TextValue | None = optional(
        None,
        "The value where an environment gives none.",
        "us-east-1",
        absent="every environment must give one.",
    )
    description: TextValue | None = optional(None, "What the variable is for.", "where the buckets are")


class Gateway(SpecModel):
    """A Gateway of the cluster's Gateway API, which routes what comes from outside."""

    name: DnsLabelValue = required("The Gateway's name.", "public")
    namespace: DnsLabelValue | None = optional(
        None, "The namespace that it is in.", "infra", absent="the environment's own."
    )


class KubernetesSettings(SpecModel):
    """The cluster, and what is there to be used."""

    context: TextValue = required("The context of the kubeconfig file.", "staging")
    namespace: DnsLabelValue = required("The namespace that everything goes to.", "flights-staging")
    prometheus: HttpUrl | None = optional(
        None,
        "The Prometheus that the gates of rollouts ask.",
        "http://prometheus.monitoring:9090",
        absent="rollouts have no gates.",
    )
    gateway: Gateway | None = optional(
        None,
        "The Gateway that routes requests.",
        "{name: public, namespace: infra}",
        absent="services are reached inside the cluster, and canaries get whole pods.",
    )


class Images(SpecModel):
    """Where images of servers are."""

    registry: TextValue = required("The registry and the path in it.", "ghcr.io/acme/flights")


class Mlflow(SpecModel):
    """The MLflow that keeps the models' versions."""

    tracking_uri: Annotated[str, Url(("http", "https", "sqlite"), "https://mlflow.acme.example")] = required(
        "MLflow's tracking URI.", "https://mlflow.acme.example"
    )


class State(SpecModel):
    """Where the state of what was applied is kept, in Pulumi's own words."""

    backend: TextValue | None = optional(
        None,
        "The address of Pulumi's backend, passed on as it is: s3:// and file:// are tested with bedplate, others such "
        "as gs://, azblob:// or https://api.pulumi.com are not. Credentials come from the environment.",
        "s3://acme-pulumi-state",
        absent="files in .bedplate/state.",
    )
    secrets_provider: TextValue | None = optional(
        None,
        "What encrypts secrets in the state, passed on to Pulumi as it is: passphrase and awskms:// are tested with "
        "bedplate, others such as gcpkms://, azurekeyvault:// or hashivault:// are not. A team without a shared "
        "passphrase also shares BEDPLATE_FINGERPRINT_KEY.",
        "awskms://alias/bedplate",
        absent="a passphrase, of the project's own state in .bedplate/secrets, else PULUMI_CONFIG_PASSPHRASE; "
        "Pulumi Cloud has its own.",
    )


class EnvironmentSpec(SpecModel):
    """A place where the project runs."""

    target: Annotated[str, OneOf(WORDS)] | None = optional(
        None, "What runs the project there.", "local", absent="that of the environment that it extends."
    )
    extends: NameValue | None = optional(None, "The environment that this one starts from.", "staging")
    abstract: BooleanValue = optional(False, "Only a template for others: it is never applied.", "true")
    mode: Annotated[str, OneOf(MODES)] | None = optional(
        None,
        "How strict it is.",
        "production",
        absent="that of the environment that it extends, or development.",
    )
    promotes_from: NameValue | None = optional(
        None,
        "The environment where a version runs before it comes here. It is said, and nothing is held back by it yet.",
        "staging",
    )
    variables: dict[NameValue, TextValue] = optional(
        {}, "Values of the project's variables.", "{region: eu-central-1}"
    )
    secrets: dict[NameValue, SecretSource] = optional(
        {},
        "Where named secrets come from. A secret that is not named here, such as api-key, comes from API_KEY.",
        "{api-key: {env: DELAY_API_KEY}}",
    )
    protect: tuple[AddressValue, ...] = optional(
        (), "What must not be destroyed or replaced, added to what the extended one protects.", "[models]"
    )
    artifacts: Annotated[str, Url(("s3", "gs", "azblob"), "s3://acme-ml/flights")] | None = optional(
        None,
        "Where models and logs lie so that pods can reach them.",
        "s3://acme-ml/flights",
        absent="models are part of their server's image.",
    )
    images: Images | None = optional(None, "Where images of servers are.", "{registry: ghcr.io/acme/flights}")
    mlflow: Mlflow | None = optional(
        None, "The MLflow that keeps the models' versions.", "{tracking_uri: https://mlflow.acme.example}"
    )
    state: State | None = optional(
        None,
        "Where the state of what was applied is kept.",
        "{backend: s3://acme-pulumi-state}",
        absent="in .bedplate/state.",
    )
    kubernetes: KubernetesSettings | None = optional(
        None,
        "The cluster, and what is there to be used.",
        "{context: staging, namespace: flights-staging}",
        absent="the target local needs none, the target kubernetes does.",
    )
    override: Annotated[object, Parts(of_entries=True)] = optional(
        None,
        "What is different here: mappings merge by key, all else replaces, null removes.",
        "{serving: {delay: {replicas: 3}}}",
        absent="nothing is.",
    )


class Frame(SpecModel):
    """A bedplate project: what shall run, and where."""

    version: Annotated[int, Version()] = required("The version of the language.", "1")
    project: NameValue = required("The project's name.", "flights")
    timezone: Annotated[str, TimeZone()] = optional(
        "UTC", "The time zone of every cron expression, which sections to come have.", "Europe/Berlin"
    )
    include: tuple[Annotated[str, IncludePath()], ...] = optional(
        (),
        "Files with more entries, by paths or patterns that begin at the project's folder.",
        "[teams/*.yaml]",
    )
    variables: Annotated[object, Entries(Variable)] = optional(
        None, "Texts that environments can give.", "{region: {type: string}}", absent="there are none."
    )
    environments: Annotated[object, Entries(EnvironmentSpec)] = optional(
        None, "Where the project runs.", "{local: {target: local}}", absent="on this machine, as local."
    )
    defaults: Annotated[object, Parts(of_entries=False)] = optional(
        None,
        "For each section, what its entries have where they say nothing else.",
        "{serving: {slo: {p95: 100ms}}}",
        absent="nothing.",
    )
    policies: Annotated[str, FolderPath()] | None = optional(
        None,
        "A folder with the team's own rules about what is compiled.",
        "policies",
        absent="the built-in ones alone.",
    )
