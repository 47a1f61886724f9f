"""`tron recover`: records that a shipper could only print before it had to end are put where they belong.

They continue their streams in the archive, in objects and chains like any other, each once: what is archived already,
or still in this home's journal (whose shipper ships it), is left alone. The compliance copies are completed too. Where
records between the archive and what was found are missing, what is behind the gap is held back: another export may
have them, and what was archived once is never changed.

Only for runs whose machine is gone. Interrupted, it can be called again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from runner.errors import ObjectExists, StoreError, StoreRejected
from runner.layout import Home
from runner.logging import lines, objects
from runner.logging.batches import Batch
from runner.logging.entries import FoundRecord, RefusedRecord
from runner.logging.gcs_logger import FORMAT, describe
from runner.logging.journal import FORMAT as JOURNAL_FORMAT
from runner.logging.journal import RunInfo, run_folder, segment_path
from runner.logging.objects import BatchObject, Index
from runner.logging.parts import view
from runner.logging.reader import Cursor, segments
from runner.logging.recovery import intact_end
from runner.logging.routes import COMPLIANCE_LOGS, STREAMS
from runner.settings import MIB
from runner.stores.base import Archive

_OBJECT_BYTES = 4 * MIB
Stream = dict[int, FoundRecord]
"""Records of one stream, by offset."""


@dataclass(slots=True)
class RecoverReport:
    """Counts of records: archived now, archived before, still in the journal, found twice, held back behind a gap.

    `copies` were added to the compliance bucket. `gaps` and `refused` say where and what.
    """

    recovered: int = 0
    known: int = 0
    journaled: int = 0
    doubles: int = 0
    held_back: int = 0
    copies: int = 0
    gaps: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not (self.gaps or self.refused)


def recover_records(
    found: Iterable[FoundRecord | RefusedRecord], archive: Archive, home: Home | None = None, *, with_gaps: bool = False
) -> RecoverReport:
    """Archive what was found and is not archived yet. `with_gaps` does not hold back what is behind a gap.

    Raises `StoreUnavailable`; call it again then. Raises `ObjectExists` where the archive has something else there.
    """
    recovering = _Recovering(archive, home, with_gaps)
    for run, streams in sorted(recovering.sort(found).items()):
        recovering.recover_run(run, streams)
    return recovering.report


class _Recovering:
    def __init__(self, archive: Archive, home: Home | None, with_gaps: bool) -> None:
        self.report = RecoverReport()
        self._archive = archive
        self._home = home
        self._with_gaps = with_gaps
        self._index = objects.index(archive)
        self._copies = objects.index(archive, (COMPLIANCE_LOGS,))
        self._registered = objects.registered_runs(archive)

    def sort(self, found: Iterable[FoundRecord | RefusedRecord]) -> dict[str, dict[str, Stream]]:
        """What was found, by run and stream. Of two records with one id that differ, neither is trusted."""
        sorted_: dict[str, dict[str, Stream]] = {}
        disputed: list[tuple[Stream, int]] = []
        for one in found:
            if isinstance(one, RefusedRecord):
                self.report.refused.append(f"entry {one.number}: {one.reason}")
                continue
            stream = sorted_.setdefault(one.run, {}).setdefault(one.stream, {})
            known = stream.setdefault(one.offset, one)
            if known is not one and known.line == one.line:
                self.report.doubles += 1
            elif known is not one:
                self.report.refused.append(f"entry {one.number}: differs from entry {known.number} of the same id")
                disputed.append((stream, one.offset))
        for stream, offset in disputed:
            stream.pop(offset, None)
        return sorted_

    def recover_run(self, run: str, streams: dict[str, Stream]) -> None:
        if self._home is not None and (run_folder(self._home, run) / "run.json").exists():
            for name, records in streams.items():
                self._compare_with_journal(self._home, run, name, records)
            return
        info = self._info(run, streams)
        for name in STREAMS:
            if name in streams:
                self._recover_stream(info, name, streams[name])
        self._complete_copies(info)

    def _compare_with_journal(self, home: Home, run: str, name: str, records: Stream) -> None:
        """A run that this home still has is shipped by its own shipper; only what it lacks is worth a word."""
        end = _journal_end(home, run, name)
        self.report.journaled += sum(offset < end for offset in records)
        beyond = sorted(offset for offset in records if offset >= end)
        if beyond:
            self.report.held_back += len(beyond)
            self.report.gaps.append(
                f"{name} of run {run}: the journal ends at record {end}, found were {beyond[0]} to {beyond[-1]}: "
                "run `tron ship`, move the run's folder away, and recover again"
            )

    def _recover_stream(self, info: RunInfo, name: str, records: Stream) -> None:
        batches = self._index.get(info.run, {}).get(name, [])
        following = batches[-1].last + 1 if batches else 0
        new = sorted(offset for offset in records if offset >= following)
        self.report.known += len(records) - len(new)
        for first, last in _ranges(new):
            if first > following:
                self.report.gaps.append(f"{name} of run {info.run}: records {following} to {first - 1} are nowhere")
                if not self._with_gaps:
                    self.report.held_back += sum(offset >= first for offset in new)
                    return
            raw = [records[offset].line for offset in range(first, last + 1)]
            self._append(self._index, STREAMS[name].bucket, info, name, first, raw)
            self.report.recovered += len(raw)
            following = last + 1

    def _complete_copies(self, info: RunInfo) -> None:
        """Bring the compliance copies of a run to where the archive is."""
        if info.run not in self._registered:
            self._register(info)
        for name, route in STREAMS.items():
            batches = self._index.get(info.run, {}).get(name, []) if route.compliance else []
            copied = self._copies.get(info.run, {}).get(name, [])
            following = copied[-1].last + 1 if copied else 0
            for batch in [batch for batch in batches if batch.last >= following]:
                raw = lines.split(objects.raw_lines(self._archive, batch))[max(0, following - batch.first) :]
                self._append(self._copies, COMPLIANCE_LOGS, info, name, max(following, batch.first), raw)
                self.report.copies += len(raw)

    def _append(self, index: Index, bucket: str, info: RunInfo, name: str, first: int, records: list[bytes]) -> None:
        """Put records into objects behind the last one of their stream."""
        batches = index.setdefault(info.run, {}).setdefault(name, [])
        for piece in _pieces(records):
            prev = batches[-1].chain if batches else ""
            batch = Batch(tuple(piece), first, len(piece), Cursor(next=first + len(piece)))
            pending = describe(info, name, prev, batch)
            self._create(bucket, pending.name, batch.compressed(), pending.metadata, "application/gzip")
            stored = self._stored(bucket, pending.name)
            batches.append(stored)
            first += len(piece)

    def _stored(self, bucket: str, name: str) -> BatchObject:
        there = view(self._archive).stat(bucket, name)
        batch = objects.batch_object(there) if there else None
        if batch is None:
            raise StoreError(f"{bucket}/{name} is gone again", "who else writes to this archive?")
        return batch

    def _create(self, bucket: str, name: str, body: bytes, metadata: dict[str, str], content_type: str) -> None:
        try:
            self._archive.create(bucket, name, body, metadata=metadata, content_type=content_type)
        except ObjectExists:
            there = self._archive.stat(bucket, name)
            if there is None or there.metadata.get("raw_sha256") != metadata.get("raw_sha256"):
                raise

    def _register(self, info: RunInfo) -> None:
        name = f"registry/{info.started[:10].replace('-', '/')}/{info.run}.json"
        body = msgspec.json.encode(info)
        self._create(COMPLIANCE_LOGS, name, body, {"format": FORMAT, "run": info.run}, "application/json")

    def _info(self, run: str, streams: dict[str, Stream]) -> RunInfo:
        """Who wrote a run: from the registry, else from its records and objects."""
        if run in self._registered:
            body = self._archive.read(COMPLIANCE_LOGS, self._registered[run])
            try:
                return msgspec.json.decode(body, type=RunInfo)
            except msgspec.MsgspecError as error:
                raise StoreRejected(f"{self._registered[run]} is damaged: {error}", "see `tron verify`") from None
        record = lines.decode(next(iter(next(iter(streams.values())).values())).line)
        opened = int(run.replace("-", "")[:12], 16)
        known = [batch for batches in self._index.get(run, {}).values() for batch in batches]
        return RunInfo(
            format=JOURNAL_FORMAT,
            run=run,
            bot=record["bot"],
            bot_type=record.get("bot_type", record["bot"]),
            session_id=record.get("session_id", run),
            environment=record.get("environment", ""),
            epoch=known[0].epoch if known else opened,
            pid=0,
            started=lines.timestamp(datetime.fromtimestamp(opened / 1000, UTC)),
        )


def _ranges(offsets: list[int]) -> Iterator[tuple[int, int]]:
    """Contiguous ranges of ascending numbers, as first and last."""
    first = last = -2
    for offset in offsets:
        if offset != last + 1:
            if last >= 0:
                yield first, last
            first = offset
        last = offset
    if last >= 0:
        yield first, last


def _pieces(records: list[bytes]) -> Iterator[list[bytes]]:
    """Records for one object each."""
    piece: list[bytes] = []
    size = 0
    for record in records:
        if piece and size + len(record) > _OBJECT_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(record)
        size += len(record)
    if piece:
        yield piece


def _journal_end(home: Home, run: str, stream: str) -> int:
    folder = run_folder(home, run)
    known = segments(folder, stream)
    if not known:
        return 0
    return intact_end(segment_path(folder, stream, known[-1]), lines.id_prefix(run, stream), known[-1])[1]
