"""The writer of one stream: a front, the segment behind it, and the head over what was copied.

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
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from runner.clock import Clock
from runner.errors import JournalError, JournalFull
from runner.files import sync_folder
from runner.logging import disk, lines
from runner.logging.front import COPIED, HEADER, SEGMENT, WRITTEN, Front
from runner.logging.heads import BLOCK, Head
from runner.logging.quota import RESERVE, Tally
from runner.logging.run_info import front_path, segment_path
from runner.settings import Journal as Limits

_SECONDS_PER_HOUR = 3600


class StreamWriter:
    """Positions count bytes of the stream: `written` are accepted, `copied` of them are in segments."""

    def __init__(
        self, folder: Path, run: str, name: str, limits: Limits, clock: Clock, on_space: Callable[[bool], None]
    ) -> None:
        self.prefix = lines.id_prefix(run, name)
        self.next_offset = 0
        self.written = self.copied = 0
        self.full = False
        self._name, self._folder, self._limits, self._clock = name, folder, limits, clock
        self._on_space = on_space
        self._copy_lock, self._sync_lock = threading.RLock(), threading.RLock()
        self._copying = self._syncing = False
        self._block_starts: deque[int] = deque()
        self._head = Head(run, name)
        self._hashed = self._synced = self._base = 0
        self._retired: list[int] = []
        self._segment = -1
        (folder / name).mkdir(mode=0o700, exist_ok=True)
        self.front = Front(front_path(folder, name), limits.front_bytes)
        try:
            self._open_segment(0, 0)
        except BaseException:
            self.discard()
            raise

    def store(self, line: bytes, tally: Tally, seq: int) -> bool:
        """Accept a line that was made for `seq`; False when a signal handler took that place, or ended the run.

        The caller holds the run's lock. Raises `JournalError` where no room can be made.
        """
        front, offset, position, size = self.front, self.next_offset, self.written, len(line)
        written, rest = position + size, b""
        start = HEADER + position % front.capacity
        first = slice(start, start + size)
        if written - self.copied > front.capacity:
            self._make_room(written)
        if start + size > front.end:
            first, second = slice(start, front.end), slice(HEADER, HEADER + start + size - front.end)
            line, rest = line[: front.end - start], line[front.end - start :]
        if not offset % BLOCK and offset:
            self._block_starts.append(position)
        if tally.seq != seq or tally.ended:
            return False
        # From here on nothing is called, and so no signal handler can come in between.
        front.ring[first] = line
        if rest:
            front.ring[second] = rest
        front.header[WRITTEN] = self.written = written
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

    def sync_retired(self) -> None:
        """Sync and close the segments that rotation left behind, unless somebody is syncing already."""
        if self._retired and self._sync_lock.acquire(blocking=False):
            try:
                self._sync_copied()
            finally:
                self._sync_lock.release()

    def retry_reserve(self) -> None:
        if self._copy_lock.acquire(blocking=False):
            try:
                self._reserve()
            finally:
                self._copy_lock.release()

    def head(self) -> str:
        """The head hash over everything stored so far."""
        with self._copy_lock:
            return self._hashed_to(self.written)[0].hexdigest()

    def close(self) -> None:
        """Copy, sync and let go. The front file stays: the run must be marked closed before it may go."""
        self.sync()
        if self.copied < self.written:
            raise JournalFull("the front could not be copied", "recovery will finish this run")
        os.ftruncate(self._segment, self.copied - self._base)
        self.release()

    def release(self) -> None:
        """Close descriptors and maps without writing anything: for a forked child."""
        for descriptor in (*self._retired, self._segment):
            os.close(descriptor)
        self._retired = []
        with contextlib.suppress(BufferError):
            self.front.close()

    def discard(self) -> None:
        """Undo the opening of a stream that holds no record."""
        if self._segment >= 0:
            os.close(self._segment)
        self.front.close()
        front_path(self._folder, self._name).unlink()

    def _make_room(self, end: int) -> None:
        """Free as much of the ring as a line that ends there needs."""
        self.copy()
        if end - self.copied > self.front.capacity:
            raise JournalFull("the front is full while it is being copied", "log less in signal handlers")

    def _copy_new(self) -> None:
        start, end = self.copied, self.written
        if start == end:
            return
        if self._is_due():
            self._rotate(start)
        position = start - self._base
        for view in self.front.slices(start, end):
            with view:
                disk.write_at(self._segment, view, position)
                position += len(view)
        self._hash(end)
        self.copied = self.front.header[COPIED] = end
        self._reserve()

    def _hash(self, end: int) -> None:
        """Move the head to `end`. Block starts are let go of only when the head is past them."""
        head, past = self._hashed_to(end)
        self._head, self._hashed = head, end
        for _ in range(past):
            self._block_starts.popleft()

    def _hashed_to(self, end: int) -> tuple[Head, int]:
        """The head over everything before `end`, and how many block starts lie before it."""
        head, start, past = self._head.copy(), self._hashed, 0
        while past < len(self._block_starts) and (boundary := self._block_starts[past]) < end:
            if boundary >= start:
                self._feed(head, start, boundary)
                head.end_block()
                start = boundary
            past += 1
        self._feed(head, start, end)
        return head, past

    def _feed(self, head: Head, start: int, end: int) -> None:
        for view in self.front.slices(start, end) if end > start else ():
            with view:
                head.feed(view)

    def _sync_copied(self) -> None:
        """Sync what is in segments, older ones first."""
        nested, self._syncing = self._syncing, True
        try:
            copied, current, retired = self.copied, self._segment, self._retired
            for descriptor in retired:
                disk.sync_data(descriptor)
            if self._synced < copied:
                disk.sync_data(current)
                self._synced = copied
        finally:
            self._syncing = nested
        if not nested:
            self._let_go(len(retired))

    def _let_go(self, count: int) -> None:
        """Close the oldest retired segments; another time where they are being added to."""
        if self._copy_lock.acquire(blocking=False):
            try:
                done, self._retired = self._retired[:count], self._retired[count:]
            finally:
                self._copy_lock.release()
            for descriptor in done:
                os.close(descriptor)

    def _is_due(self) -> bool:
        size = self.copied - self._base
        if self.full or not size:
            return False
        age = self._clock.monotonic() - self._opened
        return size >= self._limits.segment_bytes or age >= self._limits.segment_hours * _SECONDS_PER_HOUR

    def _rotate(self, start: int) -> None:
        """Go on in a new segment; where none can be made, in the old one."""
        length = len(self.prefix) + lines.OFFSET_DIGITS
        first = b"".join(bytes(view) for view in self.front.slices(start, start + length))
        retired, size = self._segment, start - self._base
        with contextlib.suppress(JournalError), disk.failures_as_journal_errors():
            self._open_segment(lines.offset_of(first, self.prefix), start)
            os.ftruncate(retired, size)

    def _open_segment(self, first: int, start: int) -> None:
        path = segment_path(self._folder, self._name, first)
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
        if self._segment >= 0:
            self._retired = [*self._retired, self._segment]
        self._segment, self._base, self._reserved = descriptor, start, ahead
        self.front.header[SEGMENT] = first

    def _least_ahead(self) -> int:
        """Room behind a segment that is asked for before it is needed: what two rings can hold, and the reserve.

        One ring may be filled before a refusal is noticed, so that much more is there when the disk is full.
        """
        return 2 * self.front.capacity + RESERVE

    def _most_ahead(self) -> int:
        return self._least_ahead() + self.front.capacity

    def _reserve(self) -> None:
        """Keep room behind the segment for all that will have been accepted when a full disk is noticed."""
        size, was_full = self.copied - self._base, self.full
        try:
            if self._reserved - size < self._least_ahead():
                disk.reserve(self._segment, size, self._most_ahead())
                self._reserved = size + self._most_ahead()
            self.full = False
        except JournalFull:
            self.full = True
        if self.full != was_full:
            self._on_space(self.full)
