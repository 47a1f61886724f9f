"""`tron recover`: put records that a shipper printed before it had to end into the archive."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from runner.cli.context import Context, console
from runner.errors import ConfigError
from runner.layout import Home
from runner.logging.entries import read_entries
from runner.operations.recovering import RecoverReport, recover_records
from runner.stores.open import open_archive


def recover(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="What was printed, or exported from Cloud Logging; - for stdin.")] = "-",
    with_gaps: Annotated[bool, typer.Option("--with-gaps", help="Do not hold back what is behind a gap.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
) -> None:
    """Archive records that were printed because nothing else was possible, each once. For machines that are gone."""
    parent: Context = context.obj
    settings = parent.settings()
    content = _read(parent.directory, file)
    archive = open_archive(settings)
    try:
        home = Home(settings.home)
        report = recover_records(
            read_entries(content), archive, home if home.journal.is_dir() else None, with_gaps=with_gaps
        )
    finally:
        archive.close()
    if as_json:
        print(json.dumps({"complete": report.complete, **asdict(report)}))
    else:
        _tell(report)
    if not report.complete:
        raise typer.Exit(1)


def _read(directory: Path, file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return (directory / file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}", "name a file, or - for stdin") from None


def _tell(report: RecoverReport) -> None:
    for text in (*(f"refused: {one}" for one in report.refused), *(f"gap: {one}" for one in report.gaps)):
        console().print(text, markup=False, soft_wrap=True)
    parts = [f"{report.recovered:,} records recovered", f"{report.known:,} were archived before"]
    for count, what in (
        (report.journaled, "are in the journal"),
        (report.doubles, "were found twice"),
        (report.held_back, "are held back behind a gap (--with-gaps takes them)"),
        (report.copies, "were added to the compliance copies"),
    ):
        if count:
            parts.append(f"{count:,} {what}")
    console().print(", ".join(parts), soft_wrap=True)
    if report.recovered:
        console().print("next: `tron verify`; `tron restore --live` brings them into the live store")
