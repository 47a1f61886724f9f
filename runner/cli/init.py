"""`tron init`: a commented `tron.toml`, or what Terraform must know of the code."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from runner.cli.context import Context, console
from runner.errors import ConfigError


def init(
    context: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Replace the one that is there.")] = False,
    terraform: Annotated[Path | None, typer.Option(help="Write what Terraform must know into this folder.")] = None,
) -> None:
    """Write a tron.toml that names every setting with its default, commented out."""
    parent: Context = context.obj
    if terraform is not None:
        write_variables(parent.directory / terraform)
        return
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


def write_variables(folder: Path) -> None:
    """Write the variables of Terraform that follow from the code. Raises `ConfigError` when they cannot be written."""
    from runner.operations.infrastructure import FILE, content

    path = folder / FILE
    try:
        path.write_text(content())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}", "name the folder of the configuration, such as terraform"
        ) from None
    console().print(f"wrote {path}")


def template() -> str:
    return resources.files("runner.cli").joinpath("tron.toml").read_text()
