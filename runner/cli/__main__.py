"""`python -m runner.cli` is `tron`."""

from runner.cli import main

main()
