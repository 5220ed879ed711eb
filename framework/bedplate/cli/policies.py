"""`bedplate policies`: list the policies that hold, and test the team's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bedplate.cli import options, terminal
from bedplate.errors import SpecError, UsageError

if TYPE_CHECKING:
    from bedplate.cli.project import Policed
    from bedplate.policies.policy import Policy
    from bedplate.policies.trials import Outcome, Report, Tried


@click.command("policies", short_help="list the policies that hold, and test the team's own")
@click.option(
    "--env", "environment", metavar="NAME", help="Only those that can hold there.  [default: everywhere]"
)
@click.option("--test", is_flag=True, help="Run the tests of the team's own policies.")
@click.option("--no-code", is_flag=True, help="Run no code of the project: leave out its policies in Python.")
@options.as_json
@click.pass_obj
def command(folder: Path, environment: str | None, test: bool, no_code: bool, as_json: bool) -> int:
    """List the policies that hold: what each demands, and where. Needs no engine and no model's file.

    With --test, run the team's tests of its own: policies/tests/RULE.yaml holds, by their names under
    accept and refuse, resources that policies/RULE.yaml or RULE.py must accept or refuse. Exit code 1: a
    test failed. A rule that nothing tests is named.
    """
    from bedplate.cli.project import read_policies

    if test and environment is not None:
        raise click.UsageError("--env is for the list: a test says itself which environment it is about.")
    policed = read_policies(folder, environment, code=not no_code)
    if test:
        return _test(policed, as_json=as_json)
    if policed.damage:
        raise SpecError(policed.damage)
    _list(policed, as_json=as_json)
    return 0


def _list(policed: Policed, *, as_json: bool) -> None:
    from bedplate.policies import BUILT_IN

    holding = [(policy, _where(policy, policed)) for policy in (*BUILT_IN, *policed.team)]
    if as_json:
        data = [_data(policy, where) for policy, where in holding]
        terminal.data({"policies": data, "left_out": [*policed.left_out]})
        return
    shown = [(policy, where) for policy, where in holding if where]
    width = max((len(policy.code) for policy, _ in shown), default=0)
    for policy, where in shown:
        code = terminal.paint(policy.code.ljust(width), "name")
        terminal.line(f"{code}  {policy.level:7}  {terminal.escaped(policy.title)}")
        everywhere = len(where) == len(policed.environments) > 1
        places = "everywhere" if everywhere else f"in {', '.join(where)}"
        terminal.line(
            terminal.paint(f"{'':{width + 11}}{terminal.escaped(places + _about(policy))}", "quiet")
        )
    _tell_left_out(policed)
    if shown or policed.left_out:
        terminal.line()
    others = len(holding) - len(shown)
    elsewhere = f", {others} {'does' if others == 1 else 'do'} not apply here" if others else ""
    terminal.line(_counted(len(shown), "policy holds", "policies hold") + elsewhere)


def _tell_left_out(policed: Policed) -> None:
    for file in policed.left_out:
        terminal.line(f"{terminal.escaped(file)} is code, and left out")


def _where(policy: Policy, policed: Policed) -> list[str]:
    return [
        name
        for name, environment in policed.environments.items()
        if policy.applies.to(name, environment.mode, environment.target)
    ]


def _about(policy: Policy) -> str:
    """What else there is to say of where it applies, and its file."""
    parts = [f"mode {policy.applies.mode}"] if policy.applies.mode else []
    parts += [policy.applies.type] if policy.applies.type != "*" else []
    parts += [policy.origin] if policy.rule else []
    return f"; {', '.join(parts)}" if parts else ""


def _data(policy: Policy, where: list[str]) -> dict[str, object]:
    applies = policy.applies
    return {
        "code": policy.code,
        "level": policy.level,
        "demands": policy.title,
        "file": policy.origin if policy.rule else None,
        "environments": where,
        "applies": {"type": applies.type, "mode": applies.mode, "environment": applies.environment},
    }


def _test(policed: Policed, *, as_json: bool) -> int:
    from bedplate.policies.trials import try_rules

    if not policed.folder:
        raise UsageError(
            "the spec names no folder of policies, so that there is nothing to test",
            hint="write `policies: policies` in the spec, and a rule into that folder: bedplate explain BP750",
        )
    report = try_rules(policed.root, policed.folder, policed.team)
    succeeded = report.succeeded and not policed.damage
    if as_json:
        terminal.data(_report_data(report, policed, succeeded))
    else:
        if policed.damage:
            terminal.show_spec_error(SpecError(policed.damage), as_json=False)
        for text in _report(report):
            terminal.line(text)
        _tell_left_out(policed)
        terminal.line()
        terminal.line(_summary(report))
    return 0 if succeeded else 1


def _report(report: Report) -> Iterator[str]:
    for tried in report.tried:
        code = terminal.paint(tried.policy.code, "name")
        yield f"{code}  {terminal.escaped(f'{tried.policy.title}  ({tried.policy.origin})')}"
        for outcome in tried.outcomes:
            yield from _outcome(outcome, tried)
        if tried.untested:
            yield f"  {terminal.paint('warning', 'change')}  {tried.untested}: {terminal.escaped(_cure(tried))}"
    for file, why in report.problems.items():
        yield f"{terminal.paint('error', 'bad')}  {terminal.escaped(file)} is no test"
        yield f"       {terminal.escaped(why)}"


def _outcome(outcome: Outcome, tried: Tried) -> Iterator[str]:
    trial = outcome.trial
    word = terminal.paint("pass", "good") if outcome.passed else terminal.paint("FAIL", "bad", bold=True)
    yield f"  {word}  {trial.kind}  {terminal.escaped(trial.name)}"
    if not outcome.passed:
        yield f"        {terminal.escaped(f'{tried.file}:{trial.line}: {_short(outcome.why)}')}"


def _cure(tried: Tried) -> str:
    return f"add to {tried.file}" if tried.outcomes else f"write {tried.file}"


def _short(text: str) -> str:
    """Messages may quote whole resources."""
    return text if len(text) <= 300 else text[:299] + "…"


def _summary(report: Report) -> str:
    tests = len(report.outcomes)
    parts = [_counted(tests, "test", "tests")]
    parts += [f"{report.failed} failed"] if report.failed else ["all passed"] if tests else []
    warnings = sum(bool(tried.untested) for tried in report.tried)
    parts += [_counted(warnings, "warning", "warnings")] if warnings else []
    broken = len(report.problems)
    parts += [_counted(broken, "file is no test", "files are no tests")] if broken else []
    return ", ".join(parts)


def _report_data(report: Report, policed: Policed, succeeded: bool) -> dict[str, object]:
    from bedplate.report import as_data

    return {
        "succeeded": succeeded,
        "tests": len(report.outcomes),
        "failed": report.failed,
        "policies": [
            {
                "code": tried.policy.code,
                "file": tried.policy.origin,
                "untested": tried.untested or None,
                "tests": [*_outcome_data(tried.outcomes, tried)],
            }
            for tried in report.tried
        ],
        "problems": [{"file": file, "why": why} for file, why in report.problems.items()],
        "left_out": [*policed.left_out],
        "diagnostics": as_data(policed.damage),
    }


def _outcome_data(outcomes: Iterable[Outcome], tried: Tried) -> Iterator[dict[str, object]]:
    for outcome in outcomes:
        yield {
            "name": outcome.trial.name,
            "must": outcome.trial.kind,
            "passed": outcome.passed,
            "why": outcome.why or None,
            "file": tried.file,
            "line": outcome.trial.line,
        }


def _counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"
