"""`tron restore`: rebuild the live store and the warehouse from the archive alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from runner.cli.context import Context, console
from runner.clock import Clock, SystemClock
from runner.errors import ConfigError
from runner.operations.restore import restore_live, restore_warehouse
from runner.settings import Settings
from runner.stores.open import open_archive, open_live
from runner.wiring import open_settings_warehouse


def restore(
    context: typer.Context,
    live: Annotated[bool, typer.Option("--live", help="The live documents.")] = False,
    warehouse: Annotated[bool, typer.Option("--warehouse", help="The tables for SQL.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set the embedded one that is there aside first.")] = False,
) -> None:
    """Rebuild stores from the archive. Doing it twice, or beside a running shipper, changes nothing."""
    if not (live or warehouse):
        raise ConfigError("nothing is to be restored", "say --live, --warehouse, or both")
    parent: Context = context.obj
    settings = parent.settings()
    home = parent.existing_home(settings)
    if live:
        if fresh:
            _set_aside(settings.stores.live, [home.live, *_companions(home.live)])
        _restore_live(settings, SystemClock())
    if warehouse:
        if fresh:
            _set_aside(settings.stores.warehouse, [home.warehouse])
        _restore_warehouse(settings)


def _restore_live(settings: Settings, clock: Clock) -> None:
    store = open_live(settings)
    try:
        report = restore_live(open_archive(settings), store, now=clock.now())
    finally:
        store.close()
    read = f"{report.records:,} records in {report.objects:,} objects"
    console().print(f"live store: {report.documents:,} documents written, from {read}")


def _restore_warehouse(settings: Settings) -> None:
    report = restore_warehouse(open_archive(settings), open_settings_warehouse(settings))
    console().print(
        f"warehouse: {report.records:,} records loaded from {report.objects:,} objects, "
        f"{report.skipped:,} objects were there already"
    )
    for object_ in report.set_aside:
        console().print(f"not loaded: {object_.bucket}/{object_.name}: {object_.reason} (see `tron verify`)")


def _set_aside(url: str, paths: list[Path]) -> None:
    """Rename what is there; nothing is deleted. Only the stores inside the home are ours to move."""
    if url:
        raise ConfigError(f"--fresh is for the stores inside the home, not for {url}", "empty that store yourself")
    for path in paths:
        if path.exists():
            os.replace(path, path.with_name(f"{path.name}.old-{_next_number(path)}"))


def _next_number(path: Path) -> int:
    return 1 + sum(1 for _ in path.parent.glob(f"{path.name}.old-*"))


def _companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in ("-wal", "-shm")]
