"""The journal: where a record is safe when `append` returns. Format version 1.

Layout
------
One folder a run, under `<home>/journal/`:

    <run>/run.json                     who writes: format, run, bot, epoch, process, start; `closed` when it ended well
    <run>/lock                         held by the writer (flock) while it lives
    <run>/<stream>.front               ring that holds the newest lines (see `front`); gone when the run was closed
    <run>/<stream>/<first offset, 20 digits>.ndjson      segments: whole lines, nothing else (see `lines`)

Invariants
----------
1. A line is in the front, with its checksum, before `append` returns: SIGKILL cannot lose it.
2. Offsets of a stream are contiguous from 0; `seq` is contiguous from 0 over all streams of the run.
3. A place in the ring is used again only when its bytes are in the segment. Space for all that the ring can hold is
   reserved behind the segment, so a full disk is met by `JournalFull` before a record is accepted, never after.
4. A segment only grows, at its end. It holds no padding: its size is what was copied; only its last line can be torn.
5. Segments of a stream follow each other without a gap. A segment is deleted only when it is archived.

Guarantees
----------
*process*: when `append` returns. *machine*: when `sync` returns; otherwise within about 10 ms while a shipper runs,
which syncs segments and, where a writer is too busy to copy, fronts (`commit`). A loss of power leaves a prefix of a
stream.

Threads write without a lock, and a signal handler may raise or log in the middle of any call: see `stream_writer`.

Recovery (by the shipper, once the lock is free; see `recovery`)
----------------------------------------------------------------
Cut what follows the last intact line of each segment; append the front's intact lines that continue it; write a seal;
mark the run closed; delete the fronts. Every step can be repeated. What does not belong is quarantined, not dropped.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable

import msgspec
from isal.isal_zlib import crc32

from runner.clock import Clock
from runner.errors import JournalError
from runner.files import sync_folder
from runner.layout import Home
from runner.logging import disk, lines
from runner.logging.lines import TRAILER_FORMAT
from runner.logging.quota import Admission, Quota, Tally, default_quota
from runner.logging.run_info import (
    FORMAT,
    RunInfo,
    front_path,
    is_alive,
    is_requested,
    read_info,
    request_path,
    run_folder,
    runs,
    segment_path,
    write_info,
)
from runner.logging.stream_writer import StreamWriter
from runner.settings import Journal as Limits

__all__ = [
    "FORMAT",
    "Admission",
    "Journal",
    "RunInfo",
    "default_quota",
    "is_alive",
    "is_requested",
    "read_info",
    "request_path",
    "run_folder",
    "runs",
    "segment_path",
    "write_info",
]

_TICK, _IDLE_TICK = 0.005, 0.05
_SECONDS_TO_STOP = 2.0


class Journal:
    """The writer of one run. Thread-safe. Opening it makes the run's folder and takes its lock."""

    def __init__(self, home: Home, info: RunInfo, limits: Limits, clock: Clock) -> None:
        self.info = info
        self.folder = run_folder(home, info.run)
        self.dropped: dict[str, int] = {}
        self.on_idle: Callable[[], None] = lambda: None
        self._home, self._limits, self._clock = home, limits, clock
        self._timestamps = lines.Timestamps(clock.time_ns)
        self._lock = threading.RLock()
        self._streams: dict[str, StreamWriter] = {}
        self._opening: set[str] = set()
        self._tally = Tally()
        self._stop = threading.Event()
        self._open()
        self._quota = Quota(home, limits.quota, self._tally, lambda: sum(self.buffered.values()))
        self._copier = threading.Thread(target=self._copy_forever, name=f"journal-{info.bot}", daemon=True)
        self._copier.start()

    @property
    def seq(self) -> int:
        """The `seq` of the next record: how many were accepted."""
        return self._tally.seq

    def append(self, stream: str, body: bytes, admission: Admission) -> bytes:
        """Accept one record and return its line. `body` is what follows the time: `,"kind":...,"data":{...}`."""
        return lines.seal(self.accept(stream, admission, body))

    def accept(
        self,
        stream: str,
        admission: Admission,
        at: bytes,
        envelope: bytes = b"",
        shared: bytes = b"",
        data: bytes = b"",
        ts: bytes = b"",
    ) -> bytes:
        """Accept one record and return its line without the trailer.

        `at`, `envelope`, `shared` and `data` together are what follows the time. `ts` is the time, by default now.
        Raises `JournalFull` before an offset is taken, and `JournalError` when the journal was closed.
        """
        tally = self._tally
        if tally.stored > self._quota.budget:
            self._quota.admit(admission)
        ts = ts or self._timestamps.now()
        writer = self._streams.get(stream) or self._open_stream(stream)
        while True:
            seq = tally.seq
            numbers = b'%012d","seq":%d,"ts":"' % (writer.next_offset, seq)
            line = b"".join((writer.prefix, numbers, ts, b'"', at, envelope, shared, data))
            if writer.store(line, TRAILER_FORMAT % crc32(line), tally, seq):
                return line
            self._check_open()
            tally.await_gate()

    def heads(self) -> dict[str, tuple[int, str]]:
        """The last offset of every stream, and the head over everything up to it. Records go on being accepted."""
        return {name: writer.head(self._tally) for name, writer in sorted(self._streams.items())}

    def sync(self) -> None:
        """The *machine* guarantee for every record accepted so far."""
        for writer in list(self._streams.values()):
            writer.sync()

    def count_dropped(self, kind: str, count: int = 1) -> None:
        with self._lock:
            self.dropped[kind] = self.dropped.get(kind, 0) + count

    def take_dropped(self) -> dict[str, int]:
        with self._lock:
            taken, self.dropped = self.dropped, {}
            return taken

    @property
    def buffered(self) -> dict[str, int]:
        """Bytes of each stream that are in its front only."""
        return {name: writer.written - writer.copied for name, writer in list(self._streams.items())}

    def offsets(self) -> dict[str, int]:
        """The next offset of every stream."""
        return {name: writer.next_offset for name, writer in list(self._streams.items())}

    def close(self) -> None:
        """Everything to disk, then mark the run closed and free its lock.

        Raises `JournalError` when the disk does not take it; then the run is left (see `leave`).
        """
        self._end()
        try:
            for writer in self._streams.values():
                writer.close()
            write_info(self.folder, msgspec.structs.replace(self.info, closed="close", records=self.seq))
            for name in self._streams:
                front_path(self.folder, name).unlink()
        finally:
            self._file_lock.release()

    def leave(self) -> None:
        """End as a dead process would: what was accepted is safe in fronts and segments, and recovery ends the run."""
        self._end()
        self._file_lock.release()

    def _end(self) -> None:
        """Accept nothing more, and stop copying."""
        self._stop.set()
        self._copier.join(_SECONDS_TO_STOP)
        self._tally.ended = True
        self._tally.await_gate()

    def abandon(self) -> None:
        """Close what a forked child inherited. The parent's run goes on untouched."""
        self._file_lock.release()
        for writer in self._streams.values():
            writer.release()

    def _open(self) -> None:
        try:
            self.folder.mkdir(mode=0o700)
            self._file_lock = disk.FileLock(self.folder / "lock")
            self._file_lock.acquire()
            write_info(self.folder, self.info)
            sync_folder(self.folder.parent)
        except (OSError, JournalError) as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise JournalError(
                f"the journal cannot be opened in {self.folder}: {getattr(error, 'strerror', None) or error}",
                "free some space or choose another folder with TRON_HOME",
            ) from None

    def _open_stream(self, name: str) -> StreamWriter:
        """A stream is opened by its first record. When that fails, a later record may try again.

        Only a signal handler can find it half open, and is refused.
        """
        with self._lock:
            self._check_open()
            if name in self._streams:
                return self._streams[name]
            if name in self._opening:
                raise JournalError(f"the stream {name} is just being opened", "log less in signal handlers")
            try:
                self._opening.add(name)
                with disk.failures_as_journal_errors():
                    writer = StreamWriter(
                        self.folder, self.info.run, name, self._limits, self._clock, self._notice_space
                    )
                    sync_folder(self.folder)
                self._streams[name] = writer
            finally:
                self._opening.discard(name)
            return writer

    def _check_open(self) -> None:
        if self._tally.ended:
            raise JournalError("the logger is closed", "open a new one: each is a run of its own")

    def _notice_space(self, full: bool) -> None:
        if full:
            self._quota.close_for_disk()
        elif not any(writer.full for writer in list(self._streams.values())):
            self._quota.open_for_disk()

    def _copy_forever(self) -> None:
        busy_until, measured = 0.0, time.monotonic()
        while not self._stop.wait(_TICK if time.monotonic() < busy_until else _IDLE_TICK):
            now = time.monotonic()
            if self._copy_all():
                busy_until = now + 0.2
            if now - measured >= 1.0:
                measured = now
                self._keep_house()

    def _copy_all(self) -> bool:
        """Copy what is new in every stream, but where a busy caller does it; returns whether there was anything.

        What fails here stays in the front, is tried again, and is met by the next caller who needs the room.
        """
        waiting = [writer for writer in list(self._streams.values()) if writer.written > writer.copied]
        for writer in waiting:
            with contextlib.suppress(JournalError):
                writer.copy_unless_busy()
        for writer in list(self._streams.values()):
            with contextlib.suppress(JournalError):
                writer.sync_left_behind()
                writer.hash_some()
        return bool(waiting)

    def _keep_house(self) -> None:
        """What finds no space now is done a second later."""
        for writer in list(self._streams.values()):
            if writer.full:
                writer.retry_reserve()
        self._quota.measure()
        with contextlib.suppress(JournalError):
            self.on_idle()
