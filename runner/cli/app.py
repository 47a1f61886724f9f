"""The verbs of `tron`, its global options, and how errors look: one line that says what is wrong and what to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from runner.cli import doctor, init, read, resume, run, serve, ship, verify
from runner.cli.context import Context
from runner.errors import ConfigError, RunnerError
from runner.version import VERSION

USAGE_ERROR = 2
FAILURE = 1

app = typer.Typer(
    name="tron",
    help="Run trading bots and keep everything they do: cheaply, completely, provably.",
    no_args_is_help=True,
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


def main() -> None:
    """Run the command line; ends the process with 0, 1 for a failure, or 2 for something that was asked wrongly."""
    try:
        app()
    except RunnerError as error:
        hint = f" ({error.hint})" if error.hint else ""
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {error}{hint}", style="red", markup=False)
        sys.exit(USAGE_ERROR if isinstance(error, ConfigError) else FAILURE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILURE)
