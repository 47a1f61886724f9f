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
*process*: when `append` returns. *machine*: when `sync` returns; otherwise within 10 ms while a shipper runs, which
syncs segments and, where a writer is too busy to copy, fronts (`commit`). A loss of power leaves a prefix of a stream.

Recovery (by the shipper, once the lock is free; see `recovery`)
----------------------------------------------------------------
Cut a torn last line off the last segment; append the front's intact lines that continue its offsets; write a seal;
delete the front; mark the run closed. Every step can be repeated. What does not belong is quarantined, not dropped.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from runner.clock import Clock
from runner.errors import JournalError, JournalFull
from runner.layout import Home
from runner.logging import disk, lines
from runner.logging.front import COPIED, SEGMENT, Front
from runner.logging.heads import BLOCK, Head
from runner.settings import GIB, MIB
from runner.settings import Journal as Limits

FORMAT = 1
COPY_AT = 128 * 1024
RESERVE = MIB
_AHEAD = 4
_TICK, _IDLE_TICK = 0.005, 0.05


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `run.json`. `closed` is "" while the run is open, then "close" or "recovery"."""

    format: int
    run: str
    bot: str
    bot_type: str
    session_id: str
    environment: str
    epoch: int
    pid: int
    started: str
    closed: str = ""
    records: int = 0


def run_folder(home: Home, run: str) -> Path:
    return home.journal / run


def segment_path(folder: Path, stream: str, first: int) -> Path:
    return folder / stream / f"{first:020d}.ndjson"


@dataclass(frozen=True, slots=True)
class Admission:
    """How a kind is treated when the journal is full."""

    critical: bool = False
    droppable: bool = False
    reserved: bool = False


class StreamWriter:
    """One stream of a run: a front, the segment behind it, and the head over what was copied."""

    def __init__(self, folder: Path, run: str, name: str, limits: Limits, on_full: Callable[[], None]) -> None:
        self.name = name
        self.prefix = lines.id_prefix(run, name)
        self.written = 0
        self.copied = 0
        self.next_offset = 0
        self.full = False
        self.block_starts: deque[int] = deque()
        self._copy_lock = threading.Lock()
        self._on_full = on_full
        self._limits = limits
        self._folder = folder
        self._head = Head(run, name)
        self._synced = 0
        self._retired: list[int] = []
        (folder / name).mkdir(mode=0o700)
        self.front = Front(folder / f"{name}.front", limits.front_bytes)
        self._open_segment(0)

    def store(self, line: bytes) -> None:
        """Accept a line; the caller holds the run's lock and has made room."""
        if not self.next_offset % BLOCK and self.next_offset:
            self.block_starts.append(self.written)
        self.front.store(self.written, line)
        self.next_offset += 1
        self.written += len(line)

    def lacks_room(self, size: int) -> bool:
        return self.written + size - self.copied > self.front.capacity

    def copy(self, *, wait: bool = True) -> None:
        """Copy what is new to the segment. Without `wait`, leave it to whoever is copying already."""
        if not self._copy_lock.acquire(blocking=wait):
            return
        try:
            self._copy_new()
        finally:
            self._copy_lock.release()

    def sync(self) -> None:
        """Copy, then wait until everything copied is on disk."""
        with self._copy_lock:
            self._copy_new()
            for descriptor in self._take_retired():
                _sync_and_close(descriptor)
            if self._synced < self.copied:
                disk.sync_data(self._segment)
                self._synced = self.copied

    def sync_retired(self) -> None:
        """Sync the segments that rotation left behind; they are no longer written."""
        for descriptor in self._take_retired():
            _sync_and_close(descriptor)

    def retry_reserve(self) -> None:
        with self._copy_lock:
            self._reserve()

    def head(self) -> str:
        """The head hash over everything stored so far."""
        with self._copy_lock:
            self._copy_new()
            return self._head.hexdigest()

    def close(self, *, keep_front: bool = False) -> None:
        """Copy, sync and let go; the front file is deleted because its bytes are in the segment."""
        self.sync()
        os.ftruncate(self._segment, self._size)
        self.release()
        if not keep_front:
            (self._folder / f"{self.name}.front").unlink()

    def release(self) -> None:
        """Close descriptors and maps without writing anything: for a forked child."""
        os.close(self._segment)
        with contextlib.suppress(BufferError):
            self.front.close()

    def _copy_new(self) -> None:
        start, end = self.copied, self.written
        if start == end:
            return
        if self._is_due():
            self._rotate(start)
        for view in self.front.slices(start, end):
            _write_all(self._segment, view, self._size)
            self._size += len(view)
            view.release()
        self._hash(start, end)
        self.copied = end
        self.front.header[COPIED] = end
        self._reserve()

    def _hash(self, start: int, end: int) -> None:
        while self.block_starts and self.block_starts[0] < end:
            boundary = self.block_starts.popleft()
            self._feed(start, boundary)
            self._head.end_block()
            start = boundary
        self._feed(start, end)

    def _feed(self, start: int, end: int) -> None:
        for view in self.front.slices(start, end) if end > start else ():
            self._head.feed(view)
            view.release()

    def _is_due(self) -> bool:
        if self.full or not self._size:
            return False
        age = time.monotonic() - self._opened
        return self._size >= self._limits.segment_bytes or age >= self._limits.segment_hours * 3600

    def _rotate(self, start: int) -> None:
        first = b"".join(
            bytes(view) for view in self.front.slices(start, start + len(self.prefix) + lines.OFFSET_DIGITS)
        )
        retired, size = self._segment, self._size
        try:
            self._open_segment(lines.offset_of(first, self.prefix))
        except JournalFull:
            return
        os.ftruncate(retired, size)
        self._retired.append(retired)

    def _open_segment(self, first: int) -> None:
        path = segment_path(self._folder, self.name, first)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            disk.reserve(descriptor, 0, _AHEAD * self.front.capacity)
            disk.sync_folder(path.parent)
        except BaseException:
            os.close(descriptor)
            path.unlink()
            raise
        self._segment, self._size, self._reserved = descriptor, 0, _AHEAD * self.front.capacity
        self._opened = time.monotonic()
        self.front.header[SEGMENT] = first

    def _reserve(self) -> None:
        """Keep room behind the segment for twice the ring: for its content, and for what must never be refused."""
        if self._reserved - self._size >= 2 * self.front.capacity:
            self.full = False
            return
        try:
            disk.reserve(self._segment, self._size, _AHEAD * self.front.capacity)
        except JournalFull:
            self.full = True
            self._on_full()
            return
        self._reserved = self._size + _AHEAD * self.front.capacity
        self.full = False

    def _take_retired(self) -> list[int]:
        taken, self._retired = self._retired, []
        return taken


