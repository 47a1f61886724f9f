"""Archive to warehouse, and search in what lies there.

The warehouse is filled from archive objects only, each once, whenever it appears: the archive's names are compared with
those that the warehouse holds, so an object of an old day that arrives late is loaded like any other, and an export
that was stopped or killed goes on where it was. Memory is bounded: objects are looked at in pages and loaded in groups.

An object that is not what its metadata says (it was edited, cut off, or never was a batch of records) is set aside with
its reason, and the others go on: see `set_aside`. Fields that this version does not know stay in `data`, from where a
later version's column reads them, in old parts too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

from runner.clock import Clock, SystemClock
from runner.errors import StoreError, StoreRejected, StoreUnavailable
from runner.layout import is_batch_object
from runner.logging.manifests import Names
from runner.logging.objects import content
from runner.logging.parts import view
from runner.logging.routes import STREAMS
from runner.operations import queries
from runner.operations.days import Days
from runner.operations.set_aside import SetAside, SetAsideLedger
from runner.stores.base import Archive, ObjectInfo, Part, Table, Warehouse
from runner.stores.parquet import table

LOAD_BYTES = 32 << 20
LARGEST_RAW = 512 << 20
"""No object holds more uncompressed bytes; metadata that says so is not believed."""
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What one export did.

    `objects` and `records` were loaded now, `late` of the objects for a day before one that had been loaded already;
    `skipped` objects were loaded before, `gone` ones were deleted while we looked. `set_aside` are all that cannot be
    loaded, `new_aside` of which were found now. `days` are those of the loaded objects. Unless `done`, the export was
    stopped and the next one continues.
    """

    objects: int
    records: int
    skipped: int
    set_aside: tuple[SetAside, ...]
    new_aside: int = 0
    late: int = 0
    gone: int = 0
    days: tuple[date, ...] = ()
    done: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        counts = {name: getattr(self, name) for name in ("objects", "records", "skipped", "late", "gone", "new_aside")}
        aside = [one.as_dict() for one in self.set_aside]
        return {**counts, "set_aside": aside, "days": [day.isoformat() for day in self.days], "done": self.done}


@dataclass(frozen=True, slots=True)
class StreamState:
    """How much of a stream is in the warehouse, in objects; `waiting` ones are neither loaded nor set aside."""

    stream: str
    objects: int
    loaded: int
    set_aside: int

    @property
    def waiting(self) -> int:
        return self.objects - self.loaded - self.set_aside


Progress = Callable[[int, int], None]
"""Called with the number of objects done and of all objects to load that were found so far."""


def export(
    archive: Archive,
    warehouse: Warehouse,
    *,
    days: Days | None = None,
    retry: bool = False,
    stop: Callable[[], bool] = lambda: False,
    on_progress: Progress | None = None,
    on_set_aside: Callable[[SetAside], None] = lambda aside: None,
    clock: Clock | None = None,
) -> ExportReport:
    """Load every archived object (of `days`) that the warehouse does not hold.

    `stop` is asked before each object: once it is true, what was read is loaded and the report says that there is more.
    With `retry`, objects that were set aside are tried again. `on_set_aside` hears of each that is set aside now.
    Raises `StoreUnavailable`; try again then.
    """
    run = Export(
        archive, warehouse, retry=retry, stop=stop, on_progress=on_progress, on_set_aside=on_set_aside, clock=clock
    )
    run.add(days)
    return run.finish()


def search(warehouse: Warehouse, text: str, *, limit: int = 50, unshipped: Mapping[str, bytes] | None = None) -> Table:
    """Records that contain `text` in their payload, id, kind, severity, bot, session, trace or actor; newest first.

    Letters match in either case. Columns: id, ts, kind, severity, bot, data. `unshipped` as for `Warehouse.query`.
    """
    return queries.run(warehouse, "record_search", text=text, limit=limit, unshipped=unshipped)


