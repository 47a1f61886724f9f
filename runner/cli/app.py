"""The verbs of `tron`, its global options, and how errors look: one line that says what is wrong and what to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from runner.cli import (
    backup,
    costs,
    doctor,
    export,
    init,
    read,
    recover,
    restore,
    resume,
    run,
    serve,
    ship,
    sweep,
    verify,
)
from runner.cli.context import Context
from runner.errors import ConfigError, RunnerError
from runner.version import VERSION

USAGE_ERROR = 2
FAILURE = 1

app = typer.Typer(
    name="tron",
    help="Run trading bots and keep everything they do: cheaply, completely, provably.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    run.run,
    ship.ship,
    read.tail,
    read.search,
    read.query,
    verify.verify,
    export.export,
    sweep.sweep,
    backup.backup,
    restore.restore,
    recover.recover,
    costs.costs,
    serve.dashboard,
    doctor.doctor,
    resume.resume,
    init.init,
):
    app.command()(verb)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tron {VERSION}")
        raise typer.Exit


@app.callback()
def prepare(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="The folder that keeps everything (TRON_HOME).")] = None,
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")] = False,
) -> None:
    context.obj = Context(dict(os.environ), Path.cwd(), home)
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Run the command line; ends the process with 0, 1 for a failure, or 2 for something that was asked wrongly."""
    try:
        sys.exit(app(prog_name="tron", standalone_mode=False))
    except typer.TyperException as error:
        _complain(error.format_message(), "see `tron --help`, or `tron VERB --help`")
        sys.exit(USAGE_ERROR)
    except RunnerError as error:
        _complain(str(error), error.hint)
        sys.exit(USAGE_ERROR if isinstance(error, ConfigError) else FAILURE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILURE)


def _complain(message: str, hint: str) -> None:
    line = f"error: {message}" + (f" ({hint})" if hint else "")
    Console(stderr=True, soft_wrap=True, highlight=False).print(" ".join(line.split()), style="red", markup=False)
