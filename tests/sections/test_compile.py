"""What the sections yield for targets and for each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bedplate.graph import SecretRef
from bedplate.inputs import FileFact, Inputs, Needed
from bedplate.sections import SECTIONS
from bedplate.spec.load import load_text
from bedplate.spec.project import Project
from bedplate.spec.validate import validate
from bedplate.workloads import (
    Artifact,
    CanaryStep,
    Gates,
    ModelRef,
    ModelVersion,
    Resources,
    ServedModel,
    Service,
    Slo,
    Yielded,
)

HEAD = "version: 1\nproject: flights\n"
SHA = "0123456789abcdef" * 4


def project(text: str, **files: str) -> Project:
    validated = validate(load_text((HEAD + text).encode(), "bedplate.yaml", Path("/")))
    assert not validated.diagnostics
    facts = {path: FileFact(SHA, 7) for path in files.values()}
    return replace(validated.projects["local"], inputs=Inputs(facts))


def yielded(found: Project, section: str) -> list[Yielded]:
    return list(SECTIONS[section].compile(found.sections[section], found))


def test_a_model_is_an_artifact_and_a_version() -> None:
    found = project("models: {delay: {path: m/delay.onnx}}\n", delay="m/delay.onnx")

    assert list(SECTIONS["models"].files(found.sections["models"])) == [
        Needed(("models", "delay", "path"), "m/delay.onnx", "onnx")
    ]
    assert yielded(found, "models") == [
        Artifact("models.delay", "delay", SHA, 7, "m/delay.onnx"),
        ModelVersion("delay", ServedModel("delay", "0123456789ab", SHA)),
    ]


def test_an_entry_of_serving_is_a_service() -> None:
    found = project(
        "models: {delay: {path: delay.onnx}}\n"
        "serving:\n"
        "  web:\n"
        "    model: delay\n"
        "    replicas: 3\n"
        "    resources: {requests: {cpu: 500m, memory: 1Gi}, limits: {cpu: 2, memory: 2Gi}}\n"
        "    slo: {p95: 100ms, error_rate: 0.1%}\n"
        "    rollout: {canary: [{weight: 0.1%, hold: 1h}, {weight: 50%, hold: 1h30m}]}\n"
        "    expose: {port: 8080, auth: {api_key: {secret: web-key}}}\n"
    )

    assert yielded(found, "serving") == [
        Service(
            address="serving.web",
            name="web",
            models=(ModelRef("delay"),),
            replicas=3,
            resources=Resources(0.5, 1024**3, 2.0, 2 * 1024**3),
            slo=Slo(0.1, 0.001),
            canary=(CanaryStep("0.001", 3600), CanaryStep("0.5", 5400)),
            gates=Gates(0.1, 0.001, 2995),
            port=8080,
            api_key=SecretRef("web-key"),
        )
    ]


def test_an_entry_serves_the_model_of_its_own_name() -> None:
    found = project("models: {delay: {path: delay.onnx}}\nserving: {delay: {}}\n")

    assert yielded(found, "serving") == [
        Service(address="serving.delay", name="delay", models=(ModelRef("delay"),))
    ]


def test_services_come_by_name_whatever_their_order() -> None:
    found = project("models: {b: {path: b.onnx}, a: {path: a.onnx}}\nserving: {b: {}, a: {}}\n")

    assert [item.name for item in yielded(found, "serving") if isinstance(item, Service)] == ["a", "b"]
