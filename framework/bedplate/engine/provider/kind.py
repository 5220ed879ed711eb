"""What a kind of resource is to bedplate's provider: its properties as data, and five things it can do.

A kind works on plain JSON data. The servicer decodes, checks and compares properties, runs previews
without calling the kind at all, and turns what a kind raises into what the engine understands.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bedplate.graph import Json
from bedplate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Property:
    """One property. `schema` is its JSON schema, such as `{"type": "string"}`; the provider publishes it.

    `replaces`: a change of it makes a new resource. `words`: how a plan names it, "model"; `because`: why
    a plan says it changes, where that is not simply an edit of the spec ("the file's content changed").
    `secret`: as an output, its value is encrypted in the state.
    """

    schema: Mapping[str, object]
    required: bool = True
    replaces: bool = False
    words: str = ""
    because: str = ""
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """Where one call works. `cancelled` is set once the user wants it to end; `log` shows a progress line."""

    workspace: Workspace
    urn: str
    cancelled: threading.Event
    log: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Created:
    """A new resource. `outputs` are those beyond the inputs; the servicer adds the inputs itself."""

    id: str
    outputs: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """What is in the world now, as inputs that would have made it, and outputs beyond them.

    `unhealthy` says why it exists but does not work; the engine then keeps it and tries again on the next up.
    """

    inputs: Mapping[str, Json]
    outputs: Mapping[str, Json] = field(default_factory=dict)
    unhealthy: tuple[str, ...] = ()


class ResourceFailed(Exception):
    """The world is as before, or as far as a further try will find and complete. `hint` says what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}\n{hint}")
        self.message = message
        self.hint = hint


class NotHealthy(Exception):
    """The resource exists but does not work; the engine records it, and the next up tries to update it."""

    def __init__(self, id: str, outputs: Mapping[str, Json], reasons: tuple[str, ...]) -> None:  # noqa: A002
        super().__init__("; ".join(reasons))
        self.id = id
        self.outputs = outputs
        self.reasons = reasons


class Kind(Protocol):
    """One kind of resource. Calls for different resources run at once, in threads and in processes."""

    @property
    def TOKEN(self) -> str:
        """`bedplate:<module>:<Type>`."""
        ...

    @property
    def SUMMARY(self) -> str:
        """One sentence, for the published schema."""
        ...

    @property
    def PROPERTIES(self) -> Mapping[str, Property]:
        """What a graph gives it."""
        ...

    @property
    def OUTPUTS(self) -> Mapping[str, Property]:
        """What is known beyond the inputs once it exists; of a Property only `schema` and `secret` count."""
        ...

    @property
    def DELETE_FIRST(self) -> bool:
        """Whether a replacement deletes the old one before it creates the new one."""
        ...

    def create(self, context: Context, inputs: Mapping[str, Json]) -> Created:
        """Makes it. Run again after being killed half-way, it completes what it finds of its own.

        Raises ResourceFailed, or NotHealthy when it exists but does not work.
        """
        ...

    def read(
        self,
        context: Context,
        id: str,  # noqa: A002
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
    ) -> Observed | None:
        """What is there now, None when gone. Drift shows as changed inputs. On import both are empty."""
        ...

    def update(
        self,
        context: Context,
        id: str,  # noqa: A002
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
        new_inputs: Mapping[str, Json],
    ) -> Mapping[str, Json]:
        """Changes it from `inputs` to `new_inputs` and gives its new outputs. Raises as create does."""
        ...

    def delete(
        self,
        context: Context,
        id: str,  # noqa: A002
        inputs: Mapping[str, Json],
        outputs: Mapping[str, Json],
    ) -> None:
        """Removes it if its token is ours. Already gone is fine."""
        ...

    def may_replace(
        self, context: Context, inputs: Mapping[str, Json], new_inputs: Mapping[str, Json]
    ) -> None:
        """Raises ResourceFailed where its successor could not be made: asked before anything is deleted."""
        ...

    def find(self, context: Context) -> str | None:
        """The id of what the world holds under this URN, if a creation was cut off before it was recorded."""
        ...
