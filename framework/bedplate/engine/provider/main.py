"""bedplate's provider with all its kinds, as a process."""

from __future__ import annotations

import sys

from bedplate.engine.plugin_process import Arguments
from bedplate.engine.provider.kinds import KINDS
from bedplate.engine.provider.servicer import serve_provider


def main() -> None:
    """Serves the engine until it is done."""
    serve_provider(KINDS, Arguments.parsed(sys.argv[1:]))