class Journal:
    """The writer of one run. Thread-safe. Opening it makes the run's folder and takes its lock."""

    def __init__(self, home: Home, info: RunInfo, limits: Limits, clock: Clock) -> None:
        self.info = info
        self.seq = 0
        self.folder = run_folder(home, info.run)
        self.dropped: dict[str, int] = {}
        self._home = home
        self._limits = limits
        self._clock = clock
        self._lock = threading.RLock()
        self._streams: dict[str, StreamWriter] = {}
        self._stored = 0
        self._budget = 1 << 62
        self._second, self._second_text = -1, b""
        self._stop = threading.Event()
        self.on_idle: Callable[[], None] = lambda: None
        self._open()
        self._measure_quota()
        self._copier = threading.Thread(target=self._copy_forever, name=f"journal-{info.bot}", daemon=True)
        self._copier.start()

    def append(self, stream: str, body: bytes, admission: Admission) -> bytes:
        """Accept one record and return its line.

        `body` is what follows the time: `,"kind":...,"data":{...}`. Raises `JournalFull` before an offset is taken.
        """
        if self._stored > self._budget:
            self._admit(admission)
        with self._lock:
            writer = self._streams.get(stream) or self._open_stream(stream)
            line = lines.seal(
                b'%s%012d","seq":%d,"ts":"%sZ"%s'
                % (writer.prefix, writer.next_offset, self.seq, self._timestamp(), body)
            )
            size = len(line)
            if writer.lacks_room(size):
                writer.copy()
            writer.store(line)
            self.seq += 1
            self._stored += size
        if writer.written - writer.copied >= COPY_AT:
            self._copy_ahead(writer)
        return line

    def heads(self, append: Callable[[Mapping[str, tuple[int, str]]], None]) -> None:
        """Call `append` with the last offset and head of every stream, while no other record can be accepted."""
        with self._lock:
            append({name: (writer.next_offset - 1, writer.head()) for name, writer in sorted(self._streams.items())})

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
        return {name: writer.written - writer.copied for name, writer in self._streams.items()}

    def offsets(self) -> dict[str, int]:
        """The next offset of every stream."""
        return {name: writer.next_offset for name, writer in self._streams.items()}

    def close(self) -> None:
        """Everything to disk, then mark the run closed and free its lock."""
        self._stop.set()
        self._copier.join()
        with self._lock:
            for writer in self._streams.values():
                writer.close(keep_front=True)
            write_info(self.folder, msgspec.structs.replace(self.info, closed="close", records=self.seq))
            for name in self._streams:
                (self.folder / f"{name}.front").unlink()
            self._file_lock.release()

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
            disk.sync_folder(self.folder.parent)
        except OSError as error:
            raise JournalError(
                f"the journal cannot be opened in {self.folder}: {error.strerror or error}",
                "free some space or choose another folder with TRON_HOME",
            ) from None

    def _open_stream(self, name: str) -> StreamWriter:
        writer = StreamWriter(self.folder, self.info.run, name, self._limits, self._refuse)
        disk.sync_folder(self.folder)
        self._streams[name] = writer
        return writer

    def _copy_ahead(self, writer: StreamWriter) -> None:
        """A busy caller copies for itself. The record is safe already: a failure concerns the next one."""
        with contextlib.suppress(JournalError):
            writer.copy(wait=False)

    def _refuse(self) -> None:
        self._budget = -1

    def _timestamp(self) -> bytes:
        nanoseconds = self._clock.time_ns()
        second, fraction = divmod(nanoseconds, 1_000_000_000)
        if second != self._second:
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second)).encode()
            self._second = second
        return b"%s%06d" % (self._second_text, fraction // 1000)

    def _admit(self, admission: Admission) -> None:
        """Decide about a record that finds the journal full."""
        if admission.reserved and (self._budget < 0 or self._stored <= self._budget + RESERVE):
            return
        deadline = time.monotonic() + (0.0 if admission.critical else 0.05)
        while time.monotonic() < deadline:
            time.sleep(0.005)
            self._measure_quota()
            if self._stored <= self._budget:
                return
        raise JournalFull(
            f"the journal in {self._home.journal} is full",
            "see `tron doctor`: is the shipper running, is the archive reachable?",
        )

    def _measure_quota(self) -> None:
        used = sum(entry.stat().st_size for entry in self._home.journal.glob("*/*/*.ndjson"))
        quota = self._limits.quota or default_quota(self._home)
        full = any(writer.full for writer in self._streams.values())
        self._budget = -1 if full else self._stored + quota - used

    def _copy_forever(self) -> None:
        busy_until, measured = 0.0, time.monotonic()
        while not self._stop.wait(_TICK if time.monotonic() < busy_until else _IDLE_TICK):
            now = time.monotonic()
            for writer in list(self._streams.values()):
                if writer.written > writer.copied:
                    self._copy_ahead(writer)
                    busy_until = now + 0.2
                writer.sync_retired()
            if now - measured >= 1.0:
                measured = now
                self._keep_house()

    def _keep_house(self) -> None:
        for writer in list(self._streams.values()):
            if writer.full:
                writer.retry_reserve()
        self._measure_quota()
        self.on_idle()


def default_quota(home: Home) -> int:
    """The smaller of 1 GiB and a tenth of the free disk."""
    free = os.statvfs(home.path)
    return min(GIB, free.f_bavail * free.f_frsize // 10)


def write_info(folder: Path, info: RunInfo) -> None:
    disk.replace(folder / "run.json", msgspec.json.encode(info))


def read_info(folder: Path) -> RunInfo | None:
    """What `run.json` says, or None for a folder that is no run (yet)."""
    try:
        info = msgspec.json.decode((folder / "run.json").read_bytes(), type=RunInfo)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.MsgspecError as error:
        raise JournalError(f"{folder / 'run.json'} is damaged: {error}", "restore it from a backup") from None
    if info.format > FORMAT:
        raise JournalError(f"{folder} has format {info.format}, this version reads {FORMAT}", "use a newer version")
    return info


def runs(home: Home) -> list[RunInfo]:
    """Every run in the journal, oldest first."""
    found = (read_info(folder) for folder in sorted(home.journal.iterdir())) if home.journal.exists() else ()
    return [info for info in found if info is not None]


def request_path(home: Home, run: str) -> Path:
    """While this file exists, the archive follower ships the run without waiting for a full batch."""
    return run_folder(home, run) / "ship"


def is_requested(home: Home, run: str) -> bool:
    return request_path(home, run).exists()


def is_alive(home: Home, run: str) -> bool:
    """Whether a living process still writes this run."""
    return disk.is_locked(run_folder(home, run) / "lock")


def _write_all(descriptor: int, view: memoryview, position: int) -> None:
    done = 0
    try:
        while done < len(view):
            done += os.pwrite(descriptor, view[done:] if done else view, position + done)
    except OSError as error:
        raise JournalError(f"the journal cannot be written: {error.strerror}", "see `tron doctor`") from None


def _sync_and_close(descriptor: int) -> None:
    disk.sync_data(descriptor)
    os.close(descriptor)
