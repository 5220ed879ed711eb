"""How many mutations were made and what was said of them: carried by the tests' reports, summed at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

PROPERTY = "mutations"
SUGGESTED = " with the right suggestion"


@dataclass
class Tally:
    """`made` by kind; `suggested` those that a suggestion mends; `missed` those that were answered wrongly."""

    made: Counter[str] = field(default_factory=Counter)
    typos: Counter[str] = field(default_factory=Counter)
    suggested: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    unmended: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.suggested.total() / self.typos.total() if self.typos else 1

    def to_data(self) -> dict[str, dict[str, int]]:
        return {"made": dict(self.made), "typos": dict(self.typos), "suggested": dict(self.suggested)}


def summary(properties: Iterable[tuple[str, dict[str, dict[str, int]]]]) -> Iterator[str]:
    """The lines of the summary, from what every test has counted."""
    total = Tally()
    for name, data in properties:
        if name == PROPERTY:
            total.made.update(data["made"])
            total.typos.update(data["typos"])
            total.suggested.update(data["suggested"])
    for kind, made in total.made.most_common():
        share = f", {total.suggested[kind]} with the right suggestion" if total.typos[kind] else ""
        yield f"{made:6} {kind}{share}"
    if total.typos:
        yield (
            f"{total.made.total():6} mutations; the right suggestion in {total.suggested.total()} of "
            f"{total.typos.total()} typos ({total.rate:.2%})"
        )
