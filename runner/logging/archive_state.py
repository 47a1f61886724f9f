"""How far the archive follower is with a run, and how it finds that out again from the archive when it was forgotten.

The checkpoint is a convenience: objects name their run, stream, range and chain in their metadata, so a list of them
says the same. It is asked for only where it may say something: not for a run that was opened just now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from contextlib import closing
from datetime import timedelta

import msgspec

from runner.clock import Clock
from runner.errors import StoreRejected
from runner.layout import Home
from runner.logging import checkpoint, lines, objects
from runner.logging.journal import RunInfo, run_folder
from runner.logging.objects import BatchObject
from runner.logging.parts import view
from runner.logging.reader import Cursor, StreamReader, segments
from runner.logging.routes import STREAMS
from runner.stores.base import Archive, ObjectInfo

USUAL_RATIO = 5
_NEW = 600.0
"""Seconds for which a run without a checkpoint is taken for one that was just opened."""


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
    ratio: float = USUAL_RATIO
    objects: int = 0
    records: int = 0
    raw_bytes: int = 0
    stored_bytes: int = 0


class ArchiveState(msgspec.Struct, kw_only=True):
    registered: bool = False
    streams: dict[str, StreamState] = msgspec.field(default_factory=dict)


def is_new(home: Home, info: RunInfo, clock: Clock) -> bool:
    """Whether a run without a checkpoint is taken for one that was opened just now: it is young, and nothing was swept.

    Where that is wrong, its objects are met by their names and taken over (`taken_over`).
    """
    young = abs((clock.now() - lines.moment(info.started)).total_seconds()) < _NEW
    first = (segments(run_folder(home, info.run), stream)[:1] for stream in STREAMS)
    return young and not any(map(any, first))


def rebuilt(archive: Archive, home: Home, info: RunInfo, bucket_of: Mapping[str, str], clock: Clock) -> ArchiveState:
    """The state of a run as its objects tell it. `bucket_of` names the bucket of each stream that is shipped.

    Raises `StoreUnavailable`. Objects without usable metadata are passed by: `tron verify` names them.
    """
    found = _batches(archive, info, set(bucket_of.values()), clock)
    return ArchiveState(streams={stream: _state(home, info.run, stream, found[stream]) for stream in found})


def _batches(archive: Archive, info: RunInfo, buckets: Collection[str], clock: Clock) -> dict[str, list[BatchObject]]:
    """The run's objects by stream, in order, looked for on the days from its start on."""
    start = lines.moment(info.started).date() - timedelta(days=1)
    days = [start + timedelta(days=number) for number in range((clock.now().date() - start).days + 2)]
    found: dict[str, list[BatchObject]] = {}
    shown = view(archive)
    for bucket in sorted(buckets):
        for day in days:
            for one in shown.list(bucket, f"logs/{day:%Y/%m/%d}/{info.bot}/"):
                try:
                    batch = objects.batch_object(one)
                except StoreRejected:
                    continue
                if batch is not None and batch.run == info.run:
                    found.setdefault(batch.stream, []).append(batch)
    return {stream: sorted(batches) for stream, batches in found.items()}


def _state(home: Home, run: str, stream: str, batches: list[BatchObject]) -> StreamState:
    """What is archived is never shipped again, also where an earlier object is missing: `verify` finds that."""
    last = max(batches, key=lambda batch: batch.last)
    raw, stored = sum(batch.raw_bytes for batch in batches), sum(batch.size for batch in batches)
    return StreamState(
        cursor=_locate(home, run, stream, last.last + 1),
        chain=last.chain,
        ratio=raw / stored if stored else USUAL_RATIO,
        objects=len(batches),
        records=sum(batch.last - batch.first + 1 for batch in batches),
        raw_bytes=raw,
        stored_bytes=stored,
    )


def _locate(home: Home, run: str, stream: str, following: int) -> Cursor:
    """The place of an offset in the journal; the end of its last line where it is not there yet."""
    folder, prefix = run_folder(home, run), lines.id_prefix(run, stream)
    known = segments(folder, stream)
    begun = [first for first in known if first <= following]
    segment = begun[-1] if begun else (known[0] if known else 0)
    position = 0
    with closing(StreamReader(folder, stream, Cursor(segment=segment))) as reader:
        while (chunk := reader.read()) and reader.segment == segment:
            for line in lines.split(chunk):
                if lines.offset_of(line, prefix) >= following:
                    return Cursor(next=following, segment=segment, position=position)
                position += len(line)
    return Cursor(next=following, segment=segment, position=position)


def taken_over(home: Home, run: str, stream: str, state: StreamState, there: ObjectInfo) -> StreamState | None:
    """The state behind an object that stands where the next one belongs, if it holds the very lines of the journal."""
    try:
        batch = objects.batch_object(there)
    except StoreRejected:
        return None
    if batch is None or (batch.run, batch.stream, batch.first) != (run, stream, state.cursor.next):
        return None
    raw, end = _take(home, run, stream, state.cursor, batch.last - batch.first + 1)
    is_same = hashlib.sha256(raw).hexdigest() == batch.raw_sha256 and batch.prev == state.chain
    if not is_same or end.next != batch.last + 1:
        return None
    return StreamState(
        cursor=end,
        chain=batch.chain,
        ratio=len(raw) / batch.size,
        objects=state.objects + 1,
        records=state.records + batch.last - batch.first + 1,
        raw_bytes=state.raw_bytes + len(raw),
        stored_bytes=state.stored_bytes + batch.size,
    )


def _take(home: Home, run: str, stream: str, cursor: Cursor, count: int) -> tuple[bytes, Cursor]:
    """The next `count` lines of a stream, or as many as there are, and the place behind them."""
    taken: list[bytes] = []
    with closing(StreamReader(run_folder(home, run), stream, cursor)) as reader:
        while len(taken) < count and (chunk := reader.read()):
            new = lines.split(chunk)[: count - len(taken)]
            taken += new
            position = reader.position - len(chunk) + sum(map(len, new))
            cursor = Cursor(next=cursor.next + len(new), segment=reader.segment, position=position)
    return b"".join(taken), cursor


def is_known(home: Home, run: str, follower: str) -> bool:
    """Whether a follower has a checkpoint for a run."""
    return checkpoint.path(home, run, follower).exists()
