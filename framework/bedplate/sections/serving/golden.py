"""The tests of a serving entry, held against the signature of the model that they ask.

What a request must be is the Open Inference Protocol's to say; here is looked at what a file alone can tell:
names, datatypes, shapes, and how much data there is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from bedplate.diagnostics import Diagnostic, PathKey, did_you_mean, meant_or
from bedplate.graph import Json
from bedplate.inputs import JsonContent, Needed, NotJson
from bedplate.sections.models import KEY as MODELS
from bedplate.sections.models import version_of
from bedplate.sections.serving.model import CONTAINER, Model, Test
from bedplate.signature import Signature, Tensor
from bedplate.workloads import GoldenTest, ModelRef

if TYPE_CHECKING:
    from bedplate.spec.project import Project

KEY = "serving"
_BYTES = 64 * 1024


def files(entries: Mapping[str, Model]) -> Iterator[Needed]:
    """The requests and answers of the tests."""
    for key, entry in entries.items():
        for index, test in enumerate(entry.tests):
            where = (KEY, key, "tests", index)
            yield Needed((*where, "request"), test.request, "json")
            yield Needed((*where, "expect"), test.expect, "json")


def check(key: str, entry: Model, project: Project) -> Iterator[Diagnostic]:
    """Files that are no JSON, tests of no model, requests and answers that its signature does not know."""
    served = entry.served(key)
    if entry.runtime != CONTAINER and served:
        yield from _sizes(key, entry, project)
    for index, test in enumerate(entry.tests):
        path: tuple[PathKey, ...] = ("tests", index)
        model = test.model or (served[0] if len(served) == 1 else None)
        request, answer = _content(test.request, project), _content(test.expect, project)
        yield from _readable(test, path, request, answer)
        if model is None or model not in served:
            if not _misnamed(model, served, project):
                yield from _no_model(test, path, served)
            continue
        signature = _signature(model, project)
        if signature is None:
            continue
        if isinstance(request, JsonContent):
            for wrong in _request(request.value, signature):
                yield _misfit("BP223", f"{test.request} is no request for {model}", wrong, (*path, "request"))
        if isinstance(answer, JsonContent):
            for wrong in _answer(answer.value, signature):
                yield _misfit("BP224", f"{test.expect} is no answer of {model}", wrong, (*path, "expect"))


def compiled(key: str, entry: Model, project: Project) -> Iterator[GoldenTest]:
    """What a server sends its models before they serve. In which `check` found nothing."""
    served = entry.served(key)
    for test in entry.tests:
        request, expect = (_content(path, project) for path in (test.request, test.expect))
        if isinstance(request, JsonContent) and isinstance(expect, JsonContent):
            model = test.model or served[0]
            asked, answered = (json.dumps(body.value, sort_keys=True) for body in (request, expect))
            yield GoldenTest(ModelRef(model), test.request, asked, answered, float(test.tolerance))


def _sizes(key: str, entry: Model, project: Project) -> Iterator[Diagnostic]:
    """They are part of the server's configuration, which a pod gets as a variable."""
    size = sum(len(test.request) + len(test.expect) for test in compiled(key, entry, project))
    if size > _BYTES:
        yield Diagnostic(
            "BP231",
            f"the tests are {size:,} bytes of JSON, and a server takes {_BYTES:,} at most",
            ("tests",),
            help="ask for fewer rows: a few are enough to tell whether it is the right model",
        )


def _misnamed(model: str | None, served: Sequence[str], project: Project) -> bool:
    """Whether the entry names a model that is none, which is said there, and may have meant this one."""
    known = project.declared(MODELS)
    return known is None or (model in known and not known.issuperset(served))


def _content(path: str, project: Project) -> object:
    fact = project.inputs.files.get(path)
    return fact.content if fact else None


def _signature(model: str, project: Project) -> Signature | None:
    entry = project.sections.get("models", {}).get(model)
    pin = version_of(model, entry, project) if entry is not None else None
    return pin.signature if pin else None


