"""The archive follower: journal lines become gzip objects that are created once and never changed.

One object holds one contiguous range of one stream of one run. Its metadata names the range, the SHA-256 of the raw
lines, and the chain: `chain = SHA-256(prev || raw_sha256)` with `prev` the chain of the object before it.

Before an object is created, the checkpoint holds its range and raw hash (`Pending`). After a crash exactly that range
is shipped first; when its name is taken by an object with the same raw hash, it is done. Nothing is doubled or skipped.
A checkpoint that was lost is made again from the archive's own list (see `archive_state`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import msgspec

from runner.errors import JournalError, ObjectExists, StoreDenied, StoreError, StoreUnavailable
from runner.layout import ObjectName, object_day
from runner.logging import archive_state, checkpoint, disk, lines
from runner.logging.archive_state import ArchiveState, Pending, StreamState
from runner.logging.batches import Batch, compress, gather, next_intact, read_range
from runner.logging.follower import Journals, Patience
from runner.logging.journal import RunInfo, is_requested, read_info, run_folder, segment_path
from runner.logging.parts import view
from runner.logging.reader import Cursor, StreamReader
from runner.logging.recovery import quarantine
from runner.logging.retention import is_quiet
from runner.logging.routes import COMPLIANCE_LOGS, STREAMS
from runner.settings import MIB
from runner.stores.base import Archive

__all__ = [
    "FORMAT",
    "OBJECT_LIMIT",
    "ArchivePolicy",
    "ArchiveState",
    "GCSLogger",
    "Pending",
    "StreamState",
    "chained",
    "describe",
]

FORMAT = "1"
OBJECT_LIMIT = 8 * MIB
_RAW_LIMIT = 48 * MIB


@dataclass(frozen=True, slots=True)
class ArchivePolicy:
    """When an object is written: at `bytes` compressed, after `seconds` (`prompt_seconds` for prompt streams)."""

    name: str
    bytes: int
    seconds: float
    prompt_seconds: float
    records: int = 0
    compliance: bool = False


class GCSLogger:
    """Ships the journal to an archive. With a compliance policy, it ships the copies for the compliance bucket."""

    def __init__(self, journals: Journals, archive: Archive, policy: ArchivePolicy, patience: Patience) -> None:
        self.name = policy.name
        self.pins = True
        self.patience = patience
        self._journals = journals
        self._archive = archive
        self._policy = policy
        self._states: dict[str, ArchiveState] = {}
        self._shipped: dict[tuple[str, str], Cursor] = {}
        self._waiting_since: dict[tuple[str, str], float] = {}
        self._met: set[str] = set()
        self.delivered: Counter[str] = Counter()
        """How many records this follower itself has archived, by type of bot."""
        self._unreadable: set[str] = set()

    def step(self, *, drain: bool = False) -> bool:
        """Ship what is due. What is refused stops its own stream only; it is raised when the others had their turn."""
        shipped = False
        refused: list[StoreError] = []
        present = self._journals.runs()
        self._tell_unreadable({info.run for info in present})
        for info in present:
            self._meet(info)
        self._let_go(present)
        for info in present:
            for stream in self._journals.streams(info.run):
                if self.wants(stream):
                    try:
                        self._register(info)
                        shipped |= self._ship_stream(info, stream, drain)
                    except StoreUnavailable:
                        raise
                    except StoreError as error:
                        refused.append(error)
        if refused:
            raise refused[0]
        return shipped

    def wants(self, stream: str) -> bool:
        return STREAMS[stream].compliance or not self._policy.compliance

    def shipped(self, run: str, stream: str) -> Cursor:
        return self._shipped.get((run, stream), Cursor())

    def close(self) -> None:
        self._archive.close()

    def state(self, run: str) -> ArchiveState:
        """How far a run is archived."""
        if run not in self._states:
            self._states[run] = checkpoint.load(self._journals.home, run, self.name, ArchiveState)
            self._shipped.update({(run, stream): state.cursor for stream, state in self._states[run].streams.items()})
        return self._states[run]

    def _tell_unreadable(self, present: set[str]) -> None:
        """A run that cannot be read is told once, and keeps no other one waiting."""
        found = self._journals.unreadable(present) if not self._policy.compliance else {}
        for run in found.keys() - self._unreadable:
            self.patience.refused(found[run])
        self._unreadable = set(found)

    def _meet(self, info: RunInfo) -> None:
        """At the first look at a run: what was archived of it though no checkpoint says so, is found in the archive."""
        if info.run in self._met:
            return
        if not archive_state.is_known(self._journals.home, info.run, self.name):
            is_new = archive_state.is_new(self._journals.home, info, self._journals.clock)
            self._start(info, ArchiveState() if is_new else self._find_again(info))
        self._met.add(info.run)

    def _find_again(self, info: RunInfo) -> ArchiveState:
        """What the archive's list tells. Who may only create and get goes on from the start: see `_take_over`."""
        bucket_of = {stream: self._bucket(stream) for stream in STREAMS if self.wants(stream)}
        journals = self._journals

        def look() -> ArchiveState:
            try:
                return archive_state.rebuilt(self._archive, journals.home, info, bucket_of, journals.clock)
            except StoreDenied:
                return ArchiveState()

        return self.patience.call(look)

    def _start(self, info: RunInfo, state: ArchiveState) -> None:
        """Go on from a state. Where it cannot be saved, it is found again the next time."""
        with contextlib.suppress(JournalError):
            checkpoint.save(self._journals.home, info.run, self.name, state)
        self._states[info.run] = state
        self._shipped.update({(info.run, stream): one.cursor for stream, one in state.streams.items()})

    def _let_go(self, present: list[RunInfo]) -> None:
        """Forget runs that were swept from the journal."""
        kept = {info.run for info in present}
        self._met &= kept
        self._states = {run: self.state(run) for run in kept}
        self._shipped = {key: cursor for key, cursor in self._shipped.items() if key[0] in kept}
        self._waiting_since = {key: since for key, since in self._waiting_since.items() if key[0] in kept}

    def _bucket(self, stream: str) -> str:
        return COMPLIANCE_LOGS if self._policy.compliance else STREAMS[stream].bucket

    def _stream(self, run: str, stream: str) -> StreamState:
        return self.state(run).streams.get(stream, StreamState())

    def _save(self, run: str, stream: str, state: StreamState) -> None:
        """Make a stream's state durable first; only then does anybody see it."""
        streams = {**self.state(run).streams, stream: state}
        saved = msgspec.structs.replace(self.state(run), streams=streams)
        checkpoint.save(self._journals.home, run, self.name, saved)
        self._states[run] = saved
        self._shipped[run, stream] = state.cursor

    def _reader(self, run: str, stream: str) -> StreamReader:
        return StreamReader(run_folder(self._journals.home, run), stream, self._stream(run, stream).cursor)

    def _available(self, run: str, stream: str) -> int:
        return self._reader(run, stream).available()

    def _register(self, info: RunInfo) -> None:
        """Tell the compliance bucket that this run exists, so that a run that vanishes is missed."""
        if not self._policy.compliance or self.state(info.run).registered:
            return
        if not self._journals.unshipped(self, info.run):
            return
        name = f"registry/{info.started[:10].replace('-', '/')}/{info.run}.json"
        body = msgspec.json.encode(msgspec.structs.replace(info, closed="", records=0))
        self._create(name, COMPLIANCE_LOGS, body, {"format": FORMAT, "run": info.run}, "application/json")
        registered = msgspec.structs.replace(self.state(info.run), registered=True)
        checkpoint.save(self._journals.home, info.run, self.name, registered)
        self._states[info.run] = registered

    def _ship_stream(self, info: RunInfo, stream: str, drain: bool) -> bool:
        state = self._stream(info.run, stream)
        if state.pending:
            self._finish(info.run, stream, state, state.pending)
            return True
        available = self._available(info.run, stream)
        if not self._is_due(info, stream, state, available, drain):
            return False
        with closing(self._reader(info.run, stream)) as reader:
            batch = gather(reader, lines.id_prefix(info.run, stream), state.cursor, self._raw_limit(state))
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
        if info.closed and stream == "seals":
            return not self._has_more_than_seals(info.run)
        if drain or info.closed or is_requested(self._journals.home, info.run):
            return True
        return available >= self._raw_limit(state) or waited >= patient or self._has_enough(info.run, stream)

    def _has_more_than_seals(self, run: str) -> bool:
        """The last seal is archived after everything that it seals, so that an audit never sees it alone."""
        others = (stream for stream in self._journals.streams(run) if stream != "seals" and self.wants(stream))
        return any(self._available(run, stream) for stream in others)

    def _has_enough(self, run: str, stream: str) -> bool:
        """Whether the record count that the settings may name is reached."""
        if not self._policy.records:
            return False
        with closing(self._reader(run, stream)) as reader:
            return reader.read(self._policy.records * 1024).count(b"\n") >= self._policy.records

    def _raw_limit(self, state: StreamState) -> int:
        return min(_RAW_LIMIT, int(self._policy.bytes * max(1.0, state.ratio)))

    def _ship(self, info: RunInfo, stream: str, state: StreamState, batch: Batch) -> None:
        body = batch.compressed()
        while len(body) > OBJECT_LIMIT:
            batch = batch.half()
            body = batch.compressed()
        pending = describe(info, stream, state.chain, batch)
        self._make_durable(info.run, stream, batch.end.segment)
        self._save(info.run, stream, msgspec.structs.replace(state, pending=pending))
        self._deliver(info.run, stream, state, pending, body)

    def _make_durable(self, run: str, stream: str, segment: int) -> None:
        """No loss of power may take from the journal what the archive holds."""
        path = segment_path(run_folder(self._journals.home, run), stream, segment)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            disk.sync_data(descriptor)
        finally:
            os.close(descriptor)

    def _finish(self, run: str, stream: str, state: StreamState, pending: Pending) -> None:
        """Ship exactly the range that was being shipped when the last shipper ended."""
        with closing(self._reader(run, stream)) as reader:
            raw = read_range(reader, pending.end)
        if hashlib.sha256(raw).hexdigest() != pending.raw_sha256:
            raise StoreError(
                f"{stream} of run {run} changed while records {state.cursor.next} to {pending.last} were shipped",
                "the journal's disk or another program damaged them: see `tron verify`",
            )
        self._deliver(run, stream, state, pending, compress((raw,)))

    def _deliver(self, run: str, stream: str, state: StreamState, pending: Pending, body: bytes) -> None:
        try:
            self._create(pending.name, self._bucket(stream), body, pending.metadata, "application/gzip")
        except ObjectExists:
            if not self._take_over(run, stream, state, pending.name):
                raise
            return
        raw_bytes = int(pending.metadata["raw_bytes"])
        delivered = StreamState(
            cursor=pending.end,
            chain=pending.metadata["chain"],
            ratio=raw_bytes / len(body),
            objects=state.objects + 1,
            records=state.records + int(pending.metadata["records"]),
            raw_bytes=state.raw_bytes + raw_bytes,
            stored_bytes=state.stored_bytes + len(body),
        )
        self._save(run, stream, delivered)
        self.delivered[pending.metadata["bot_type"]] += int(pending.metadata["records"])
        self._waiting_since.pop((run, stream), None)

    def _take_over(self, run: str, stream: str, state: StreamState, name: str) -> bool:
        """Go on behind an object that holds the same lines in another cut: `tron recover` archived them already.

        Where nothing is known to be archived, that knowledge may have been lost: then the archive's list decides.
        """
        there = view(self._archive).stat(self._bucket(stream), name)
        taken = there and archive_state.taken_over(self._journals.home, run, stream, state, there)
        info = read_info(run_folder(self._journals.home, run))
        if not taken and info is not None and not state.chain:
            taken = self._find_again(info).streams.get(stream)
        if not taken:
            return False
        self._save(run, stream, taken)
        self._waiting_since.pop((run, stream), None)
        return True

    def _create(self, name: str, bucket: str, body: bytes, metadata: Mapping[str, str], content_type: str) -> None:
        def create() -> None:
            if self._is_compacted(bucket, name):
                return self._recognise(bucket, name, metadata)
            try:
                self._archive.create(bucket, name, body, metadata=metadata, content_type=content_type)
            except ObjectExists:
                self._recognise(bucket, name, metadata)
            return None

        self.patience.call(create)

    def _is_compacted(self, bucket: str, name: str) -> bool:
        """Whether an object was joined with others since: the name of one that was shipped days ago may be free."""
        day = object_day(name)
        if day is None or self._policy.compliance or not is_quiet(day, self._journals.clock.now()):
            return False
        try:
            return view(self._archive).stat(bucket, name) is not None
        except StoreDenied:
            return False  # who may not list creates the object a second time: with the same content, which readers know

    def _recognise(self, bucket: str, name: str, metadata: Mapping[str, str]) -> None:
        """The name is taken: by an earlier try of ours, which is success, or by another, which needs a person."""
        there = view(self._archive).stat(bucket, name)
        if there is None or any(there.metadata.get(name) != metadata.get(name) for name in ("run", "raw_sha256")):
            raise ObjectExists(
                f"{bucket}/{name} exists with other content",
                "the archive does not overwrite: find out who wrote it, then move it away",
            )

    def _skip_damage(self, run: str, stream: str, state: StreamState) -> bool:
        """Set a damaged piece aside and go on at the next intact line of this stream."""
        with closing(self._reader(run, stream)) as reader:
            chunk = reader.read()
        following, length = next_intact(chunk, lines.id_prefix(run, stream), state.cursor.next)
        if not length and following == state.cursor.next:
            return False
        lost = (
            f"records {state.cursor.next} to {following - 1} are lost" if following > state.cursor.next else "damaged"
        )
        if length:
            quarantine(self._journals.home, run, stream, state.cursor.next, chunk[:length], lost)
        self.patience.refused(JournalError(f"{stream} of run {run}, from record {state.cursor.next} on: {lost}"))
        position = reader.position - len(chunk) + length
        cursor = Cursor(next=following, segment=reader.segment, position=position)
        self._save(run, stream, msgspec.structs.replace(state, cursor=cursor))
        return True


def chained(prev: str, raw_sha256: str) -> str:
    """The chain after an object. `prev` is empty for a stream's first object."""
    return hashlib.sha256(bytes.fromhex(prev) + bytes.fromhex(raw_sha256)).hexdigest()


def describe(info: RunInfo, stream: str, prev: str, batch: Batch) -> Pending:
    """The object that a batch becomes, behind the one whose chain is `prev`."""
    digest = batch.sha256()
    first_ts, last_ts = batch.times()
    metadata = {
        "format": FORMAT,
        "run": info.run,
        "bot": info.bot,
        "bot_type": info.bot_type,
        "epoch": str(info.epoch),
        "stream": stream,
        "first": str(batch.first),
        "last": str(batch.last),
        "records": str(batch.count),
        "raw_bytes": str(batch.size),
        "raw_sha256": digest,
        "prev": prev,
        "chain": chained(prev, digest),
        "first_ts": first_ts,
        "last_ts": last_ts,
    }
    name = ObjectName(info.bot, stream, lines.moment(first_ts), info.run[-8:], batch.first)
    return Pending(name=str(name), last=batch.last, raw_sha256=digest, metadata=metadata, end=batch.end)
