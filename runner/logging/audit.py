"""`verify`: proof that nothing is missing, nothing is doubled and nothing was edited.

The archive must hold, for every run that the registry knows, every offset of every stream once and in order, with
intact checksums, hashes and chains; every `seq` of the run once; and at each seal, the very head that the seal names.
What is still in the journal counts as the rest of the stream. The first finding of each stream is reported, by name:

    gap · double · edit · reordering · cut tail · missing stream · missing run · damaged object

Records after the last seal are complete but not yet sealed; their runs are listed, and are no finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.errors import StoreError
from runner.layout import Home
from runner.logging import lines, objects
from runner.logging.gcs_logger import chained
from runner.logging.heads import Head
from runner.logging.journal import run_folder, runs
from runner.logging.objects import BatchObject
from runner.logging.reader import Cursor, StreamReader, segments
from runner.logging.routes import COMPLIANCE_LOGS, STREAMS
from runner.stores.base import Archive

Seals = Mapping[int, str]
"""Of one stream: the head at each sealed last offset."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written. `offset` is where it begins, in `stream` of `run`."""

    what: str
    run: str
    stream: str = ""
    offset: int = 0
    detail: str = ""

    def __str__(self) -> str:
        place = f"run {self.run}" + (f", stream {self.stream}, offset {self.offset}" if self.stream else "")
        return f"{self.what}: {place}: {self.detail}"


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


@dataclass(slots=True)
class _Walk:
    """Where the walk along one stream is, and what it has found."""

    run: str
    stream: str
    seals: Seals
    report: AuditReport
    seqs: bytearray | None
    head: Head
    expected: int = 0
    chain: str = ""
    finding: Finding | None = None

    def fail(self, what: str, offset: int, detail: str) -> None:
        self.finding = self.finding or Finding(what, self.run, self.stream, offset, detail)


class Auditor:
    """Audits one archive, and with a home what its journal adds. `on_progress` gets the report after each object."""

    def __init__(
        self,
        archive: Archive,
        home: Home | None = None,
        on_progress: Callable[[AuditReport], None] = lambda report: None,
    ) -> None:
        self._archive = archive
        self._home = home
        self._on_progress = on_progress

    def verify(self) -> AuditReport:
        report = AuditReport()
        archived = objects.index(self._archive)
        copies = objects.index(self._archive, (COMPLIANCE_LOGS,))
        journaled = {info.run for info in runs(self._home)} if self._home else set()
        registered = objects.registered_runs(self._archive)
        for run in sorted({*archived, *journaled, *registered}):
            report.runs += 1
            if run not in archived and run not in journaled:
                detail = f"registered as {registered[run]}, but the archive holds none of its records"
                report.findings.append(Finding("missing run", run, detail=detail))
                continue
            self._verify_run(run, archived.get(run, {}), copies.get(run, {}), report)
        return report

    def _verify_run(
        self,
        run: str,
        archived: Mapping[str, list[BatchObject]],
        copies: Mapping[str, list[BatchObject]],
        report: AuditReport,
    ) -> None:
        seqs = bytearray()
        sealed = self._seals(run, archived.get("seals", []))
        names = [name for name in STREAMS if name in archived or self._is_journaled(run, name)]
        ends: dict[str, int] = {}
        for name in names:
            walk = self._walk(run, name, archived.get(name, []), sealed.get(name, {}), report, seqs, journal=True)
            ends[name] = walk.expected
            if walk.finding:
                report.findings.append(walk.finding)
        if not any(finding.run == run for finding in report.findings):
            report.findings.extend(_missing(run, sealed, ends))
            report.findings.extend(_missing_seq(run, seqs[: self._sealed_seq(run, archived.get("seals", []))]))
        for name, batches in copies.items():
            walk = self._walk(run, name, batches, sealed.get(name, {}), AuditReport(), None, journal=False)
            if walk.finding:
                detail = f"in the compliance copy: {walk.finding.detail}"
                report.findings.append(Finding(walk.finding.what, run, name, walk.finding.offset, detail))
        if any(end - 1 > max(sealed.get(name, {-1: ""})) for name, end in ends.items() if name != "seals"):
            report.unsealed.append(run)

    def _seals(self, run: str, batches: list[BatchObject]) -> dict[str, dict[int, str]]:
        """Per stream, the head at every sealed offset, from every intact seal that can be read."""
        found: dict[str, dict[int, str]] = {}
        for raw in [*self._readable(batches), *self._journal_chunks(run, "seals")]:
            for line in lines.split(raw):
                if lines.is_intact(line):
                    streams: dict[str, Any] = lines.decode(line)["data"]["streams"]
                    for name, end in streams.items():
                        found.setdefault(name, {})[end["last"]] = end["head"]
        return found

    def _sealed_seq(self, run: str, batches: list[BatchObject]) -> int:
        """The `seq` of the run's last seal: every smaller one must be there. A live run goes on beyond it."""
        last = 0
        for raw in [*self._readable(batches), *self._journal_chunks(run, "seals")]:
            last = max([last, *(lines.head(line)[0] for line in lines.split(raw) if lines.is_intact(line))])
        return last

    def _readable(self, batches: Iterable[BatchObject]) -> Iterator[bytes]:
        for batch in batches:
            try:
                yield objects.raw_lines(self._archive, batch)
            except StoreError:
                return

    def _walk(
        self,
        run: str,
        stream: str,
        batches: list[BatchObject],
        seals: Seals,
        report: AuditReport,
        seqs: bytearray | None,
        *,
        journal: bool,
    ) -> _Walk:
        walk = _Walk(run, stream, seals, report, seqs, Head(run, stream))
        for batch in batches:
            self._walk_object(walk, batch)
            if walk.finding:
                return walk
            report.objects += 1
            report.stored_bytes += batch.size
            self._on_progress(report)
        if journal:
            self._walk_journal(walk)
        return walk

    def _walk_object(self, walk: _Walk, batch: BatchObject) -> None:
        if batch.first > walk.expected:
            return walk.fail(
                "gap", walk.expected, f"records {walk.expected} to {batch.first - 1} are not in the archive"
            )
        if batch.first < walk.expected:
            return walk.fail("double", batch.first, f"{batch.name} repeats records from {batch.first} on")
        try:
            raw = objects.raw_lines(self._archive, batch)
        except StoreError as error:
            what = "edit" if "metadata names" in str(error) else "damaged object"
            return walk.fail(what, batch.first, str(error))
        if batch.prev != walk.chain or batch.chain != chained(batch.prev, batch.raw_sha256):
            return walk.fail("edit", batch.first, f"{batch.name} does not continue the chain of the object before it")
        walk.chain = batch.chain
        _walk_lines(walk, raw)
        if not walk.finding and walk.expected != batch.last + 1:
            walk.fail("edit", walk.expected, f"{batch.name} names records up to {batch.last}")

    def _walk_journal(self, walk: _Walk) -> None:
        for chunk in self._journal_chunks(walk.run, walk.stream):
            found = lines.split(chunk)
            first = lines.offset_of(found[0], lines.id_prefix(walk.run, walk.stream))
            rest = found[max(0, walk.expected - first) :] if first >= 0 else found
            walk.report.in_journal += len(rest)
            _walk_lines(walk, b"".join(rest))
            if walk.finding:
                return

    def _is_journaled(self, run: str, stream: str) -> bool:
        return self._home is not None and bool(segments(run_folder(self._home, run), stream))

    def _journal_chunks(self, run: str, stream: str) -> Iterator[bytes]:
        if self._home is None or not self._is_journaled(run, stream):
            return
        folder = run_folder(self._home, run)
        reader = StreamReader(folder, stream, Cursor(segment=segments(folder, stream)[0]))
        try:
            while chunk := reader.read():
                yield chunk
        finally:
            reader.close()


