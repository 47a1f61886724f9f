"""A home with a past: days that are over in many small objects, expired documents, a journal that is archived.

It is shipped by the real followers, so that it can be audited. What a function leaves of it is compared as a `State`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging.audit import Auditor
from runner.logging.retention import BUCKETS, LIVE
from runner.logging.routes import STREAMS, SYSTEM_LOGS, TRADE_LOGS
from runner.operations.schemas import columns
from runner.operations.tables import shapes
from runner.settings import Settings
from runner.stores.base import Archive, Document, LiveStore, Warehouse
from runner.stores.open import open_archive, open_live, open_warehouse
from tests.logging.compacting import Past

NOW = datetime.now(UTC)
BEGAN = NOW - timedelta(days=6)
EXPIRED, ALIVE, VERSIONS = 1500, 20, 9
_BEFORE_EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a function may change: archive objects by hash, live documents, records by stream, journal."""

    archive: dict[str, str]
    documents: dict[str, int]
    records: dict[str, tuple[int, int]]
    journal: tuple[str, ...]


def make(settings: Settings) -> None:
    """Make the past in the stores and the home of the settings."""
    archive, live = open_archive(settings), open_live(settings)
    home = Home(settings.home).create()
    Past(home, archive, ManualClock(BEGAN))
    _add_what_is_over(archive)
    _add_documents(live)
    for run in home.journal.glob("*/run.json"):
        os.utime(run, (BEGAN.timestamp(), BEGAN.timestamp()))
    archive.close()
    live.close()


def restore(template: Path, home: Path) -> None:
    """Put a copy of the template in the home's place."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(template, home)


def look(settings: Settings) -> State:
    archive, live = open_archive(settings), open_live(settings)
    warehouse = open_warehouse(settings, columns(), shapes())
    records = _records(warehouse) if settings.stores.warehouse or Home(settings.home).warehouse.exists() else {}
    try:
        return State(_objects(archive), _documents(live), records, _files(settings.home / "journal"))
    finally:
        for store in (archive, live, warehouse):
            store.close()


def is_proven(settings: Settings) -> bool:
    """Whether the audit finds nothing missing, doubled or edited."""
    archive = open_archive(settings)
    try:
        return Auditor(archive).verify().complete
    finally:
        archive.close()


def _add_what_is_over(archive: Archive) -> None:
    """Versions of a rewritten object, of which five are kept; and in a folder, an object whose time is over."""
    for version in range(1, VERSIONS + 1):
        name = f"logs/{BEGAN:%Y/%m/%d}/breakout/trades_summary_v{version}.csv.gz"
        archive.create(TRADE_LOGS, name, b"x" * version, metadata={}, content_type="application/gzip")
    day = NOW - timedelta(days=BUCKETS[SYSTEM_LOGS].days + 5)
    for number in range(40):
        name = f"logs/{day:%Y/%m/%d}/breakout/errors_summary-{number}_v1.csv.gz"
        archive.create(SYSTEM_LOGS, name, b"x", metadata={}, content_type="application/gzip")


def _add_documents(live: LiveStore) -> None:
    for number in range(0, EXPIRED, 500):
        live.commit([_document(number + n, NOW - timedelta(days=1)) for n in range(500)])
    live.commit([_document(EXPIRED + number, NOW + timedelta(days=5)) for number in range(ALIVE)])


def _document(number: int, expire_at: datetime) -> Document:
    fields = {"number": number}
    return Document("live_alerts", f"{number:06d}", fields, 1, number, f"r:risk:{number:012d}", expire_at)


def _objects(archive: Archive) -> dict[str, str]:
    return {
        f"{bucket}/{info.name}": hashlib.sha256(archive.read(bucket, info.name) + _encoded(info.metadata)).hexdigest()
        for bucket in BUCKETS
        for info in archive.list(bucket)
    }


def _encoded(metadata: object) -> bytes:
    return repr(sorted(dict(metadata).items())).encode()  # type: ignore[call-overload]  # it is a mapping


def _documents(live: LiveStore) -> dict[str, int]:
    """How many documents each collection has, those included that have expired."""
    return {name: len(live.query(name, now=_BEFORE_EVERYTHING, limit=10_000)) for name in LIVE}


def _records(warehouse: Warehouse) -> dict[str, tuple[int, int]]:
    """How many records each table has, and how many different ones."""
    asked = {name: f"SELECT count(*), count(DISTINCT id) FROM {name}" for name in STREAMS}
    return {name: warehouse.query(sql).rows[0] for name, sql in asked.items()}  # type: ignore[misc]  # two integers


def _files(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()))
