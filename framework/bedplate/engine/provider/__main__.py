"""`python -m bedplate.engine.provider --project ROOT [engine address]`."""

from __future__ import annotations

import sys

from bedplate.engine.plugin_process import Arguments
from bedplate.engine.provider.kinds import KINDS
from bedplate.engine.provider.servicer import serve_provider

if __name__ == "__main__":
    serve_provider(KINDS, Arguments.parsed(sys.argv[1:]))
