"""`verify`: proof that nothing is missing, nothing is doubled and nothing was edited.

The archive must hold, for every run that the registry knows, every offset of every stream once and in order, with
intact checksums, hashes and chains; every `seq` of the run once; and at each seal, the very head that the seal names.
The compliance bucket must hold the same of the streams that it copies. What is still in the journal counts as the rest
of the stream. The first finding of each stream is reported, by name:

    gap · double · edit · reordering · cut tail · missing stream · missing run · damaged object · damaged run

Records whose time in a bucket is over may be gone from it, oldest first, if a seal proves that they are that old: then
they are no finding, the seals over what remains of their stream cannot be checked there, and its hashes and chain are.

Records after the last seal are complete but not yet sealed; their runs are listed, and are no finding. A run is looked
at again, with a new list of objects, before a finding is reported: bots and shippers go on while an audit reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from runner.clock import Clock, SystemClock
from runner.errors import StoreError, StoreRejected, StoreUnavailable
from runner.layout import Home, is_manifest, object_day
from runner.logging import lines, objects
from runner.logging.journal import run_folder, runs
from runner.logging.objects import BatchObject, Index
from runner.logging.parts import view
from runner.logging.reader import Cursor, StreamReader, segments
from runner.logging.retention import BUCKETS, is_over
from runner.logging.routes import COMPLIANCE_LOGS, STREAMS
from runner.logging.run_info import unreadable_runs
from runner.logging.seals import Seals, first_difference, read_seals
from runner.logging.walk import Finding, Seqs, Walk
from runner.stores.base import Archive, ObjectInfo

__all__ = ["AuditReport", "Auditor", "Finding"]

GRACE = timedelta(hours=2)
"""What a live run wrote longer ago must be archived, also where its journal cannot be seen."""
_LOOKS = 3
_COPIED = tuple(name for name, route in STREAMS.items() if route.compliance)

Batches = Mapping[str, list[BatchObject]]
"""The objects of one run, by stream."""


@dataclass(slots=True)
class AuditReport:
    runs: int = 0
    records: int = 0
    objects: int = 0
    raw_bytes: int = 0
    stored_bytes: int = 0
    in_journal: int = 0
    findings: list[Finding] = field(default_factory=list)
    unsealed: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not self.findings

    def add(self, other: AuditReport) -> None:
        for name in ("runs", "records", "objects", "raw_bytes", "stored_bytes", "in_journal"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.findings += other.findings
        self.unsealed += other.unsealed


class Auditor:
    """Audits one archive, and with a home what its journal adds. `on_progress` gets what was read after each object."""

    def __init__(
        self,
        archive: Archive,
        home: Home | None = None,
        on_progress: Callable[[AuditReport], None] = lambda report: None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._archive = view(archive)
        self._home = home
        self._clock = clock or SystemClock()
        self._on_progress = on_progress
        self._progress = AuditReport()

    def verify(self) -> AuditReport:
        found = self._look(None)
        for _ in range(_LOOKS - 1):
            suspects = {run for run, report in found.items() if report.findings}
            if not suspects:
                break
            found.update(dict.fromkeys(suspects, AuditReport()) | self._look(suspects))
        whole = AuditReport()
        for _, report in sorted(found.items()):
            whole.add(report)
        return whole

    def _look(self, only: set[str] | None) -> dict[str, AuditReport]:
        """A report for each run (or only for some), and one named "" for objects that belong to none."""
        strange = AuditReport()

        def note(info: ObjectInfo, error: StoreRejected) -> None:
            day = object_day(info.name)
            if is_manifest(info.name) and day is not None and is_over(info.bucket, day, self._clock.now()):
                return
            strange.findings.append(Finding("damaged object", "of no known run", detail=str(error)))

        archived = objects.index(self._archive, on_unusable=note)
        copies = objects.index(self._archive, (COMPLIANCE_LOGS,), note)
        journaled = {info.run for info in runs(self._home)} if self._home else set()
        unreadable = unreadable_runs(self._home, journaled) if self._home else {}
        registered = objects.registered_runs(self._archive)
        known = {*archived, *copies, *journaled, *registered, *unreadable}
        reports = {} if only is not None and "" not in only else {"": strange}
        for run in sorted(known if only is None else known & only):
            if run in archived or run in journaled or run in unreadable or self._has_left(run, copies.get(run, {})):
                reports[run] = self._verify_run(run, archived, copies)
            else:
                reports[run] = self._verify_absent(run, registered.get(run, "its compliance copy"))
            if run in unreadable:
                reports[run].findings.append(Finding("damaged run", run, detail=str(unreadable[run])))
        return reports

    def _has_left(self, run: str, copied: Batches) -> bool:
        """Whether all records of a run left their buckets because their time was over, and the copies remain."""
        seals = self._seals(run, b"", self._seal_lines(run, copied))
        return bool(seals.owed()) and all(
            self._over(STREAMS[name].bucket, seals, name, last) >= 0 for name, last in seals.owed().items()
        )

    def _over(self, bucket: str, seals: Seals, stream: str, offset: int) -> int:
        """For a record that its bucket may have let go by now, a `seq` behind all up to it; else -1."""
        seal = seals.written_by(stream, offset)
        is_over = seal is not None and seal.ts <= self._clock.now() - timedelta(BUCKETS[bucket].days)
        return seal.seq + 1 if seal is not None and is_over else -1

    def _verify_absent(self, run: str, place: str) -> AuditReport:
        report = AuditReport(runs=1)
        if _started(run) > self._grace():
            report.unsealed.append(run)
        elif _started(run) > self._clock.now() - timedelta(BUCKETS[COMPLIANCE_LOGS].days):
            detail = f"known from {place}, but the archive holds none of its records"
            report.findings.append(Finding("missing run", run, detail=detail))
        return report

    def _verify_run(self, run: str, archived: Index, copies: Index) -> AuditReport:
        report = AuditReport(runs=1)
        primary, copied = archived.get(run, {}), copies.get(run, {})
        first, second = self._seal_lines(run, primary), self._seal_lines(run, copied)
        seals, copied_seals = self._seals(run, first, second), self._seals(run, second, first)
        seqs = Seqs()
        ends = self._walk_streams(run, primary, seals, report, seqs)
        for one, seq in self._missing(run, seals, ends, report.findings):
            if seq >= 0:
                seqs.pass_before(seq)
            else:
                report.findings.append(one)
        if not report.findings:
            report.findings.extend(_missing_seq(run, seqs, seals.seq))
        report.findings.extend(self._verify_copies(run, copied, copied_seals))
        if (number := first_difference(first, second)) >= 0:
            detail = "the archive and its compliance copy hold different seals"
            report.findings.append(Finding("edit", run, "seals", number, detail))
        if any(end - 1 > seals.last(name) for name, end in ends.items() if name != "seals"):
            report.unsealed.append(run)
        return report

    def _walk_streams(
        self, run: str, batches: Batches, seals: Seals, report: AuditReport, seqs: Seqs
    ) -> dict[str, int]:
        """Walk every stream; returns the next offset of each that is there at all."""
        ends: dict[str, int] = {}
        for name in STREAMS:
            if name in batches or self._is_journaled(run, name):
                walk = Walk(run, name, seals.heads(name), seqs, partial(self._over, STREAMS[name].bucket, seals, name))
                report.in_journal += self._walk(walk, batches.get(name, []), report)
                report.records += walk.expected - walk.expired
                report.raw_bytes += walk.raw_bytes
                report.findings += [walk.finding] if walk.finding else []
                ends[name] = walk.expected
        return ends

    def _verify_copies(self, run: str, batches: Batches, seals: Seals) -> Iterator[Finding]:
        """The compliance copies of a run, against the same seals."""
        ends: dict[str, int] = {}
        found: list[Finding] = []
        for name in _COPIED:
            if name in batches or self._is_journaled(run, name):
                walk = Walk(run, name, seals.heads(name), over=partial(self._over, COMPLIANCE_LOGS, seals, name))
                self._walk(walk, batches.get(name, []), AuditReport())
                found += [walk.finding] if walk.finding else []
                ends[name] = walk.expected
        missing = self._missing(run, seals, ends, found, copies=True)
        found += [one for one, seq in missing if one.stream in _COPIED and seq < 0]
        for one in found:
            yield Finding(one.what, run, one.stream, one.offset, f"in the compliance copy: {one.detail}")

    def _missing(
        self, run: str, seals: Seals, ends: Mapping[str, int], known: list[Finding], *, copies: bool = False
    ) -> list[tuple[Finding, int]]:
        """What seals name and is not there, each with `_over` of its end."""
        last = seals.owed()
        return [
            (
                one,
                self._over(
                    COMPLIANCE_LOGS if copies else STREAMS[one.stream].bucket, seals, one.stream, last[one.stream]
                ),
            )
            for one in _missing(run, seals, ends, known)
        ]

    def _walk(self, walk: Walk, batches: list[BatchObject], report: AuditReport) -> int:
        """Walk a stream's objects, then what the journal adds; returns how many records that is."""
        for batch in batches:
            walk.pass_object(batch, lambda batch: objects.unpack(self._archive, batch))
            if walk.finding:
                return 0
            report.objects += 1
            report.stored_bytes += batch.size
            self._progress.objects += 1
            self._progress.records += batch.last - batch.first + 1
            self._on_progress(self._progress)
        archived = walk.expected
        for chunk in self._journal_chunks(walk.run, walk.stream, archived):
            walk.pass_lines(chunk)
            if walk.finding:
                break
        return walk.expected - archived

    def _seals(self, run: str, raw: bytes, other: bytes) -> Seals:
        """What `raw` (and the journal) seals binds when it ends a run; what is known from elsewhere, when it is old."""
        own = read_seals([raw, *self._journal_chunks(run, "seals", 0)])
        every = [*own, *(seal for seal in read_seals([other]) if seal not in own)]
        before = datetime.max.replace(tzinfo=UTC) if self._is_journaled(run, "seals") else self._grace()
        bound = [seal for seal in own if seal.binds(before)] + [seal for seal in every if seal.ts <= self._grace()]
        return Seals(tuple(every), tuple(bound))

    def _grace(self) -> datetime:
        return self._clock.now() - GRACE

    def _seal_lines(self, run: str, batches: Batches) -> bytes:
        return b"".join(self._readable(batches.get("seals", [])))

    def _readable(self, batches: Iterable[BatchObject]) -> Iterator[bytes]:
        for batch in batches:
            try:
                yield objects.unpack(self._archive, batch)
            except StoreUnavailable:
                raise
            except StoreError:
                return

    def _is_journaled(self, run: str, stream: str) -> bool:
        return self._home is not None and bool(segments(run_folder(self._home, run), stream))

    def _journal_chunks(self, run: str, stream: str, first: int) -> Iterator[bytes]:
        """The journal's lines of a stream from an offset on."""
        if self._home is None or not self._is_journaled(run, stream):
            return
        folder, prefix = run_folder(self._home, run), lines.id_prefix(run, stream)
        known = segments(folder, stream)
        start = max((segment for segment in known if segment <= first), default=known[0])
        reader = StreamReader(folder, stream, Cursor(segment=start))
        try:
            while chunk := reader.read():
                kept = [line for line in lines.split(chunk) if not 0 <= lines.offset_of(line, prefix) < first]
                if kept:
                    yield b"".join(kept)
        finally:
            reader.close()


def _missing(run: str, seals: Seals, ends: Mapping[str, int], known: Iterable[Finding]) -> list[Finding]:
    """Streams that must be there by now and are not, or that end too early, but for those with a known finding."""
    found = []
    broken = {finding.stream for finding in known}
    for name, last in seals.owed().items():
        if name not in ends:
            found.append(Finding("missing stream", run, name, 0, f"a seal names {last + 1} records of it"))
        elif ends[name] <= last and name not in broken:
            found.append(Finding("cut tail", run, name, ends[name], f"a seal names records up to {last}"))
    return found


def _missing_seq(run: str, seqs: Seqs, end: int) -> Iterator[Finding]:
    """A hole in `seq` is a record lost at the end of a stream that no seal covers."""
    hole = seqs.hole(end)
    if hole >= 0:
        yield Finding("gap", run, detail=f"the record with seq {hole} is in no stream")
    if seqs.double >= 0:
        yield Finding("double", run, detail=f"seq {seqs.double} was given twice")


def _started(run: str) -> datetime:
    """When a run was opened, as its id says (UUIDv7)."""
    try:
        return datetime.fromtimestamp(int(run.replace("-", "")[:12], 16) / 1000, UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)
