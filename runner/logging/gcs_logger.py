"""The archive follower: journal lines become gzip objects that are created once and never changed.

One object holds one contiguous range of one stream of one run. Its metadata names the range, the SHA-256 of the raw
lines, and the chain: `chain = SHA-256(prev || raw_sha256)` with `prev` the chain of the object before it.

Before an object is created, the checkpoint holds its range and raw hash (`Pending`). After a crash exactly that range
is shipped first; when its name is taken by an object with the same raw hash, it is done. Nothing is doubled or skipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from isal import igzip

from runner.errors import ObjectExists, StoreError, StoreUnavailable
from runner.layout import ObjectName
from runner.logging import checkpoint, lines
from runner.logging.follower import Journals, Patience
from runner.logging.journal import RunInfo, is_requested, run_folder
from runner.logging.reader import CHUNK, Cursor, StreamReader
from runner.logging.recovery import quarantine
from runner.logging.routes import COMPLIANCE_LOGS, STREAMS
from runner.settings import MIB
from runner.stores.base import Archive

FORMAT = "1"
OBJECT_LIMIT = 8 * MIB
_USUAL_RATIO = 5
_RAW_LIMIT = 48 * MIB


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """An object that is being created."""

    name: str
    last: int
    raw_sha256: str
    metadata: dict[str, str]
    end: Cursor


class StreamState(msgspec.Struct, kw_only=True):
    """How far a stream is archived, and the chain of its last object. `ratio` is raw bytes per stored byte."""

    cursor: Cursor = Cursor()
    chain: str = ""
    pending: Pending | None = None
    ratio: float = _USUAL_RATIO
    objects: int = 0
    records: int = 0
    raw_bytes: int = 0
    stored_bytes: int = 0


class ArchiveState(msgspec.Struct, kw_only=True):
    registered: bool = False
    streams: dict[str, StreamState] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArchivePolicy:
    """When an object is written: at `bytes` compressed, after `seconds` (`prompt_seconds` for prompt streams)."""

    name: str
    bytes: int
    seconds: float
    prompt_seconds: float
    records: int = 0
    compliance: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Intact lines of contiguous offsets."""

    raw: bytes
    first: int
    count: int
    end: Cursor


