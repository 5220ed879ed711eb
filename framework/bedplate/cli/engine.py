"""`bedplate engine install`: get the Pulumi engine."""

from __future__ import annotations

import click

from bedplate.cli import terminal


@click.group("engine", short_help="find the Pulumi engine, or get it")
def command() -> None:
    """The Pulumi engine that bedplate runs on."""


@command.command("install", short_help="find it, or get it")
def install() -> None:
    """Find the Pulumi engine, or get it: Pulumi's own installer, else a build from the Go module proxy."""
    from bedplate.engine.install import install_engine

    engine = install_engine(lambda text: terminal.line(f"  {text}"))
    terminal.line(f"Pulumi {engine.version} ({engine.source}): {engine.path}")