def state(archive: Archive, warehouse: Warehouse, days: Days | None = None) -> tuple[list[StreamState], list[SetAside]]:
    """How far the export is (for `days`), stream by stream, and everything that is set aside. Nothing is loaded."""
    objects, loaded, aside = Counter[str](), Counter[str](), Counter[str]()
    ledger = SetAsideLedger(archive, SystemClock())
    known = {stream: warehouse.loaded(stream) for stream in STREAMS}
    for stream, info in batch_objects(archive, days):
        objects[stream] += 1
        is_loaded = info.name in known[stream]
        loaded[stream] += is_loaded
        aside[stream] += not is_loaded and ledger.find(info) is not None
    states = [StreamState(stream, objects[stream], loaded[stream], aside[stream]) for stream in STREAMS]
    return states, list(ledger)


def batch_objects(
    archive: Archive, days: Days | None = None, is_settled: Callable[[ObjectInfo], bool] = lambda manifest: False
) -> Iterator[tuple[str, ObjectInfo]]:
    """Every object (of `days`) that holds records, with its stream, from the bucket where that stream is at home.

    Compacted objects are shown as their parts, but for those whose manifest `is_settled`.
    """
    shown = view(archive)
    for bucket in sorted({route.bucket for route in STREAMS.values()}):
        for prefix in _prefixes(days):
            for info in shown.list(bucket, prefix, is_settled):
                stream = info.name.rpartition("/")[2].partition("_")[0]
                if is_batch_object(info.name) and stream in STREAMS and STREAMS[stream].bucket == bucket:
                    yield stream, info


def _prefixes(days: Days | None) -> Iterable[str]:
    return (f"logs/{day:%Y/%m/%d}/" for day in days) if days else ("logs/",)


def _day_of(name: str) -> date:
    _, year, month, day, *_ = name.split("/")
    return date(int(year), int(month), int(day))


