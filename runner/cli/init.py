"""`tron init`: a commented `tron.toml`."""

from __future__ import annotations

from importlib import resources
from typing import Annotated

import typer

from runner.cli.context import Context, console
from runner.errors import ConfigError


def init(
    context: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Replace the one that is there.")] = False,
) -> None:
    """Write a tron.toml that names every setting with its default, commented out."""
    parent: Context = context.obj
    path = parent.directory / "tron.toml"
    content = template()
    try:
        with path.open("w" if force else "x") as file:
            file.write(content)
    except FileExistsError:
        raise ConfigError(f"{path} exists", "use --force to replace it") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", "go to a folder that can be written") from None
    console().print(f"wrote {path}: change what you like, then `tron run`")


def template() -> str:
    return resources.files("runner.cli").joinpath("tron.toml").read_text()
