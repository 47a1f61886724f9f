"""Archive to warehouse, and search in what lies there.

The warehouse is filled from archive objects only, each once. An object that is not what its metadata says (it was
edited, cut off, or never was a batch of records) is set aside with its reason, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from runner.errors import StoreError, StoreRejected, StoreUnavailable
from runner.layout import is_batch_object
from runner.logging.objects import content
from runner.logging.routes import STREAMS
from runner.operations import queries
from runner.stores.base import Archive, ObjectInfo, Part, Table, Warehouse

LOAD_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class SetAside:
    """An archive object that could not be loaded, and why."""

    bucket: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What one export did: objects and records loaded, objects that were loaded before, objects set aside."""

    objects: int
    records: int
    skipped: int
    set_aside: tuple[SetAside, ...]


Progress = Callable[[int, int], None]
"""Called with the number of objects done and of all objects to load."""


def export(archive: Archive, warehouse: Warehouse, *, on_progress: Progress | None = None) -> ExportReport:
    """Load every archived object that the warehouse does not hold. Raises `StoreUnavailable`; try again then."""
    batch_objects = list(_batch_objects(archive))
    loaded = {stream: warehouse.loaded(stream) for stream in STREAMS}
    wanted = [(stream, info) for stream, info in batch_objects if info.name not in loaded[stream]]
    run = _Export(archive, warehouse, len(wanted), on_progress)
    for stream, info in wanted:
        run.add(stream, info)
    run.load()
    return ExportReport(run.objects, run.records, len(batch_objects) - len(wanted), tuple(run.set_aside))


def search(warehouse: Warehouse, text: str, *, limit: int = 50, unshipped: Mapping[str, bytes] | None = None) -> Table:
    """Records that contain `text` in their payload, id, kind, severity, bot, session, trace or actor; newest first.

    Letters match in either case. Columns: id, ts, kind, severity, bot, data. `unshipped` as for `Warehouse.query`.
    """
    return queries.run(warehouse, "record_search", text=text, limit=limit, unshipped=unshipped)


def _batch_objects(archive: Archive) -> Iterator[tuple[str, ObjectInfo]]:
    """Every object that holds records, with its stream, from the bucket where that stream is at home."""
    for bucket in sorted({route.bucket for route in STREAMS.values()}):
        for info in archive.list(bucket, "logs/"):
            stream = info.name.rpartition("/")[2].partition("_")[0]
            if is_batch_object(info.name) and stream in STREAMS and STREAMS[stream].bucket == bucket:
                yield stream, info


class _Export:
    """Collects parts and loads them together, as many as `LOAD_BYTES` hold."""

    def __init__(self, archive: Archive, warehouse: Warehouse, total: int, on_progress: Progress | None) -> None:
        self.objects = 0
        self.records = 0
        self.set_aside: list[SetAside] = []
        self._archive = archive
        self._warehouse = warehouse
        self._total = total
        self._on_progress = on_progress
        self._parts: list[Part] = []

    def add(self, stream: str, info: ObjectInfo) -> None:
        try:
            self._parts.append(Part(info.bucket, info.name, stream, info.metadata, content(self._archive, info)))
        except StoreUnavailable:
            raise
        except StoreError as error:
            self._put_aside(info.bucket, info.name, error)
        if sum(len(part.lines) for part in self._parts) >= LOAD_BYTES:
            self.load()

    def load(self) -> None:
        """Load what was collected. When it is rejected, part by part, to find out which one it is."""
        parts, self._parts = self._parts, []
        if not parts:
            return
        try:
            self._load(parts)
        except StoreRejected:
            for part in parts:
                self._load_alone(part)

    def _load(self, parts: list[Part]) -> None:
        self.records += self._warehouse.load(parts)
        self.objects += len(parts)
        self._report()

    def _load_alone(self, part: Part) -> None:
        try:
            self._load([part])
        except StoreRejected as error:
            self._put_aside(part.bucket, part.name, error)

    def _put_aside(self, bucket: str, name: str, error: StoreError) -> None:
        self.set_aside.append(SetAside(bucket, name, str(error)))
        self._report()

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.objects + len(self.set_aside), self._total)
