"""The segments of one stream, as their writer has them. Positions count bytes of the stream.

A segment that was left behind stays open until it is on disk and hashed, also when the shipper has deleted its file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from runner.clock import Clock
from runner.errors import JournalError, JournalFull
from runner.files import sync_folder
from runner.logging import disk
from runner.logging.quota import RESERVE
from runner.logging.run_info import segment_path
from runner.settings import MIB
from runner.settings import Journal as Limits

_SECONDS_PER_HOUR = 3600
_READ = 4 * MIB


@dataclass(slots=True)
class _Segment:
    """`start` is where it begins; it ends where the next one begins. `synced` is said of those left behind."""

    descriptor: int
    start: int
    synced: bool = False


class Segments:
    """The newest segment, and those before it that are still needed. Raises `JournalError` where a disk fails.

    `on_space` is told when the disk becomes full, and when it has space again.
    """

    def __init__(
        self, folder: Path, stream: str, limits: Limits, clock: Clock, on_space: Callable[[bool], None]
    ) -> None:
        self.full = False
        self._folder, self._stream, self._limits, self._clock = folder, stream, limits, clock
        self._on_space = on_space
        self._known: tuple[_Segment, ...] = ()
        self._synced = self._reserved = 0
        self._syncing = False
        (folder / stream).mkdir(mode=0o700, exist_ok=True)
        self._open(0, 0)

    def is_due(self, end: int) -> bool:
        """Whether what follows `end` belongs into a new segment."""
        size = end - self._known[-1].start
        if self.full or not size:
            return False
        age = self._clock.monotonic() - self._opened
        return size >= self._limits.segment_bytes or age >= self._limits.segment_hours * _SECONDS_PER_HOUR

    def rotate(self, first: int, start: int) -> bool:
        """Go on in a new segment; where none can be made, in the old one. Returns whether there is a new one.

        `first` is the offset of the record at `start`.
        """
        left = self._known[-1]
        with contextlib.suppress(JournalError), disk.failures_as_journal_errors():
            self._open(first, start)
            os.ftruncate(left.descriptor, start - left.start)
        return self._known[-1] is not left

    def write(self, views: Iterable[memoryview], start: int) -> None:
        """Write what begins at `start` to the newest segment."""
        newest = self._known[-1]
        position = start - newest.start
        for view in views:
            with view:
                disk.write_at(newest.descriptor, view, position)
                position += len(view)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """What was written between two positions, in pieces of at most 4 MiB."""
        with disk.failures_as_journal_errors():
            for segment, following in pairwise((*self._known, _Segment(-1, end))):
                position, stop = max(start, segment.start), min(end, following.start)
                while position < stop:
                    piece = os.pread(segment.descriptor, min(_READ, stop - position), position - segment.start)
                    if not piece:
                        raise JournalError("a segment was cut while it was written", "see `tron verify`")
                    yield piece
                    position += len(piece)

    def reserve(self, end: int) -> None:
        """Keep room behind the newest segment for all that will have been accepted when a full disk is noticed."""
        if not self._known:
            return  # a signal handler has closed the run just now
        newest, was_full = self._known[-1], self.full
        size = end - newest.start
        try:
            if self._reserved - size < self._least_ahead():
                disk.reserve(newest.descriptor, size, self._most_ahead())
                self._reserved = size + self._most_ahead()
            self.full = False
        except JournalFull:
            self.full = True
        if self.full != was_full:
            self._on_space(self.full)

    @property
    def left_behind(self) -> int:
        """How many segments before the newest are still open."""
        return len(self._known) - 1

    def sync(self, end: int) -> bool:
        """Wait until everything up to `end` is on disk, older segments first.

        Returns whether segments may be let go: not where a signal handler came in while this thread was syncing.
        """
        nested, self._syncing = self._syncing, True
        try:
            *left, newest = self._known
            for segment in left:
                if not segment.synced:
                    disk.sync_data(segment.descriptor)
                    segment.synced = True
            if self._synced < end:
                disk.sync_data(newest.descriptor)
                self._synced = end
        finally:
            self._syncing = nested
        return not nested

    def let_go(self, hashed: int) -> None:
        """Close segments that nobody needs any more: on disk, and hashed up to that position."""
        known = self._known
        count = 0
        while count < len(known) - 1 and known[count].synced and known[count + 1].start <= hashed:
            count += 1
        self._known = known[count:]
        for segment in known[:count]:
            os.close(segment.descriptor)

    def finish(self, end: int) -> None:
        """Give back what was reserved behind the end."""
        newest = self._known[-1]
        os.ftruncate(newest.descriptor, end - newest.start)

    def close(self) -> None:
        """Close all without writing anything."""
        known, self._known = self._known, ()
        for segment in known:
            os.close(segment.descriptor)

    def _open(self, first: int, start: int) -> None:
        path = segment_path(self._folder, self._stream, first)
        ahead = self._most_ahead()
        with disk.failures_as_journal_errors():
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                disk.reserve(descriptor, 0, ahead)
                sync_folder(path.parent)
            except BaseException:
                os.close(descriptor)
                path.unlink()
                raise
        self._opened = self._clock.monotonic()
        self._known = (*self._known, _Segment(descriptor, start))
        self._reserved = ahead

    def _least_ahead(self) -> int:
        """Room behind a segment that is asked for before it is needed: what two rings can hold, and the reserve.

        One ring may be filled before a refusal is noticed, so that much more is there when the disk is full.
        """
        return 2 * self._limits.front_bytes + RESERVE

    def _most_ahead(self) -> int:
        return self._least_ahead() + self._limits.front_bytes
