"""Group commit: the shipper's process keeps every live run's newest records about 10 ms away from the disk.

Each cycle syncs the segments that grew. A writer that is too busy (or stopped) to copy its front leaves bytes behind
that were there a cycle ago: then the front itself is synced, where recovery finds them. A writer's process does not
sync for itself, because a thread beside a busy caller waits for the interpreter lock longer than the disk takes.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from runner.errors import JournalError
from runner.layout import Home
from runner.logging import disk
from runner.logging.front import FrontView
from runner.logging.reader import segments
from runner.logging.routes import STREAMS
from runner.logging.run_info import front_path, is_alive, run_folder, runs, segment_path

CYCLE = 0.004
_LOOK_CYCLES = 50


class StreamCommit:
    """The sync state of one stream of one live run. `fronts` and `segments` count what was synced."""

    def __init__(self, folder: Path, stream: str) -> None:
        self.fronts = self.segments = 0
        self._folder, self._stream = folder, stream
        self._view = FrontView(front_path(folder, stream))
        self._seen = 0
        self._front_synced = self._copied_synced = 0
        self._segment = -1

    @property
    def written(self) -> int:
        """Bytes that the writer has accepted."""
        return self._view.written

    @property
    def synced(self) -> int:
        """Bytes that are on disk, in segments or in the front."""
        return max(self._copied_synced, self._front_synced)

    def cycle(self) -> None:
        """Sync what a loss of power would take. Raises `JournalError` when the disk fails."""
        written, copied, segment = self._view.written, self._view.copied, self._view.segment
        if copied > self._copied_synced:
            self._sync_segments(segment)
            self._copied_synced = copied
        if copied < self._seen and self._front_synced < self._seen:
            disk.sync_data(self._view.descriptor)
            self._front_synced = written
            self.fronts += 1
        self._seen = written

    def close(self) -> None:
        self._view.close()

    def _sync_segments(self, newest: int) -> None:
        """Sync every segment that was written since the last time, the older ones first."""
        for first in segments(self._folder, self._stream):
            if self._segment <= first <= newest:
                self._sync_segment(first)
        self._segment = newest

    def _sync_segment(self, first: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(segment_path(self._folder, self._stream, first), os.O_RDONLY | os.O_CLOEXEC)
            try:
                disk.sync_data(descriptor)
                self.segments += 1
            finally:
                os.close(descriptor)


class GroupCommit:
    """Runs the cycles in a thread of the shipper until `stop`. `on_trouble` hears when the disk fails."""

    def __init__(self, home: Home, on_trouble: Callable[[JournalError], None] = lambda error: None) -> None:
        self.streams: dict[tuple[str, str], StreamCommit] = {}
        self._home = home
        self._on_trouble = on_trouble
        self._known: object = None
        self._cycles = 0
        self._told: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for stream in self.streams.values():
            stream.close()

    def cycle(self) -> None:
        """Find streams where the journal's folders changed, and sync each once."""
        self._cycles += 1
        changes = self._changes()
        if changes != self._known or self._cycles % _LOOK_CYCLES == 0:
            self._known = changes if self._look() else None
        for stream in list(self.streams.values()):
            self._try(stream.cycle)

    def _run(self) -> None:
        while not self._stop.wait(CYCLE):
            self._try(self.cycle)

    def _try(self, action: Callable[[], None]) -> None:
        """One stream's failing disk must not leave the others unsynced. Each new kind of trouble is told once."""
        try:
            action()
        except JournalError as error:
            if str(error) not in self._told:
                self._told.add(str(error))
                self._on_trouble(error)

    def _changes(self) -> object:
        """What changes when a run or a stream is added: two system calls a cycle, and one more for each live run."""
        folders = [run_folder(self._home, run) for run in {run for run, _ in self.streams}]
        return [_stamp(folder) for folder in (self._home.journal, *folders)]

    def _look(self) -> bool:
        """Find new streams of live runs, forget the ended ones; returns whether no stream was still being opened."""
        alive = {info.run for info in runs(self._home) if not info.closed and is_alive(self._home, info.run)}
        for key in [key for key in self.streams if key[0] not in alive]:
            self.streams.pop(key).close()
        complete = True
        for run in alive:
            for stream in STREAMS:
                if (run, stream) not in self.streams and (run_folder(self._home, run) / stream).exists():
                    complete &= self._add(run, stream)
        return complete

    def _add(self, run: str, stream: str) -> bool:
        try:
            self.streams[run, stream] = StreamCommit(run_folder(self._home, run), stream)
        except (OSError, ValueError):
            return False
        return True


def _stamp(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_mtime_ns, status.st_nlink
