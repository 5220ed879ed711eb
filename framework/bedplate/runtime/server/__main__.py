"""`python -m bedplate.runtime.server --config FILE --control SOCKET`: run a model server's master.

On a cluster the configuration is an environment variable's value, as it is part of the pod:
`--config-variable NAME`.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from bedplate.runtime.server.config import load, load_variable
from bedplate.runtime.server.master import serve


def main(arguments: list[str]) -> int:
    """Run a master until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m bedplate.runtime.server")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--config", type=Path, metavar="FILE")
    source.add_argument("--config-variable", metavar="NAME")
    parser.add_argument("--control", type=Path, required=True, metavar="SOCKET")
    options = parser.parse_args(arguments)
    if options.config is not None:
        return serve(partial(load, options.config), options.control)
    return serve(partial(load_variable, options.config_variable), options.control)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
