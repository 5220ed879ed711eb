"""`python -m bedplate.runtime.server --config FILE --control SOCKET`: run a model server's master."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bedplate.runtime.server.master import serve


def main(arguments: list[str]) -> int:
    """Run a master until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m bedplate.runtime.server")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--control", type=Path, required=True, metavar="SOCKET")
    options = parser.parse_args(arguments)
    return serve(options.config, options.control)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
