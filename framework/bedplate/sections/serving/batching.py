"""Whether requests to the models of a serving entry can be run as one, as far as their signatures tell."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from bedplate.diagnostics import Diagnostic
from bedplate.sections.models import KEY as MODELS
from bedplate.sections.models import version_of
from bedplate.sections.serving.model import BEDPLATE, Model
from bedplate.signature import ANY, Signature

if TYPE_CHECKING:
    from bedplate.spec.project import Project

_LONGEST_S = Decimal("0.005")


def check(key: str, entry: Model, project: Project) -> Iterator[Diagnostic]:
    """A wait that is too long, and inputs and outputs that do not have a row for each of a request's."""
    if entry.batching is None:
        return
    if entry.batching.max_queue_delay > _LONGEST_S:
        yield Diagnostic(
            "BP246",
            "every request would wait for others longer than 5ms",
            ("batching", "max_queue_delay"),
            help="from 1ms to 5ms: what comes while a model runs is batched without any wait",
        )
    models = project.sections.get(MODELS, {})
    for name in entry.served(key) if entry.runtime == BEDPLATE else ():
        pin = version_of(name, models[name], project) if name in models else None
        fixed = next(_fixed(pin.signature), None) if pin is not None and pin.signature is not None else None
        if fixed is not None:
            yield Diagnostic(
                "BP246",
                f"requests to {name} cannot be run as one: {fixed}",
                ("batching",),
                help="export the model with a free first dimension, or take batching out",
                at_key=True,
            )


def _fixed(signature: Signature) -> Iterator[str]:
    for what, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        for tensor in tensors:
            if tensor.shape is not None and tensor.shape[:1] != (ANY,):
                yield f"the first dimension of its {what} {tensor} is not free"
