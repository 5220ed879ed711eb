"""Whether the gates of a canary can decide anything with the requests that it gets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from bedplate.diagnostics import Diagnostic
from bedplate.sections.serving.model import Model, Step

CONFIDENCE = 0.95


def requests_to_tell(entry: Model) -> int:
    """The requests without which neither gate can tell a version that keeps its objective from one that fails.

    For a rate of errors e, so many that a version at e shows one with 95 % confidence: n = ln 0.05 / ln(1 - e),
    about 3/e ("rule of three", Hanley and Lippman-Hand, JAMA 1983). For the 95th percentile, so many that the
    slowest is above it with 95 % confidence: n = ln 0.05 / ln 0.95 (Wilks, Ann. Math. Stat. 1941).
    """
    p95, error_rate = objectives(entry)
    needed = 0
    if error_rate is not None:
        needed = _until_seen(float(error_rate))
    if p95 is not None:
        needed = max(needed, _until_seen(0.05))
    return needed


def objectives(entry: Model) -> tuple[Decimal | None, Decimal | None]:
    """The p95 in seconds and the error rate that the gates hold a new version to: theirs, or the SLO's."""
    gates, slo = entry.rollout.gates, entry.slo
    return gates.p95 or slo.p95, gates.error_rate or slo.error_rate


def check(entry: Model) -> Iterator[Diagnostic]:
    """Gates without a canary, samples that are too small to tell, steps that are too short to gather them."""
    steps, gates = entry.rollout.canary, entry.rollout.gates
    said = gates.model_fields_set
    if said and not steps:
        yield Diagnostic(
            "BP217",
            "gates decide between the steps of a canary, and there are none",
            ("rollout", "gates"),
            help="add canary: [{weight: 5%, hold: 1h}], or take the gates out",
            at_key=True,
        )
    needed = requests_to_tell(entry)
    if not steps or not needed:
        return
    if gates.min_requests is not None and gates.min_requests < needed:
        yield Diagnostic(
            "BP219",
            f"{gates.min_requests} requests cannot tell a version that keeps its objective from one that does not",
            ("rollout", "gates", "min_requests"),
            help=f"{needed:,} or more, or leave it out",
        )
    elif entry.traffic is not None:
        wanted = max(needed, gates.min_requests or 0)
        for index, step in enumerate(steps):
            yield from _too_few(index, step, entry.traffic.expected_rps, wanted)


def _too_few(index: int, step: Step, rps: Decimal, wanted: int) -> Iterator[Diagnostic]:
    gets = rps * step.weight * step.hold
    if gets >= wanted:
        return
    hold_s = math.ceil(wanted / (rps * step.weight))
    share = min(Decimal(1), wanted / (rps * step.hold))
    wider = f", or a weight of {math.ceil(share * 100)}%" if share <= Decimal("0.99") else ""
    yield Diagnostic(
        "BP218",
        f"this step gets {int(gets):,} requests, and its gates need {wanted:,} to decide: it would pause",
        ("rollout", "canary", index, "hold"),
        help=f"hold it for {_duration(hold_s)}{wider}",
    )


def _until_seen(rate: float) -> int:
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-rate)) if rate < 1 else 1


def _duration(seconds: int) -> str:
    """A length of time as the spec writes it, rounded up to what people would write."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds > 2 * size:
            return f"{math.ceil(seconds / size)}{unit}"
    return f"{seconds}s"
