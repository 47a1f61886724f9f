"""Group commit: the shipper's process keeps every live run's newest records at most 10 ms away from the disk.

Each cycle syncs the segments that grew. A writer that is too busy (or stopped) to copy its front leaves bytes behind
that were there a cycle ago: then the front itself is synced, where recovery finds them. A writer's process does not
sync for itself, because a thread beside a busy caller waits for the interpreter lock longer than the disk takes.
"""

from __future__ import annotations

import contextlib
import os
import threading

from runner.layout import Home
from runner.logging import disk
from runner.logging.front import FrontView
from runner.logging.journal import is_alive, run_folder, runs, segment_path
from runner.logging.routes import STREAMS

CYCLE = 0.004
_LOOK = 0.2


class _StreamCommit:
    """The sync state of one stream of one live run."""

    def __init__(self, home: Home, run: str, stream: str) -> None:
        self._folder, self._stream = run_folder(home, run), stream
        self._view = FrontView(self._folder / f"{stream}.front")
        self._seen = 0
        self._synced = 0
        self._segment = -1
        self._descriptor = -1

    def cycle(self) -> None:
        written, copied, segment = self._view.written, self._view.copied, self._view.segment
        if copied > self._synced:
            self._sync_segments(segment)
            self._synced = copied
        if copied < self._seen:
            disk.sync_data(self._view.descriptor)
        self._seen = written

    def close(self) -> None:
        self._view.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def _sync_segments(self, segment: int) -> None:
        """Sync the segment that is written now; the ones before it were synced when it took over."""
        if segment != self._segment:
            if self._descriptor >= 0:
                disk.sync_data(self._descriptor)
                os.close(self._descriptor)
            path = segment_path(self._folder, self._stream, segment)
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._segment = segment
        disk.sync_data(self._descriptor)


class GroupCommit:
    """Runs the cycles in a thread of the shipper until `stop`."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._streams: dict[tuple[str, str], _StreamCommit] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        since_look = _LOOK
        while not self._stop.wait(CYCLE if self._streams else _LOOK):
            since_look += CYCLE
            if since_look >= _LOOK or not self._streams:
                since_look = 0.0
                self._look()
            for key, stream in list(self._streams.items()):
                try:
                    stream.cycle()
                except OSError:
                    self._streams.pop(key).close()
        for stream in self._streams.values():
            stream.close()

    def _look(self) -> None:
        """Find new streams of live runs; forget the ended ones."""
        alive = {info.run for info in runs(self._home) if not info.closed and is_alive(self._home, info.run)}
        for key in [key for key in self._streams if key[0] not in alive]:
            self._streams.pop(key).close()
        for run in alive:
            for stream in STREAMS:
                if (run, stream) not in self._streams:
                    with contextlib.suppress(OSError, ValueError):
                        self._streams[run, stream] = _StreamCommit(self._home, run, stream)