class GCSLogger:
    """Ships the journal to an archive. With a compliance policy, it ships the copies for the compliance bucket."""

    def __init__(self, journals: Journals, archive: Archive, policy: ArchivePolicy, patience: Patience) -> None:
        self.name = policy.name
        self._journals = journals
        self._archive = archive
        self._policy = policy
        self._patience = patience
        self._states: dict[str, ArchiveState] = {}
        self._waiting_since: dict[tuple[str, str], float] = {}

    def step(self, *, drain: bool = False) -> bool:
        shipped = False
        present = self._journals.runs()
        self._states = {info.run: self.state(info.run) for info in present}
        for info in present:
            self._register(info)
            for stream in self._journals.streams(info.run):
                if self.wants(stream):
                    shipped |= self._ship_stream(info, stream, drain)
        return shipped

    def wants(self, stream: str) -> bool:
        return STREAMS[stream].compliance or not self._policy.compliance

    def shipped(self, run: str, stream: str) -> Cursor:
        return self._stream(run, stream).cursor

    def close(self) -> None:
        self._archive.close()

    def state(self, run: str) -> ArchiveState:
        """How far a run is archived."""
        if run not in self._states:
            self._states[run] = checkpoint.load(self._journals.home, run, self.name, ArchiveState)
        return self._states[run]

    def _bucket(self, stream: str) -> str:
        return COMPLIANCE_LOGS if self._policy.compliance else STREAMS[stream].bucket

    def _stream(self, run: str, stream: str) -> StreamState:
        return self.state(run).streams.setdefault(stream, StreamState())

    def _save(self, run: str) -> None:
        checkpoint.save(self._journals.home, run, self.name, self.state(run))

    def _reader(self, run: str, stream: str) -> StreamReader:
        return StreamReader(run_folder(self._journals.home, run), stream, self._stream(run, stream).cursor)

    def _available(self, run: str, stream: str) -> int:
        return self._reader(run, stream).available()

    def _register(self, info: RunInfo) -> None:
        """Tell the compliance bucket that this run exists, so that a run that vanishes is missed."""
        if not self._policy.compliance or self.state(info.run).registered:
            return
        name = f"registry/{info.started[:10].replace('-', '/')}/{info.run}.json"
        body = msgspec.json.encode(msgspec.structs.replace(info, closed="", records=0))
        self._create(name, COMPLIANCE_LOGS, body, {"format": FORMAT, "run": info.run}, "application/json")
        self.state(info.run).registered = True
        self._save(info.run)

    def _ship_stream(self, info: RunInfo, stream: str, drain: bool) -> bool:
        state = self._stream(info.run, stream)
        if state.pending:
            self._finish(info.run, stream, state, state.pending)
            return True
        available = self._available(info.run, stream)
        if not self._is_due(info, stream, state, available, drain):
            return False
        batch = self._gather(info.run, stream, state, self._raw_limit(state))
        if batch is None:
            return self._skip_damage(info.run, stream, state)
        self._ship(info, stream, state, batch)
        return True

    def _is_due(self, info: RunInfo, stream: str, state: StreamState, available: int, drain: bool) -> bool:
        key = (info.run, stream)
        if not available:
            self._waiting_since.pop(key, None)
            return False
        now = self._journals.clock.monotonic()
        waited = now - self._waiting_since.setdefault(key, now)
        patient = self._policy.prompt_seconds if STREAMS[stream].prompt else self._policy.seconds
        if drain or info.closed or is_requested(self._journals.home, info.run):
            return True
        return available >= self._raw_limit(state) or waited >= patient or self._has_enough(info.run, stream)

    def _has_enough(self, run: str, stream: str) -> bool:
        """Whether the record count that the settings may name is reached."""
        if not self._policy.records:
            return False
        reader = self._reader(run, stream)
        try:
            return reader.read(self._policy.records * 1024).count(b"\n") >= self._policy.records
        finally:
            reader.close()

    def _raw_limit(self, state: StreamState) -> int:
        return min(_RAW_LIMIT, int(self._policy.bytes * max(1.0, state.ratio)))

    def _ship(self, info: RunInfo, stream: str, state: StreamState, batch: Batch) -> None:
        body = igzip.compress(batch.raw, 1, mtime=0)
        while len(body) > OBJECT_LIMIT:
            batch = _half(batch)
            body = igzip.compress(batch.raw, 1, mtime=0)
        pending = state.pending = self._describe(info, stream, state, batch)
        self._save(info.run)
        self._deliver(info.run, stream, state, pending, body)

    def _describe(self, info: RunInfo, stream: str, state: StreamState, batch: Batch) -> Pending:
        digest = hashlib.sha256(batch.raw).hexdigest()
        first, last = batch.first, batch.first + batch.count - 1
        first_ts = lines.head(batch.raw[: batch.raw.index(b"\n") + 1])[1]
        last_ts = lines.head(batch.raw[batch.raw.rindex(b"\n", 0, -1) + 1 if batch.count > 1 else 0 :])[1]
        metadata = {
            "format": FORMAT,
            "run": info.run,
            "bot": info.bot,
            "bot_type": info.bot_type,
            "stream": stream,
            "first": str(first),
            "last": str(last),
            "records": str(batch.count),
            "raw_bytes": str(len(batch.raw)),
            "raw_sha256": digest,
            "prev": state.chain,
            "chain": chained(state.chain, digest),
            "first_ts": first_ts,
            "last_ts": last_ts,
        }
        name = ObjectName(info.bot, stream, lines.moment(first_ts), info.run[-8:], first)
        return Pending(name=str(name), last=last, raw_sha256=digest, metadata=metadata, end=batch.end)

    def _finish(self, run: str, stream: str, state: StreamState, pending: Pending) -> None:
        """Ship exactly the range that was being shipped when the last shipper ended."""
        raw = self._read_range(run, stream, state, pending.end)
        if hashlib.sha256(raw).hexdigest() != pending.raw_sha256:
            raise StoreError(
                f"{stream} of run {run} changed while records {state.cursor.next} to {pending.last} were shipped",
                "the journal's disk or another program damaged them: see `tron verify`",
            )
        self._deliver(run, stream, state, pending, igzip.compress(raw, 1, mtime=0))

    def _deliver(self, run: str, stream: str, state: StreamState, pending: Pending, body: bytes) -> None:
        self._create(pending.name, self._bucket(stream), body, pending.metadata, "application/gzip")
        raw_bytes = int(pending.metadata["raw_bytes"])
        self.state(run).streams[stream] = StreamState(
            cursor=pending.end,
            chain=pending.metadata["chain"],
            ratio=raw_bytes / len(body),
            objects=state.objects + 1,
            records=state.records + int(pending.metadata["records"]),
            raw_bytes=state.raw_bytes + raw_bytes,
            stored_bytes=state.stored_bytes + len(body),
        )
        self._save(run)
        self._waiting_since.pop((run, stream), None)

    def _create(self, name: str, bucket: str, body: bytes, metadata: Mapping[str, str], content_type: str) -> None:
        def create() -> None:
            try:
                self._archive.create(bucket, name, body, metadata=metadata, content_type=content_type)
            except ObjectExists:
                self._recognise(bucket, name, metadata)

        self._patience.call(create)

    def _recognise(self, bucket: str, name: str, metadata: Mapping[str, str]) -> None:
        """The name is taken: by an earlier try of ours, which is success, or by another, which needs a person."""
        there = self._archive.stat(bucket, name)
        if there is None or there.metadata.get("raw_sha256") != metadata.get("raw_sha256"):
            raise StoreUnavailable(
                f"{bucket}/{name} exists with other content",
                "the archive does not overwrite: find out who wrote it, then move it away",
            )

    def _gather(self, run: str, stream: str, state: StreamState, limit: int) -> Batch | None:
        """Intact lines of one segment from the cursor on; None when the very next line is damaged."""
        reader = self._reader(run, stream)
        prefix, first = lines.id_prefix(run, stream), state.cursor.next
        pieces: list[bytes] = []
        count, size, end = 0, 0, state.cursor
        try:
            while size < limit and (chunk := reader.read(min(CHUNK, limit - size))):
                if count and reader.segment != end.segment:
                    break
                good, length = intact_prefix(chunk, prefix, first + count)
                pieces.append(chunk[:length])
                count, size = count + good, size + length
                end = Cursor(next=first + count, segment=reader.segment, position=reader.position - len(chunk) + length)
                if length < len(chunk):
                    break
        finally:
            reader.close()
        return Batch(b"".join(pieces), first, count, end) if count else None

    def _read_range(self, run: str, stream: str, state: StreamState, end: Cursor) -> bytes:
        reader = self._reader(run, stream)
        pieces: list[bytes] = []
        try:
            while (reader.segment, reader.position) < (end.segment, end.position) and (chunk := reader.read()):
                pieces.append(chunk[: len(chunk) - max(0, reader.position - end.position)])
        finally:
            reader.close()
        return b"".join(pieces)

    def _skip_damage(self, run: str, stream: str, state: StreamState) -> bool:
        """Set a damaged piece aside and go on at the next intact line of this stream."""
        reader = self._reader(run, stream)
        try:
            chunk = reader.read()
        finally:
            reader.close()
        prefix, length = lines.id_prefix(run, stream), 0
        following = state.cursor.next
        for line in lines.split(chunk):
            offset = lines.offset_of(line, prefix)
            if lines.is_intact(line) and offset >= state.cursor.next:
                following = offset
                break
            length += len(line)
        if not length:
            return False
        reason = (
            f"damaged: the checksum of a line does not match; records {state.cursor.next} to {following - 1} are lost"
        )
        quarantine(self._journals.home, run, stream, state.cursor.next, chunk[:length], reason)
        position = reader.position - len(chunk) + length
        state.cursor = Cursor(next=following, segment=reader.segment, position=position)
        self._save(run)
        return True


def chained(prev: str, raw_sha256: str) -> str:
    """The chain after an object. `prev` is empty for a stream's first object."""
    return hashlib.sha256(bytes.fromhex(prev) + bytes.fromhex(raw_sha256)).hexdigest()


def intact_prefix(chunk: bytes, prefix: bytes, first: int) -> tuple[int, int]:
    """How many of a chunk's first lines (and bytes) are intact and carry the offsets `first`, `first + 1`, ..."""
    start, following = len(prefix), first
    length = 0
    for line in lines.split(chunk):
        digits = line[start : start + lines.OFFSET_DIGITS]
        if digits != b"%012d" % following or not line.startswith(prefix) or not lines.is_intact(line):
            break
        following += 1
        length += len(line)
    return following - first, length


def _half(batch: Batch) -> Batch:
    """The first half of a batch, for content that compresses too badly for one object."""
    count = batch.count // 2
    length = len(b"".join(lines.split(batch.raw)[:count]))
    position = batch.end.position - len(batch.raw) + length
    end = Cursor(next=batch.first + count, segment=batch.end.segment, position=position)
    return Batch(batch.raw[:length], batch.first, count, end)