def _readable(test: Test, path: tuple[PathKey, ...], *contents: object) -> Iterator[Diagnostic]:
    for content, field, name in zip(
        contents, ("request", "expect"), (test.request, test.expect), strict=True
    ):
        if isinstance(content, NotJson):
            yield Diagnostic("BP226", f"{name} is no JSON: {content.reason}", (*path, field))


def _no_model(test: Test, path: tuple[PathKey, ...], served: Sequence[str]) -> Iterator[Diagnostic]:
    if test.model is None and served:
        yield Diagnostic(
            "BP225",
            "the entry serves several models, and this test does not say which one it asks",
            path,
            help=f"add model: one of {', '.join(served)}",
        )
    elif test.model is not None:
        yield Diagnostic(
            "BP225",
            f"this entry does not serve {test.model}",
            (*path, "model"),
            help=meant_or(test.model, served, f"it serves: {', '.join(served) or 'no model'}"),
        )


def _misfit(code: str, what: str, wrong: str, path: tuple[PathKey, ...]) -> Diagnostic:
    return Diagnostic(code, f"{what}: {wrong}", path)


def _request(value: Json | None, signature: Signature) -> Iterator[str]:
    given = _tensors(value, "inputs")
    if isinstance(given, str):
        yield given
        return
    known = {tensor.name: tensor for tensor in signature.inputs}
    missing = [name for name in known if name not in given]
    if missing and given.keys() <= known.keys():
        yield f"the input {missing[0]} is missing"
    for name, tensor in given.items():
        if name not in known:
            yield _unknown("input", name, known)
        else:
            yield from _fits(tensor, known[name])


def _answer(value: Json | None, signature: Signature) -> Iterator[str]:
    expected = _tensors(value, "outputs")
    if isinstance(expected, str):
        yield expected
        return
    known = {tensor.name: tensor for tensor in signature.outputs}
    for name, tensor in expected.items():
        if name not in known:
            yield _unknown("output", name, known)
        else:
            yield from _fits(tensor, known[name], whole=False)


def _unknown(role: str, name: str, known: Mapping[str, Tensor]) -> str:
    near = did_you_mean(name, known)
    return f"there is no {role} {name}" + (f", did you mean {near}?" if near else f"; {_listed(known)}")


def _listed(known: Mapping[str, Tensor]) -> str:
    return f"there are: {', '.join(map(str, known.values()))}"


def _tensors(value: Json | None, key: str) -> dict[str, Mapping[str, Json]] | str:
    """The tensors of a body by name, or what is wrong with it as a whole."""
    if not isinstance(value, dict):
        return "it is no JSON object"
    listed = value.get(key)
    if not isinstance(listed, list) or not listed:
        return f"it has no {key}"
    tensors: dict[str, Mapping[str, Json]] = {}
    for item in listed:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            return f"one of its {key} has no name"
        name = str(item["name"])
        if name in tensors:
            return f"{name} is there twice"
        tensors[name] = item
    return tensors


def _fits(given: Mapping[str, Json], tensor: Tensor, *, whole: bool = True) -> Iterator[str]:
    """Why a tensor is not the signature's. `whole` False: what is left out need not be said."""
    datatype, shape = given.get("datatype"), given.get("shape")
    if (whole or datatype is not None) and datatype != tensor.datatype:
        yield f"{tensor.name} is {tensor.datatype}, not {_shown(datatype)}"
    if not whole and shape is None:
        return
    if not isinstance(shape, list) or not all(type(extent) is int and extent >= 0 for extent in shape):
        yield f"the shape of {tensor.name} is no list of whole numbers"
        return
    extents = [int(str(extent)) for extent in shape]
    if not tensor.takes(extents):
        yield f"{tensor.name} has the shape {extents}, and the model takes {[*(tensor.shape or ())]}"
    elif "data" in given and (elements := _count(given["data"])) != prod(extents):
        yield f"{tensor.name} has {elements} elements, and its shape {extents} says {prod(extents)}"
    elif whole and "data" not in given:
        yield f"{tensor.name} has no data"


def _shown(value: Json | None) -> str:
    text = "missing" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _count(data: Json) -> int:
    return sum(map(_count, data)) if isinstance(data, list) else 1
