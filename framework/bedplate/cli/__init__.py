"""The command line: one file per verb, thin, imported only when it is called.

The one handler of errors is here: expected failures become a message and their exit code, a bug becomes
exit 3 with its traceback in a log file, Ctrl-C becomes 130.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from bedplate.cli import interrupts, terminal
from bedplate.errors import BedplateError, EngineError, Interrupted, SpecError
from bedplate.version import __version__

BUG = 3
# What a short command allocates are imported modules, the spec and its graphs, which live to its end: looking
# through them again and again for garbage takes a tenth of its time, and finds none.
OBJECTS_BETWEEN_COLLECTIONS = 1_000_000

# verb -> (its module, its line in --help); a literal, so that --help imports no verb
VERBS = {
    "init": "start a project from a template",
    "validate": "check the spec: everything that can be known offline, every environment",
    "explain": "what a diagnostic's code or a field of the spec means",
    "schema": "print what a spec can say: JSON Schema for editors, a reference for people",
    "lock": "pin the versions of models in bedplate.lock, and show what changed",
    "build": "build the images of bedplate's own servers, and pin their digests",
    "compile": "write the Pulumi projects of every environment under stacks/",
    "graph": "draw what the spec becomes in one environment",
    "policies": "list the policies that hold, and test the team's own",
    "plan": "show what `up` would change",
    "up": "make the world as the spec says",
    "status": "what runs, where, and how healthy it is",
    "logs": "print or follow the log of a service",
    "refresh": "look at the real world and record what drifted",
    "recover": "clean up after a command that was killed",
    "destroy": "take everything away",
    "shards": "divide a section of many resources among several stacks",
    "env": "print the exports that bare `pulumi` needs",
    "doctor": "say what is missing on this machine and how to get it",
    "engine": "find the Pulumi engine, or get it",
}


class Verbs(click.Group):
    """Imports a verb's module when it is called, and lists verbs without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = import_module(f"bedplate.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"bedplate.cli.{cmd_name}.command is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, n=1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`bedplate COMMAND --help` says more. Exit codes: 0 done, 1 the spec or a policy refuses, "
    "2 the command line is wrong, 3 a bug of bedplate, 4 the engine or the world failed, "
    "5 somebody else holds the lock or has changed the state, 130 interrupted.",
)
@click.version_option(__version__, prog_name="bedplate")
@click.option(
    "-C",
    "folder",
    metavar="DIR",
    default=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Work on the project in DIR, or in the nearest folder above that has a bedplate.yaml.  [default: .]",
)
@click.pass_context
def bedplate(ctx: click.Context, folder: Path) -> None:
    """One YAML spec for a production ML project, applied idempotently through Pulumi."""
    ctx.obj = folder


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The console script: runs one verb and exits with its code."""
    interrupts.notice()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    terminal.tolerate_any_stream()
    words = list(sys.argv[1:] if arguments is None else arguments)
    code = run(words)
    gc.freeze()  # the process ends: nothing that it holds has to be taken apart
    sys.exit(code)


def run(words: list[str]) -> int:
    """Runs one verb and answers its exit code; every failure is told to the user here."""
    as_json = "--json" in words
    try:
        result = bedplate.main(words, prog_name="bedplate", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        error.show()
        return 2
    except SpecError as error:
        terminal.show_spec_error(error, as_json=as_json)
        return error.exit_code
    except BedplateError as error:
        terminal.show_error(error, as_json=as_json)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        terminal.show_error(Interrupted("interrupted"), as_json=as_json)
        return Interrupted.exit_code
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        told = EngineError(f"{where}{error.strerror or error}", hint="mend that, then run the command again")
        terminal.show_error(told, as_json=as_json)
        return told.exit_code
    except Exception as bug:  # noqa: BLE001 - the one place where a bug is met
        return _bug(bug)
    return result if isinstance(result, int) else 0


def _reader_left() -> int:
    """`bedplate ... | head`: nobody reads any more, which is no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _bug(bug: Exception) -> int:
    import traceback

    text = "".join(traceback.format_exception(bug))
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "bedplate"
    name = folder / f"bug-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        name.write_text(f"bedplate {__version__}, Python {sys.version}\n\n{text}", encoding="utf-8")
    except OSError:
        terminal.line(text, error=True)
        where = "above"
    else:
        where = f"in {name}"
    terminal.line(f"bedplate has a bug: {type(bug).__name__}. The details are {where}.", error=True)
    return BUG
