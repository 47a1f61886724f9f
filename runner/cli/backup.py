"""`tron backup`: keep the home, list what is kept, rotate it, and drill."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.table import Table

from runner.cli import places
from runner.cli.context import Context, console
from runner.cli.stage import size
from runner.clock import Clock, SystemClock
from runner.errors import RunnerError, StoreError, StoreRejected, StoreUnavailable
from runner.logging.core_logger import TradingLogger
from runner.logging.log_types import Severity
from runner.operations import manifest as manifests
from runner.operations.backup import BackupReport, take
from runner.operations.drill import DrillReport, drill
from runner.operations.rotation import Periods, RotationReport, rotate
from runner.operations.vault import Vault
from runner.settings import Settings
from runner.stores.open import archive_folder, open_archive

BOT = "backup"
"""The bot under which backups and drills are on record."""


def backup(
    context: typer.Context,
    to: Annotated[str, typer.Option(help="Where backups lie: a folder, file:// or gs://.")] = "",
    name: Annotated[str, typer.Option(help="The name of this home's set there.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="Show what is there, and make none.")] = False,
    rotate_: Annotated[
        bool, typer.Option("--rotate", help="Afterwards, delete what the rotation does not keep.")
    ] = False,
    drill_: Annotated[
        bool, typer.Option("--drill", help="Restore the newest into a scratch folder; make none.")
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Read back what is there already, and mend it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Keep everything of the home while its bots run, so that `tron restore --from` can bring it back."""
    parent: Context = context.obj
    settings, clock = parent.settings(), SystemClock()
    vault = places.open_vault(parent, settings, to, name, repair=repair)
    try:
        if list_:
            _show_list(vault, clock, as_json)
        elif drill_:
            _drill(settings, vault, clock, as_json)
        else:
            _back_up(parent, settings, vault, clock, as_json)
            if rotate_:
                _rotate(settings, vault, as_json)
    finally:
        vault.close()


def _back_up(parent: Context, settings: Settings, vault: Vault, clock: Clock, as_json: bool) -> None:
    source = places.source(settings, parent)
    try:
        with console().status("backing up") as status:
            report = take(
                source, vault, clock, lambda files, done: status.update(f"backing up: {files:,} files, {size(done)}")
            )
    finally:
        source.archive.close()
    found = _described(report.backup, report.manifest) | {"seconds": round(report.seconds, 3)}
    if as_json:
        print(json.dumps(found))
    else:
        _tell_backup(report)
    _record(settings, "backup made", found, Severity.NOTICE)


def _tell_backup(report: BackupReport) -> None:
    kept = report.manifest
    console().print(
        f"backup {report.backup}: {kept.files:,} files, {size(kept.bytes)}, of which new {size(kept.new_bytes)} "
        f"compressed, in {report.seconds:.1f} s"
    )
    for place in kept.left_out:
        console().print(f"left out, it looks like a secret: {place}")
    for store, how in kept.covers.items():
        if how != "copied":
            console().print(f"{store}: {how}")


def _rotate(settings: Settings, vault: Vault, as_json: bool) -> None:
    periods = Periods(settings.backup.daily, settings.backup.weekly, settings.backup.monthly)
    report: RotationReport = rotate(vault, periods)
    if as_json:
        print(json.dumps({"kept": report.kept, "deleted": report.deleted, "freed": report.freed}))
    else:
        console().print(f"rotation: kept {len(report.kept)}, deleted {len(report.deleted)}, {size(report.freed)} freed")


def _drill(settings: Settings, vault: Vault, clock: Clock, as_json: bool) -> None:
    remote = open_archive(settings) if archive_folder(settings) is None else None
    try:
        with console().status("drilling"):
            report = drill(vault, clock, remote=remote)
    finally:
        if remote is not None:
            remote.close()
    if as_json:
        print(json.dumps(report.fields()))
    else:
        _tell_drill(report)
    said = "restore drill passed" if report.passed else "restore drill FAILED"
    _record(settings, said, report.fields(), Severity.NOTICE if report.passed else Severity.ERROR)
    if not report.passed:
        raise typer.Exit(1)


def _tell_drill(report: DrillReport) -> None:
    for finding in report.findings:
        console().print(finding, markup=False)
    verdict = "passed" if report.passed else f"FAILED, {len(report.findings)} findings"
    held = f"{report.files:,} files, {report.runs} runs, {report.records:,} records, {report.documents:,} documents"
    console().print(f"drill of {report.backup}: {verdict} ({held})")
    console().print(f"RTO {report.rto:.1f} s: restored and verified")
    if report.rpo is not None:
        console().print(f"RPO {report.rpo:.0f} s: the newest record that came back is {report.newest}")


def _show_list(vault: Vault, clock: Clock, as_json: bool) -> None:
    rows = [_look(vault, backup) for backup in vault.ids()]
    if as_json:
        print(json.dumps(rows))
        return
    if not rows:
        console().print(f"there is no backup in the set {vault.name!r}")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("backup", "age", "files", "size", "new", "newest record"):
        table.add_column(column)
    for row in rows:
        age = clock.now() - manifests.created(str(row["backup"]))
        if "damaged" in row:
            table.add_row(str(row["backup"]), _age(age.total_seconds()), "", "", "", f"DAMAGED: {row['damaged']}")
        else:
            sizes = (f"{row['files']:,}", size(int(str(row["bytes"]))), size(int(str(row["new_bytes"]))))
            table.add_row(str(row["backup"]), _age(age.total_seconds()), *sizes, str(row["newest_ts"])[:19])
    console().print(table)


def _look(vault: Vault, backup: str) -> dict[str, object]:
    """What the list shows of a backup; of a damaged one, that it is."""
    try:
        return _described(backup, vault.manifest(backup))
    except StoreUnavailable:
        raise
    except StoreError as error:
        return {"backup": backup, "damaged": str(error)}


def _described(backup: str, manifest: manifests.Manifest) -> dict[str, object]:
    newest = manifest.newest
    return {
        "backup": backup,
        "created": manifest.created,
        "files": manifest.files,
        "bytes": manifest.bytes,
        "new_bytes": manifest.new_bytes,
        "runs": len(manifest.runs),
        "newest_record": newest.newest if newest else "",
        "newest_ts": newest.newest_ts if newest else "",
        "version": manifest.version,
    }


def _age(seconds: float) -> str:
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _record(settings: Settings, message: str, fields: dict[str, object], severity: Severity) -> None:
    """Put on record what was done; a home that cannot take the record does not undo it."""
    try:
        with TradingLogger(bot_type=BOT, settings=settings) as logger:
            logger.log_system_event(message, fields, severity=severity)
            if severity is Severity.ERROR:
                logger.log_error(StoreRejected(message), fields, source="tron backup --drill")
            logger.flush(remote=archive_folder(settings) is None)
    except RunnerError as error:
        print(f"not recorded: {error}", file=sys.stderr)
