"""`tron restore`: rebuild stores from the archive alone, or a whole home from a backup."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from runner.cli import places
from runner.cli.context import Context, console
from runner.clock import Clock, SystemClock
from runner.errors import ConfigError
from runner.operations.restore import restore_live, restore_warehouse
from runner.operations.restoring import restore_home
from runner.settings import Settings
from runner.stores.open import archive_folder, open_archive, open_live
from runner.wiring import open_settings_warehouse


def restore(
    context: typer.Context,
    live: Annotated[bool, typer.Option("--live", help="The live documents.")] = False,
    warehouse: Annotated[bool, typer.Option("--warehouse", help="The tables for SQL.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set the embedded one that is there aside first.")] = False,
    from_: Annotated[str, typer.Option("--from", help="A backup: its id, or newest.")] = "",
    into: Annotated[Path | None, typer.Option(help="With --from: the home to make, if not this one.")] = None,
    force: Annotated[bool, typer.Option("--force", help="With --from: set a home with records aside.")] = False,
    to: Annotated[str, typer.Option("--to", help="With --from: where backups lie, if not as the settings say.")] = "",
    name: Annotated[str, typer.Option(help="With --from: the name of the set of backups.")] = "",
) -> None:
    """Rebuild stores from the archive, or with --from a whole home from a backup."""
    parent: Context = context.obj
    settings = parent.settings()
    if from_:
        if live or warehouse or fresh:
            raise ConfigError("--from restores a whole home", "leave --live, --warehouse and --fresh for afterwards")
        return _restore_home(parent, settings, from_, into, force, (to, name))
    if into or force or to or name:
        raise ConfigError("--into, --force, --to and --name go with --from", "say --from newest")
    if not (live or warehouse):
        raise ConfigError("nothing is to be restored", "say --live, --warehouse, or --from newest")
    home = parent.existing_home(settings)
    if live:
        if fresh:
            _set_aside(settings.stores.live, [home.live, *_companions(home.live)])
        _restore_live(settings, SystemClock())
    if warehouse:
        if fresh:
            _set_aside(settings.stores.warehouse, [home.warehouse])
        _restore_warehouse(settings)
    return None


def _restore_home(
    parent: Context, settings: Settings, from_: str, into: Path | None, force: bool, where: tuple[str, str]
) -> None:
    vault = places.open_vault(parent, settings, *where)
    remote = open_archive(settings) if archive_folder(settings) is None else None
    target = parent.directory / (into or settings.home)
    try:
        backup = vault.choose(from_)
        with console().status("restoring") as status:
            restored = restore_home(
                vault,
                backup,
                target,
                force=force,
                archive=remote,
                on_progress=lambda done, total: status.update(f"restoring: {done:,} of {total:,} files"),
            )
    finally:
        vault.close()
    kept = restored.manifest
    console().print(f"restored {backup} into {restored.home.path}: {kept.files:,} files of {len(kept.runs)} runs")
    if restored.aside:
        console().print(f"what was there is now {restored.aside}")
    if restored.caught_up:
        console().print(f"{restored.caught_up:,} records of open runs were added from the archive")
    folder = archive_folder(settings)
    if settings.stores.archive and folder is not None:
        console().print(f"the archive was {folder}; its copy is {restored.home.archive}: move it there, if it is lost")
    console().print("next: `tron verify`, then `tron ship`; never while the home that was backed up still works")


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
