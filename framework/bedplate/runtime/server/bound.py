"""Runs of a model on arrays that stay where they are: as many run again and again on a request's few numbers.

Handing arrays over and making new ones costs about as much as a small model. A run writes into the outputs of
the one before; where their shapes turn out to hang on the input's values, each run makes its own again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bedplate.runtime.server.model import RUN_ERRORS, Array, Model

if TYPE_CHECKING:
    import onnxruntime


class Bound:
    """Runs on the same feeds, whose values change; what `run` returns holds until it is called again."""

    def __init__(self, model: Model, feeds: Mapping[str, Array]) -> None:
        self._model = model
        self._feeds = feeds
        self._elements = sum(array.size for array in feeds.values())
        self._names = [output.name for output in model.outputs]
        self._outputs: Sequence[Array] = ()
        self._binding: onnxruntime.IOBinding | None = None
        self._alike = True

    def run(self) -> Sequence[Array]:
        """Run the model; raises what Model.run raises."""
        if self._binding is not None:
            try:
                self._model.run_bound(self._binding, self._elements)
            except RUN_ERRORS:
                self._binding = None
                found = self._model.run(self._feeds, self._names, self._elements)
                self._alike = False  # it was the outputs' shapes
                return found
            return self._outputs
        found = self._model.run(self._feeds, self._names, self._elements)
        if self._alike and all(array.size for array in found):
            self._outputs = found
            self._binding = self._model.bind(self._feeds, dict(zip(self._names, found, strict=True)))
        return found
