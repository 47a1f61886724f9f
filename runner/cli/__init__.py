"""`tron`: the command line. One module a verb; `app` puts them together."""

from runner.cli.app import main

__all__ = ["main"]
