"""Rebuilding the live store and the warehouse from the archive alone.

Both stores are only views of what the archive holds. Restoring beside a running shipper is safe, and doing it twice
changes nothing: a store never takes a state older than its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from runner.logging import documents, lines, objects
from runner.logging.objects import BatchObject
from runner.logging.parts import view
from runner.operations.exports import ExportReport, Progress, export
from runner.stores.base import Archive, LiveStore, Warehouse

_WINDOW = 500
"""Documents that are folded before they are written."""


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """Objects and records that were read, and documents that were written."""

    objects: int
    records: int
    documents: int


def restore_live(
    archive: Archive, live: LiveStore, *, now: datetime | None = None, on_progress: Progress | None = None
) -> RestoreReport:
    """Fold every archived record into the live store, run by run. With `now`, states that expired are left out.

    Raises `StoreUnavailable`, and `StoreRejected` for an object that is not what its metadata says: see `tron verify`.
    """
    archive = view(archive)
    batches = _in_order_of_age(archive)
    restoring = _Restoring(live, now)
    for done, batch in enumerate(batches, 1):
        restoring.add(batch, objects.raw_lines(archive, batch))
        if on_progress is not None:
            on_progress(done, len(batches))
    restoring.write()
    return RestoreReport(len(batches), restoring.records, restoring.written)


def restore_warehouse(archive: Archive, warehouse: Warehouse, *, on_progress: Progress | None = None) -> ExportReport:
    """Load every archived object that the warehouse does not hold; into an empty one, that is all of them."""
    return export(archive, warehouse, on_progress=on_progress)


def _in_order_of_age(archive: Archive) -> list[BatchObject]:
    """The objects whose records become documents: older runs of a bot first, each stream in order."""
    runs = objects.index(archive).values()
    found = [batch for streams in runs for stream in documents.STREAMS for batch in streams.get(stream, [])]
    return sorted(found, key=lambda batch: batch.epoch)


class _Restoring:
    def __init__(self, live: LiveStore, now: datetime | None) -> None:
        self.records = 0
        self.written = 0
        self._live = live
        self._now = now
        self._folding = documents.Folding(live.get)

    def add(self, batch: BatchObject, raw: bytes) -> None:
        for record in lines.decode_all(raw):
            self.records += 1
            self._folding.add(record, batch.epoch)
            if len(self._folding.pending) >= _WINDOW:
                self.write()

    def write(self) -> None:
        fresh = [document for document in self._folding.pending.values() if self._is_fresh(document.expire_at)]
        if fresh:
            self.written += self._live.commit(fresh)
        self._folding.clear()

    def _is_fresh(self, expire_at: datetime) -> bool:
        return self._now is None or expire_at > self._now
