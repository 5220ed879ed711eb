"""Previewing, applying, refreshing and destroying the stacks of a session.

Stacks that are as their record says are skipped without an engine run. The rest are previewed in parallel
(a preview changes nothing, so order does not matter), then those with changes are applied in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bedplate.engine import plan as plans
from bedplate.engine.classify import classify
from bedplate.engine.division import refuse_misplaced
from bedplate.engine.identity import claim
from bedplate.engine.plan import Change, Plan, StackPlan
from bedplate.engine.pulumi import Event, Outcome
from bedplate.engine.session import LOOKS_AT_ONCE, Session, Stack, make_stacks, remove_stack, retire_stack
from bedplate.engine.sources import pointed
from bedplate.engine.state import NO_CHECKPOINT
from bedplate.errors import ApplyFailed, EngineError, Refused, StalePlan

OnStep = Callable[[Stack, Mapping[str, Any], str], None]
"""Told of every step of an apply: the stack, the step's metadata, and "begun", "done" or "failed"."""


def preview(session: Session, *, refresh: bool = False) -> Plan:
    """What `up` would change. Runs no engine for a stack whose record holds, or that was never applied."""
    session.refuse_unfinished()
    refuse_misplaced(session)
    stacks = list(session.live_stacks())
    with ThreadPoolExecutor(max_workers=LOOKS_AT_ONCE) as pool:
        made = list(pool.map(lambda stack: _preview_stack(session, stack, refresh), stacks))
    return Plan(session.project, session.environment, tuple(made))


def up(session: Session, plan: Plan, *, refresh: bool = False, on_step: OnStep | None = None) -> None:
    """Applies a plan's stacks in order. Raises ApplyFailed, Locked, Interrupted, Refused.

    A stack that fails leaves the later ones as they are; running `up` again goes on from there.
    """
    claim(session.workspace)
    planned = {stack.stack: stack for stack in plan.stacks}
    stacks = list(session.live_stacks())
    make_stacks(session, stacks)
    for stack in stacks:
        found = planned.get(stack.key)
        if refresh or found is None or found.changes:
            _up_stack(session, stack, refresh, on_step)
        else:
            stack.state.record.write(found.facts)
        if stack.former:
            retire_stack(session, stack)


def check_plan(session: Session, plan: Plan) -> None:
    """Raises StalePlan unless a saved plan describes this very spec, state, versions and secrets."""
    refuse_misplaced(session)
    now = {stack.key: session.facts(stack) for stack in session.live_stacks()}
    then = {stack.stack: stack.facts for stack in plan.stacks}
    if (plan.project, plan.environment) != (session.project, session.environment):
        raise StalePlan(f"the plan is for {plan.project} in {plan.environment}")
    if now.keys() != then.keys():
        raise StalePlan("the plan is about other stacks than there are now", hint=_AGAIN)
    for name, facts in now.items():
        for what, mine, planned in (
            ("the spec", facts.graph, then[name].graph),
            ("the state", facts.checkpoint, then[name].checkpoint),
            ("the version of bedplate or of its engine", facts.versions, then[name].versions),
            ("a secret", facts.secrets, then[name].secrets),
        ):
            if mine != planned:
                raise StalePlan(f"{what} of {name} has changed since the plan was made", hint=_AGAIN)


def refresh(session: Session, *, on_step: OnStep | None = None) -> list[Change]:
    """Looks at the world and records what is there. Answers what drifted."""
    session.refuse_unfinished()
    drifted: list[Change] = []
    for stack in session.live_stacks():
        if stack.state.exists():
            outcome = _operate(session, stack, ("refresh", "--yes", "--skip-preview"), on_step)
            _raise_for(session, stack, outcome)
            drifted += _drift(outcome.events, stack)
    return drifted


def destroy(session: Session, *, on_step: OnStep | None = None) -> None:
    """Takes every stack away, last first. Raises Refused before anything is deleted if one is protected."""
    session.refuse_unfinished()
    existing = [stack for stack in session.stacks if stack.state.exists()]
    _refuse_protected(existing)
    for stack in reversed(existing):
        stack.state.forget()
        outcome = _operate(session, stack, ("destroy", "--yes", "--skip-preview"), on_step)
        _raise_for(session, stack, outcome)
        remove_stack(session, stack)


_AGAIN = "make the plan again with `bedplate plan --save`"


