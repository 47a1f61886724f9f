"""The writer of one stream: a front, the segments behind it, and the head over all of it.

Interruptions
-------------
A signal handler runs in the main thread between any two steps of the interpreter: it may raise (Ctrl-C), and it may
log. So nothing here is half done when something is called:

- `store` makes its last changes without calling anything, and refuses when a handler has logged meanwhile.
- `copy` writes to places that follow from stream positions, and moves its marks last: doing it again changes nothing.
- A handler that logs in the middle of `copy` copies nothing itself. Its urgent record is synced in the front.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from runner.clock import Clock
from runner.errors import JournalFull
from runner.logging import lines
from runner.logging.front import COPIED, HEADER, SEGMENT, WRITTEN, Front
from runner.logging.heads import RunningHead
from runner.logging.quota import Tally
from runner.logging.run_info import front_path
from runner.logging.segments import Segments
from runner.settings import MIB
from runner.settings import Journal as Limits

_HASH_AT, _HASH_MOST, _MOST_LEFT = 8 * MIB, 16 * MIB, 2


class StreamWriter:
    """Positions count bytes of the stream: `written` are accepted, `copied` of them are in segments."""

    def __init__(
        self, folder: Path, run: str, name: str, limits: Limits, clock: Clock, on_space: Callable[[bool], None]
    ) -> None:
        self.prefix = lines.id_prefix(run, name)
        self.next_offset = 0
        self.written = self.copied = self._seen = 0
        self._simple = 0  # a line that ends there or before needs no room to be made, and does not wrap
        self._name, self._folder = name, folder
        self._copy_lock, self._sync_lock = threading.RLock(), threading.RLock()
        self._copying = False
        self.front = Front(front_path(folder, name), limits.front_bytes)
        self._ring, self._header = self.front.ring, self.front.header
        self._capacity, self._end = self.front.capacity, self.front.end
        self._head = RunningHead(run, name)
        try:
            self._segments = Segments(folder, name, limits, clock, on_space)
        except BaseException:
            self.front.close()
            front_path(folder, name).unlink()
            raise

    @property
    def full(self) -> bool:
        """Whether the disk has no room left behind the newest segment."""
        return self._segments.full

    def store(self, line: bytes, tally: Tally, seq: int) -> bool:
        """Accept a line that was made for `seq`; False when a signal handler took that place, or ended the run.

        The caller holds the run's lock. Raises `JournalError` where no room can be made.
        """
        position, size, wrapped = self.written, len(line), 0
        written, start = position + size, HEADER + position % self._capacity
        if written > self._simple:
            wrapped = self._prepare(position, written)
        offset = self.next_offset
        if tally.seq != seq or tally.ended:
            return False
        # From here on nothing is called, and so no signal handler can come in between.
        if wrapped:
            self._ring[start : self._end] = line[:-wrapped]
            self._ring[HEADER : HEADER + wrapped] = line[-wrapped:]
        else:
            self._ring[start : start + size] = line
        self._header[WRITTEN] = self.written = written
        self.next_offset = offset + 1
        tally.seq = seq + 1
        tally.stored += size
        return True

    def copy(self, *, wait: bool = True) -> None:
        """Copy what is new to the segment. Without `wait`, leave it to whoever is copying already."""
        if not self._copy_lock.acquire(blocking=wait):
            return
        try:
            if not self._copying:
                self._copying = True
                try:
                    self._copy_new()
                finally:
                    self._copying = False
        finally:
            self._copy_lock.release()

    def sync(self) -> None:
        """Wait until everything accepted so far is on disk."""
        target = self.written
        with self._sync_lock:
            self.copy()
            if self.copied < target:
                self.front.sync()
            self._sync_copied()

    def sync_left_behind(self) -> None:
        """Sync and close the segments that rotation left behind, unless somebody is syncing already."""
        if self._segments.left_behind and self._sync_lock.acquire(blocking=False):
            try:
                self._sync_copied()
            finally:
                self._sync_lock.release()

    def copy_unless_busy(self) -> None:
        """Copy what is new, but leave it to a caller who has copied since this was asked the last time."""
        if self.copied == self._seen:
            self.copy(wait=False)
        self._seen = self.copied

    def retry_reserve(self) -> None:
        if self._copy_lock.acquire(blocking=False):
            try:
                self._segments.reserve(self.copied)
            finally:
                self._copy_lock.release()

    def hash_some(self) -> None:
        """Hash a part of what is waiting for it, if that is much, or keeps segments open."""
        waiting = self.copied - self._head.position
        if waiting >= _HASH_AT or self._segments.left_behind > _MOST_LEFT:
            self._head.advance(self._head.position + min(waiting, _HASH_MOST), self._read)

    def hash_copied(self) -> None:
        """Hash everything that is in segments."""
        self._head.advance(self.copied, self._read)

    def head(self) -> str:
        """The head hash over everything accepted so far. Meanwhile nothing may be accepted."""
        return self._head.digest(self.written, self._read)

    def close(self) -> None:
        """Copy, sync and let go. The front file stays: the run must be marked closed before it may go."""
        self.sync()
        if self.copied < self.written:
            raise JournalFull("the front could not be copied", "recovery will finish this run")
        self._segments.finish(self.copied)
        self.release()

    def release(self) -> None:
        """Close descriptors and maps without writing anything: for a forked child."""
        self._segments.close()
        with contextlib.suppress(BufferError):
            self.front.close()

    def _prepare(self, position: int, written: int) -> int:
        """Make room for a line between these positions; answers how many bytes of it go to the ring's start."""
        if written - self.copied > self._capacity:
            self._make_room(written)
        lap = position - position % self._capacity + self._capacity
        self._simple = min(self.copied + self._capacity, lap)
        return max(0, written - lap)

    def _make_room(self, end: int) -> None:
        """Free as much of the ring as a line that ends there needs."""
        self.copy()
        if end - self.copied > self._capacity:
            raise JournalFull("the front is full while it is being copied", "log less in signal handlers")

    def _copy_new(self) -> None:
        start, end = self.copied, self.written
        if start == end:
            return
        if self._segments.is_due(start):
            self._rotate(start)
        self._segments.write(self.front.slices(start, end), start)
        self.copied = self._header[COPIED] = end
        self._segments.reserve(end)

    def _rotate(self, start: int) -> None:
        length = len(self.prefix) + lines.OFFSET_DIGITS
        first = lines.offset_of(b"".join(self._fronted(start, start + length)), self.prefix)
        if self._segments.rotate(first, start):
            self._header[SEGMENT] = first

    def _read(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes of the stream: from segments as far as they go, the rest from the front."""
        copied = min(self.copied, end)
        if start < copied:
            yield from self._segments.read(start, copied)
        yield from self._fronted(max(start, copied), end)

    def _fronted(self, start: int, end: int) -> Iterator[bytes]:
        for view in self.front.slices(start, end) if end > start else ():
            with view:
                yield bytes(view)

    def _sync_copied(self) -> None:
        """Sync what is in segments; then close what nobody needs, another time where segments are being added."""
        if self._segments.sync(self.copied) and self._copy_lock.acquire(blocking=False):
            try:
                self._segments.let_go(self._head.position)
            finally:
                self._copy_lock.release()
