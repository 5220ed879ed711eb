"""`python -m bedplate` is the command `bedplate`."""

from bedplate.cli import main

main()