def _walk_lines(walk: _Walk, raw: bytes) -> None:
    """Check lines one by one, and the head at every sealed offset among them."""
    found = lines.split(raw)
    prefix, first = lines.id_prefix(walk.run, walk.stream), walk.expected
    start = len(prefix)
    for number, line in enumerate(found, first):
        if line[start : start + lines.OFFSET_DIGITS] != b"%012d" % number or not line.startswith(prefix):
            return _misplaced(walk, lines.offset_of(line, prefix), number)
        if not lines.is_intact(line):
            return walk.fail("edit", number, "the checksum of the line does not match its content")
        if walk.seqs is not None:
            _mark(walk.seqs, int(line[start + 20 : line.index(b",", start + 20)]))
    walk.expected = first + len(found)
    walk.report.records += len(found)
    walk.report.raw_bytes += len(raw)
    _check_heads(walk, found, first)


def _misplaced(walk: _Walk, offset: int, expected: int) -> None:
    if offset > expected:
        return walk.fail("gap", expected, f"records {expected} to {offset - 1} are missing")
    if 0 <= offset < expected:
        return walk.fail("reordering", expected, f"record {offset} stands where {expected} belongs")
    return walk.fail("edit", expected, "the line belongs to no such stream")


def _check_heads(walk: _Walk, found: list[bytes], first: int) -> None:
    done = 0
    for last in sorted(last for last in walk.seals if first <= last < first + len(found)):
        walk.head.feed_lines(first + done, found[done : last - first + 1])
        done = last - first + 1
        if walk.head.hexdigest() != walk.seals[last]:
            return walk.fail("edit", last, f"the seal over records 0 to {last} does not fit them")
    walk.head.feed_lines(first + done, found[done:])


def _missing(run: str, sealed: Mapping[str, Seals], ends: Mapping[str, int]) -> Iterator[Finding]:
    """Streams that a seal names and that are not there, or end before it."""
    for name, seals in sealed.items():
        last = max(seals)
        if name not in ends:
            yield Finding("missing stream", run, name, 0, f"a seal names {last + 1} records of it")
        elif ends[name] <= last:
            yield Finding("cut tail", run, name, ends[name], f"a seal names records up to {last}")


def _missing_seq(run: str, seqs: bytearray) -> Iterator[Finding]:
    """A hole in `seq` is a record lost at the end of a stream that no seal covers."""
    hole = seqs.find(0)
    if hole >= 0:
        yield Finding("gap", run, detail=f"the record with seq {hole} is in no stream")
    double = next((seq for seq, count in enumerate(seqs) if count > 1), -1) if max(seqs, default=0) > 1 else -1
    if double >= 0:
        yield Finding("double", run, detail=f"seq {double} was given twice")


def _mark(seqs: bytearray, seq: int) -> None:
    if seq >= len(seqs):
        seqs.extend(bytes(seq + 1 - len(seqs)))
    seqs[seq] = min(255, seqs[seq] + 1)
