"""The live store and the warehouse are views of the archive: rebuilt from it alone, they are the same."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from runner.clock import ManualClock
from runner.errors import StoreRejected
from runner.layout import Home
from runner.logging import objects
from runner.logging.log_types import Kind
from runner.operations.restore import restore_live, restore_warehouse
from runner.operations.schemas import columns
from runner.stores.base import LiveStore
from runner.stores.duckdb import DuckdbWarehouse
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from runner.stores.sqlite import SqliteLiveStore
from tests.logging.journeys import START, Fleet, PlainWriter, RecordingStream, documents_of, folded, ship_all


class Shipped:
    """Two bots, one of them started twice, shipped the usual way."""

    def __init__(self, home: Home) -> None:
        self.clock = ManualClock(START)
        self.archive, self.live = MemoryArchive(), MemoryLiveStore(clock=self.clock)
        followers = Fleet(home, self.clock, self.live, self.archive, RecordingStream()).build()
        self.writers = [
            PlainWriter(home, self.clock, bot, epoch) for bot, epoch in (("vwap", 3), ("breakout", 1), ("breakout", 2))
        ]
        for writer in self.writers:
            for number in range(300):
                writer.trade(number)
                writer.write(Kind.HEARTBEAT, {"status": "running", "number": number})
                writer.write(Kind.WARNING, {"message": "slow"})
            writer.metrics(10)
            writer.close()
        ship_all(followers)


@pytest.fixture
def shipped(home: Home) -> Shipped:
    return Shipped(home)


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_a_restored_live_store_equals_the_shipped_one_document_by_document(
    shipped: Shipped, store: str, tmp_path: Path
) -> None:
    live: LiveStore = MemoryLiveStore(clock=shipped.clock)
    if store == "sqlite":
        live = SqliteLiveStore(tmp_path / "restored.sqlite", clock=shipped.clock)

    report = restore_live(shipped.archive, live)

    assert documents_of(live) == documents_of(shipped.live) == folded(shipped.writers)
    assert report.records == 3 * (600 + 300 + 300 + 10)
    assert report.documents >= len(documents_of(live)) > 1000
    live.close()


def test_restoring_again_or_over_newer_documents_changes_nothing(shipped: Shipped) -> None:
    before = documents_of(shipped.live)

    report = restore_live(shipped.archive, shipped.live)

    assert report.documents == 0
    assert documents_of(shipped.live) == before


def test_states_that_expired_need_not_be_restored(shipped: Shipped) -> None:
    live = MemoryLiveStore(clock=shipped.clock)

    restore_live(shipped.archive, live, now=shipped.clock.now() + timedelta(days=8))

    assert {collection for collection, _ in documents_of(live)} == {"dashboard_metrics"}


def test_progress_counts_the_objects_that_hold_documents(shipped: Shipped) -> None:
    seen: list[tuple[int, int]] = []

    report = restore_live(
        shipped.archive,
        MemoryLiveStore(clock=shipped.clock),
        on_progress=lambda done, total: seen.append((done, total)),
    )

    assert seen == [(number, report.objects) for number in range(1, report.objects + 1)]


def test_an_object_that_was_changed_is_not_restored_from(shipped: Shipped) -> None:
    batch = objects.index(shipped.archive)[shipped.writers[0].run]["trades"][0]
    info = shipped.archive.stat(batch.bucket, batch.name)
    assert info is not None
    metadata = {**info.metadata, "raw_sha256": "0" * 64}
    body = shipped.archive.read(batch.bucket, batch.name)
    shipped.archive.delete(batch.bucket, batch.name)
    shipped.archive.create(batch.bucket, batch.name, body, metadata=metadata, content_type="application/gzip")

    with pytest.raises(StoreRejected, match="raw_sha256"):
        restore_live(shipped.archive, MemoryLiveStore(clock=shipped.clock))


def test_a_restored_warehouse_holds_every_archived_record_once(shipped: Shipped, tmp_path: Path) -> None:
    warehouse = DuckdbWarehouse(tmp_path / "warehouse", columns())

    first = restore_warehouse(shipped.archive, warehouse)
    again = restore_warehouse(shipped.archive, warehouse)

    written = sum(len(lines) for writer in shipped.writers for lines in writer.lines.values())
    assert (first.records, first.set_aside, again.records) == (written, (), 0)
    assert warehouse.query("SELECT count(DISTINCT id) FROM records").rows == ((written,),)
    warehouse.close()