class Export:
    """One export, in as many `add` as the caller likes, then `finish`. Keyword arguments as for `export`."""

    def __init__(
        self,
        archive: Archive,
        warehouse: Warehouse,
        *,
        retry: bool = False,
        stop: Callable[[], bool] = lambda: False,
        on_progress: Progress | None = None,
        on_set_aside: Callable[[SetAside], None] = lambda aside: None,
        clock: Clock | None = None,
    ) -> None:
        self._archive = view(archive)
        self._warehouse = warehouse
        self._retry = retry
        self._stop = stop
        self._on_progress = on_progress
        self._on_set_aside = on_set_aside
        self._ledger = SetAsideLedger(archive, clock or SystemClock())
        self._loaded: dict[str, frozenset[str]] = {}
        self._newest: dict[str, date] = {}
        self._names: dict[str, Names] = {}
        self._counts: Counter[str] = Counter()
        self._set_aside: list[SetAside] = []
        self._days: set[date] = set()
        self._met: set[tuple[str, str]] = set()
        self._parts: list[tuple[Part, ObjectInfo]] = []
        self._size = 0
        self._is_stopped = False

    @property
    def records(self) -> int:
        """Records loaded so far."""
        return self._counts["records"]

    def add(self, days: Days | None = None) -> bool:
        """Read what is new (of `days`), loading it in groups; returns whether all of it was read."""
        found = batch_objects(self._archive, days, self._is_settled)
        while not self._is_stopped and (page := list(islice(found, _PAGE))):
            wanted = [(stream, info) for stream, info in page if self._is_wanted(stream, info)]
            self._counts["found"] += len(wanted)
            for stream, info in wanted:
                if self._is_stopped or self._stop():
                    self._is_stopped = True
                    break
                self._read(stream, info)
        if days is None and not self._is_stopped:
            self._forget_vanished()
        return not self._is_stopped

    def finish(self) -> ExportReport:
        """Load the rest."""
        self._load()
        return ExportReport(
            objects=self._counts["objects"],
            records=self._counts["records"],
            skipped=self._counts["skipped"],
            set_aside=tuple(self._set_aside),
            new_aside=self._counts["new_aside"],
            late=self._counts["late"],
            gone=self._counts["gone"],
            days=tuple(sorted(self._days)),
            done=not self._is_stopped,
        )

    def _look_up(self, stream: str) -> None:
        """What the warehouse holds of a stream, asked once."""
        if stream not in self._loaded:
            self._loaded[stream] = self._warehouse.loaded(stream)
            self._newest[stream] = max(map(_day_of, self._loaded[stream]), default=date.min)

    def _is_settled(self, manifest: ObjectInfo) -> bool:
        """Whether all parts of a compacted object are loaded; then its manifest need not be read."""
        stream = manifest.name.rpartition("/")[2].partition("_")[0]
        if stream not in STREAMS:
            return False
        self._look_up(stream)
        if stream not in self._names:
            self._names[stream] = Names(self._loaded[stream])
        is_settled = self._names[stream].cover(manifest)
        self._counts["skipped"] += int(manifest.metadata["parts"]) if is_settled else 0
        return is_settled

    def _is_wanted(self, stream: str, info: ObjectInfo) -> bool:
        self._look_up(stream)
        if info.name in self._loaded[stream]:
            self._counts["skipped"] += 1
            return False
        self._met.add((info.bucket, info.name))
        known = None if self._retry else self._ledger.find(info)
        if known is not None:
            self._set_aside.append(known)
        return known is None

    def _forget_vanished(self) -> None:
        """Nobody can retry an object that was deleted since it was set aside, or that is loaded by now."""
        for aside in self._ledger:
            if (aside.bucket, aside.name) not in self._met:
                self._ledger.forget(aside.bucket, aside.name)

    def _read(self, stream: str, info: ObjectInfo) -> None:
        try:
            lines = _content(self._archive, info)
        except StoreUnavailable:
            raise
        except StoreRejected as error:
            self._put_aside(info, str(error))
            return
        except StoreError:
            self._count("gone")  # it was listed and is not there: compacted, or expired
            return
        self._parts.append(
            (Part(info.bucket, info.name, stream, info.metadata, lines, self._archive.is_alone(info)), info)
        )
        self._size += len(lines)
        if self._size >= LOAD_BYTES:
            self._load()

    def _load(self) -> None:
        """Load what was collected. When it is rejected, part by part, to find out which one it is."""
        parts, self._parts, self._size = self._parts, [], 0
        if not parts:
            return
        try:
            self._accept(parts, self._warehouse.load([part for part, _ in parts]))
        except StoreRejected:
            self._load_one_by_one(parts)

    def _load_one_by_one(self, parts: list[tuple[Part, ObjectInfo]]) -> None:
        """What is no record is set aside for good. So is what the warehouse refuses although it takes others.

        Where it refuses everything, the fault may be its own: then nothing is held against the objects.
        """
        refused: list[tuple[ObjectInfo, str]] = []
        for part, info in parts:
            try:
                self._accept([(part, info)], self._warehouse.load([part]))
            except StoreRejected as error:
                if _is_malformed(part):
                    self._put_aside(info, str(error))
                elif part.alone and self._archive.inner.stat(info.bucket, info.name) is None:
                    self._count("gone")  # a warehouse that loads objects by their names found none: it was compacted
                else:
                    refused.append((info, str(error)))
        for info, reason in refused:
            self._put_aside(info, reason, remember=len(refused) < len(parts))

    def _accept(self, parts: list[tuple[Part, ObjectInfo]], records: int) -> None:
        for part, info in parts:
            day = _day_of(info.name)
            self._days.add(day)
            self._counts["late"] += day < self._newest[part.stream]
            self._ledger.forget(info.bucket, info.name)
        self._counts["records"] += records
        self._count("objects", len(parts))

    def _put_aside(self, info: ObjectInfo, reason: str, *, remember: bool = True) -> None:
        aside = self._ledger.add(info, reason) if remember else SetAside(info.bucket, info.name, reason)
        self._set_aside.append(aside)
        self._on_set_aside(aside)
        self._count("new_aside")

    def _count(self, what: str, number: int = 1) -> None:
        """Count what became of an object, and tell how many are done."""
        self._counts[what] += number
        self._counts["done"] += number
        if self._on_progress is not None:
            self._on_progress(self._counts["done"], self._counts["found"])


def _content(archive: Archive, info: ObjectInfo) -> bytes:
    """As `objects.content`; nor is more unpacked than an object may hold, whatever its metadata says."""
    said = info.metadata.get("raw_bytes", "")
    if said.isdecimal() and int(said) > LARGEST_RAW:
        place = f"{info.bucket}/{info.name}"
        raise StoreRejected(f"the metadata of {place} names {said} raw_bytes, more than any object has")
    return content(archive, info)


def _is_malformed(part: Part) -> bool:
    try:
        table(part.stream, part.lines, part.name)
    except StoreRejected:
        return True
    return False
