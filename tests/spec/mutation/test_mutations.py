"""Every mistake in every field: one error, where it is, with the word that was meant.

Where it is none, because what it leaves is another valid spec:
no value      in an override null removes
no key        in an override, in defaults and in an environment that extends another, which are merged
a wrong type  a scalar where a text is taken: 5 and true are those texts
a typo        that is another key of its place (model, models) or begins with x-; in names of entries, of secrets,
              of variables of a container and of anything in a patch, which are free; in a file's path or an
              image, of which only the world knows what was meant
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from bedplate.spec.types import OneOf
from tests.spec.mutation.documents import NAMES, Document
from tests.spec.mutation.mutations import (
    Mutation,
    missing_key,
    missing_value,
    misspelt_keys,
    misspelt_values,
    set_free,
    wrong_types,
)
from tests.spec.mutation.referring import named
from tests.spec.mutation.slots import fields, slots
from tests.spec.mutation.tally import PROPERTY, Tally

SUGGESTED_AT_LEAST = 0.95
Record = Callable[[str, object], None]


@pytest.fixture(params=NAMES)
def document(request: pytest.FixtureRequest, tmp_path: Path) -> Document:
    return Document.copied(request.param, tmp_path)


def answered(document: Document, mutations: Iterable[tuple[str, Mutation]], record: Record) -> Tally:
    """Checks the document with every mutation of a file, and counts."""
    tally = Tally()
    for file, mutation in mutations:
        found, missed = document.missed(file, mutation)
        tally.made[mutation.kind] += 1
        if missed:
            tally.missed.append(missed)
        if mutation.meant:
            tally.typos[mutation.kind] += 1
            if any(f"did you mean {mutation.meant}?" in (d.help or "") for d in found):
                tally.suggested[mutation.kind] += 1
            else:
                tally.unmended.append(f"{mutation.what} for {mutation.meant}: {[d.help for d in found]}")
    record(PROPERTY, tally.to_data())
    return tally


def test_every_field_of_the_grammar_is_written_in_a_document(tmp_path: Path) -> None:
    documents = [Document.copied(name, tmp_path / name) for name in NAMES]
    written = {(slot.owner, slot.name) for document in documents for _, slot in document.slots()}

    assert [f"{model.__name__}.{name}" for model, name in fields() if (model, name) not in written] == []


def test_a_document_is_valid(document: Document) -> None:
    assert document.check() == ()


def test_a_misspelt_key_is_one_error_with_the_key_that_was_meant(
    document: Document, record_property: Record
) -> None:
    def mutations() -> Iterator[tuple[str, Mutation]]:
        for file, slot in document.slots():
            if slot.siblings:
                yield from ((file, mutation) for mutation in misspelt_keys(document.texts[file], slot))

    tally = answered(document, mutations(), record_property)

    assert tally.missed == []
    assert tally.rate >= SUGGESTED_AT_LEAST, tally.unmended


def test_a_misspelt_word_is_one_error_with_the_word_that_was_meant(
    document: Document, record_property: Record
) -> None:
    def mutations() -> Iterator[tuple[str, Mutation]]:
        for file, slot in document.slots():
            if isinstance(slot.takes, OneOf):
                known = frozenset(slot.takes.words)
                made = misspelt_values(document.texts[file], slot.value, known)
                yield from ((file, mutation) for mutation in made)

    tally = answered(document, mutations(), record_property)

    assert tally.missed == []
    assert tally.rate >= SUGGESTED_AT_LEAST, tally.unmended


def test_a_misspelt_name_is_one_error_with_the_name_that_was_meant(
    document: Document, record_property: Record
) -> None:
    def mutations() -> Iterator[tuple[str, Mutation]]:
        for file, text in document.texts.items():
            for name in named(text, slots(text)):
                yield from ((file, mutation) for mutation in name.misspelt(text))

    tally = answered(document, mutations(), record_property)

    assert tally.missed == []
    assert tally.rate >= SUGGESTED_AT_LEAST, tally.unmended


def test_a_name_of_nothing_is_one_error(document: Document, record_property: Record) -> None:
    def mutations() -> Iterator[tuple[str, Mutation]]:
        for file, text in document.texts.items():
            yield from ((file, name.to_nothing(text)) for name in named(text, slots(text)))

    assert answered(document, mutations(), record_property).missed == []


def test_a_value_of_another_type_is_one_error(document: Document, record_property: Record) -> None:
    def mutations() -> Iterator[tuple[str, Mutation]]:
        for file, slot in document.slots():
            yield from ((file, mutation) for mutation in wrong_types(document.texts[file], slot))

    assert answered(document, mutations(), record_property).missed == []


def test_a_key_without_a_value_is_one_error(document: Document, record_property: Record) -> None:
    def mutations() -> Iterator[tuple[str, Mutation]]:
        for file, slot in document.slots():
            if not slot.removable:
                yield file, missing_value(document.texts[file], slot)

    assert answered(document, mutations(), record_property).missed == []


def test_a_required_key_that_is_not_there_is_one_error(document: Document, record_property: Record) -> None:
    def mutations() -> Iterator[tuple[str, Mutation]]:
        for file, slot in document.slots():
            if slot.required and not slot.merged:
                yield file, missing_key(document.texts[file], slot)

    assert answered(document, mutations(), record_property).missed == []


def test_a_key_that_begins_with_x_is_free_everywhere(document: Document) -> None:
    for file, slot in document.slots():
        if slot.siblings:
            assert document.check_with(file, set_free(document.texts[file], slot)) == (), slot.path