def _preview_stack(session: Session, stack: Stack, refresh: bool) -> StackPlan:
    facts = session.facts(stack)
    if facts.checkpoint == NO_CHECKPOINT:
        return StackPlan(stack.key, facts, plans.from_graph(stack.graph, stack.origins), 0)
    if not refresh and facts == stack.state.record.read():
        return StackPlan(stack.key, facts, (), len(stack.graph.resources))
    arguments = ["preview", "--stack", stack.name, *(["--refresh"] if refresh else [])]
    outcome = session.pulumi.operate(stack.folder, *arguments)
    _raise_for(session, stack, outcome)
    changes, unchanged = plans.from_events(outcome.events, stack.section, stack.origins)
    return StackPlan(stack.key, facts, changes, unchanged)


def _up_stack(session: Session, stack: Stack, refresh: bool, on_step: OnStep | None) -> None:
    stack.state.forget()
    arguments = ["up", "--yes", "--skip-preview", *(["--refresh"] if refresh else [])]
    outcome = _operate(session, stack, arguments, on_step)
    _raise_for(session, stack, outcome)
    stack.state.record.write(session.facts(stack))


def _operate(session: Session, stack: Stack, arguments: Sequence[str], on_step: OnStep | None) -> Outcome:
    def told(event: Event) -> None:
        for key, word in _STEP_EVENTS.items():
            if key in event and on_step:
                on_step(stack, event[key]["metadata"], word)

    return session.pulumi.operate(stack.folder, *arguments, "--stack", stack.name, on_event=told)


_STEP_EVENTS = {"resourcePreEvent": "begun", "resOutputsEvent": "done", "resOpFailedEvent": "failed"}


def _drift(events: Sequence[Event], stack: Stack) -> list[Change]:
    """Differences that a refresh recorded: its step's result against what the state said before."""
    drifted = []
    for event in events:
        if "resOutputsEvent" not in event:
            continue
        metadata = event["resOutputsEvent"]["metadata"]
        if metadata["op"] == "same" or metadata["type"].startswith("pulumi:"):
            continue
        change = plans.drift(metadata, stack.section, stack.origins)
        if change:
            drifted.append(change)
    return drifted


def _refuse_protected(stacks: Sequence[Stack]) -> None:
    protected = [
        _address(stack, resource["urn"])
        for stack in stacks
        for resource in stack.state.resources()
        if resource.get("protect")
    ]
    if protected:
        raise Refused(
            f"protected, so nothing was destroyed: {', '.join(protected)}",
            hint="take the protection out of the spec, run `bedplate up`, then destroy",
        )


def _raise_for(session: Session, stack: Stack, outcome: Outcome) -> None:
    if outcome.ok:
        return
    session.refuse_interrupted(str(stack))
    protected = sorted({_address(stack, urn) for urn, text in outcome.complaints() if _PROTECTED in text})
    if protected:
        raise Refused(
            f"protected, and would be deleted or replaced: {', '.join(protected)}",
            hint="take the protection out of the spec and run `bedplate up`; then make this change",
        )
    if outcome.code < 0:
        raise EngineError(
            f"{stack}: the engine was killed by signal {-outcome.code}; was there enough memory?",
            hint="run `bedplate recover`, which looks what became of its work, then try again",
        )
    told = _failures(stack, outcome)
    if told:
        raise ApplyFailed("\n".join(told), hint="what succeeded is recorded; mend this and run it again")
    raise classify(outcome.text, what=str(stack))


_ENDED = "exited prematurely"
_PROTECTED = "To unprotect the resource"


def _address(stack: Stack, urn: str) -> str:
    """The spec's address of a resource, also of one that the spec no longer has."""
    name = plans.resource_name(urn)
    origin = stack.origins.get(name)
    return origin.address if origin else f"{stack.section}.{name}"


def _failures(stack: Stack, outcome: Outcome) -> list[str]:
    """One text per failure, led by the address and the place in the spec."""
    told: dict[str, None] = {}
    for urn, message in outcome.complaints():
        name = plans.resource_name(urn)
        origin = stack.origins.get(name)
        text = message.strip()
        if not text or text in ("update failed", "preview failed"):
            continue
        if _ENDED in text:  # the engine tells its user to report it to a provider's author
            text = "a plugin of bedplate was killed while it worked; was there enough memory?"
        if origin is not None:
            text = pointed(origin, text)
        elif urn and "pulumi:pulumi:Stack" not in urn:
            text = f"{stack.section}.{name}: {text}"
        told[text] = None
    return list(told)
