"""The writer of one stream: a front, the segments behind it, and the head over all of it.

Threads and interruptions
-------------------------
Threads share a run, and a signal handler runs in the main thread between any two steps of the interpreter: it may raise
(Ctrl-C), and it may log. No lock is held while a record is made: who loses the interpreter in the middle would keep all
others waiting for it. Instead:

- A line is made for a place (`seq`), and `store` accepts it only if that place is still free; else it is made again.
- `store` accepts behind a gate, without calling anything. So no handler comes in between; neither does a thread, as the
  interpreter changes threads only where something is called. Where that is not so (a debugger, an interpreter without
  its lock), the gate, which only one can take, keeps the others out.
- `copy` writes to places that follow from stream positions, and moves its marks last: doing it again changes nothing.
- A handler that logs in the middle of `copy` copies nothing itself. Its urgent record is synced in the front.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from runner.clock import Clock
from runner.errors import JournalError, JournalFull
from runner.logging import lines
from runner.logging.front import COPIED, HEADER, SEGMENT, WRITTEN, Front
from runner.logging.heads import RunningHead
from runner.logging.lines import TRAILER
from runner.logging.quota import Tally
from runner.logging.run_info import front_path
from runner.logging.segments import Segments
from runner.settings import KIB, MIB
from runner.settings import Journal as Limits

_HASH_AT, _HASH_MOST, _MOST_LEFT = 8 * MIB, 16 * MIB, 2
_LEFT = 64 * KIB


class StreamWriter:
    """Positions count bytes of the stream: `written` are accepted, `copied` of them are in segments."""

    def __init__(
        self, folder: Path, run: str, name: str, limits: Limits, clock: Clock, on_space: Callable[[bool], None]
    ) -> None:
        self.prefix = lines.id_prefix(run, name)
        self.next_offset = 0
        self.written = self.copied = self._seen = 0
        self._simple = 0  # nothing has to be copied for a line that ends there or before
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

    def store(self, body: bytes, trailer: bytes, tally: Tally, seq: int) -> bool:
        """Accept the line `body + trailer`, made for `seq`; False when that place was taken, or the run has ended.

        Raises `JournalError` where no room can be made.
        """
        position = self.written
        start = HEADER + position % self._capacity
        middle = start + len(body)
        end = middle + TRAILER
        written = position + end - start
        if written > self._simple:
            self._prepare(written)
        gate = tally.gate
        try:
            del gate[0]
        except KeyError:
            return False
        try:
            # Until the gate is open again nothing is called, and so no signal handler can come in between.
            if tally.seq != seq or tally.ended:
                return False
            if end <= self._end:
                self._ring[start:middle] = body
                self._ring[middle:end] = trailer
            else:
                line, fits, wrapped = body + trailer, self._end - start, end - self._end
                self._ring[start : self._end] = line[:fits]
                self._ring[HEADER : HEADER + wrapped] = line[fits:]
            self._header[WRITTEN] = self.written = written
            self.next_offset += 1
            tally.seq = seq + 1
            tally.stored += end - start
        finally:
            gate[0] = None
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

    def head(self, tally: Tally) -> tuple[int, str]:
        """The last offset, and the head hash over everything up to it."""
        self._head.advance(self.copied, self._read)  # nearly all of it, so that others wait little for the rest
        with self._head.lock:
            next_offset, end = self._accepted(tally)
            return next_offset - 1, self._head.digest(end, self._read)

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

    def _prepare(self, written: int) -> None:
        """Make room for a line that ends there. A busy caller copies before it must.

        That may fail: then it is a later call that finds no room. The last of the ring is left to signal handlers that
        log while their thread is copying.
        """
        if written - self.copied > self._capacity - _LEFT:
            self._make_room(written)
        elif written - self.copied > self._capacity // 2:
            with contextlib.suppress(JournalError):
                self.copy(wait=False)
        self._simple = self.copied + self._capacity // 2

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
        first = lines.offset_of(self._fronted(start, start + length), self.prefix)
        if self._segments.rotate(first, start):
            self._header[SEGMENT] = first

    def _accepted(self, tally: Tally) -> tuple[int, int]:
        """The next offset and the position behind everything before it."""
        gate = tally.gate
        while True:
            tally.await_gate()
            try:
                del gate[0]
            except KeyError:
                continue
            next_offset, end = self.next_offset, self.written  # as in `store`, nothing is called
            gate[0] = None
            return next_offset, end

    def _read(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes of the stream: from segments as far as they go, the rest from the front."""
        while start < end:
            copied = min(self.copied, end)
            if start < copied:
                yield from self._segments.read(start, copied)
                start = copied
                continue
            piece = self._fronted(start, end)
            if self.written <= start + self._capacity:  # else its place was used again meanwhile
                yield piece
                return

    def _fronted(self, start: int, end: int) -> bytes:
        return b"".join(self.front.slices(start, end))

    def _sync_copied(self) -> None:
        """Sync what is in segments; then close what nobody needs, another time where segments are being added."""
        if self._segments.sync(self.copied) and self._copy_lock.acquire(blocking=False):
            try:
                self._segments.let_go(self._head.position)
            finally:
                self._copy_lock.release()
