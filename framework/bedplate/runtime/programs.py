"""How the programs that run in production are started: in the same words on this machine, in an image, in a pod."""

from __future__ import annotations


def command(python: str, module: str) -> tuple[str, ...]:
    """The command of one of them, named by its module here; its options follow."""
    # -P: what lies in the working directory must not stand in for a module
    return (python, "-P", "-m", f"bedplate.runtime.{module}")
