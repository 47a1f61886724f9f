"""Reading the journal: a cursor over one stream, and a tail over all of them. Any process may read at any time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from runner.layout import Home
from runner.logging import lines
from runner.logging.journal import run_folder, runs, segment_path
from runner.logging.routes import STREAMS

CHUNK = 1 << 20
_POLL = 0.05


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a stream: the next offset, the segment that holds it, and the byte where it begins."""

    next: int = 0
    segment: int = 0
    position: int = 0


def segments(folder: Path, stream: str) -> list[int]:
    """The first offsets of a stream's segments, ascending."""
    try:
        names = os.listdir(folder / stream)
    except FileNotFoundError:
        return []
    return sorted(int(name.removesuffix(".ndjson")) for name in names if name.endswith(".ndjson"))


class StreamReader:
    """Reads whole lines of one stream from a cursor on. It never sees a torn line at the end: it waits for the rest."""

    def __init__(self, folder: Path, stream: str, cursor: Cursor | None = None) -> None:
        self._folder = folder
        self._stream = stream
        self._descriptor = -1
        self._opened = -1
        self.seek(cursor or Cursor())

    def seek(self, cursor: Cursor) -> None:
        self.segment, self.position = cursor.segment, cursor.position

    def read(self, limit: int = CHUNK) -> bytes:
        """The next whole lines of one segment, at most about `limit` bytes; empty when there are none yet."""
        while True:
            chunk = self._read_segment(max(limit, lines.MAX_LINE))
            if chunk:
                self.position += len(chunk)
                return chunk
            following = [first for first in segments(self._folder, self._stream) if first > self.segment]
            if not following:
                self.close()  # there may be as many readers as streams of runs
                return b""
            chunk = self._read_segment(max(limit, lines.MAX_LINE))
            if chunk:
                self.position += len(chunk)
                return chunk
            self.segment, self.position = following[0], 0

    def available(self) -> int:
        """Bytes in segments from here on."""
        sizes = [_size(segment_path(self._folder, self._stream, first)) for first in self._from_here()]
        return sum(sizes) - self.position if sizes else 0

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = self._opened = -1

    def _from_here(self) -> list[int]:
        return [first for first in segments(self._folder, self._stream) if first >= self.segment]

    def _read_segment(self, limit: int) -> bytes:
        if self._opened != self.segment:
            self.close()
            try:
                self._descriptor = os.open(
                    segment_path(self._folder, self._stream, self.segment), os.O_RDONLY | os.O_CLOEXEC
                )
            except FileNotFoundError:
                return b""
            self._opened = self.segment
        chunk = os.pread(self._descriptor, limit, self.position)
        return chunk[: chunk.rfind(b"\n") + 1]


class Tail:
    """New lines of every run and stream, old to new. With `from_start`, what the journal still holds comes first.

    Damaged lines are left out here: the archive's follower sets them aside and reports them.
    """

    def __init__(self, home: Home, *, from_start: bool = False) -> None:
        self._home = home
        self._readers: dict[tuple[str, str], StreamReader] = {}
        self._from_start = from_start
        self._find()
        self._from_start = True

    def next(self, timeout: float) -> list[bytes]:
        """Lines that have not been returned yet; waits up to `timeout` seconds for the first."""
        deadline = time.monotonic() + timeout
        while True:
            self._find()
            found = [line for reader in self._readers.values() for line in lines.split(reader.read())]
            intact = [line for line in found if lines.is_intact(line)]
            if intact:
                return sorted(intact, key=_age)
            if time.monotonic() >= deadline:
                return []
            time.sleep(_POLL)

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def _find(self) -> None:
        present = {info.run for info in runs(self._home)}
        for key in [key for key in self._readers if key[0] not in present]:
            self._readers.pop(key).close()
        for run in present:
            for stream in STREAMS:
                folder = run_folder(self._home, run)
                if (run, stream) not in self._readers and (folder / stream).exists():
                    self._readers[run, stream] = self._open(folder, stream)

    def _open(self, folder: Path, stream: str) -> StreamReader:
        known = segments(folder, stream)
        if self._from_start or not known:
            return StreamReader(folder, stream, Cursor(segment=known[0] if known else 0))
        return StreamReader(
            folder, stream, Cursor(segment=known[-1], position=_last_line_end(segment_path(folder, stream, known[-1])))
        )


def _last_line_end(path: Path) -> int:
    """Where the last whole line of a segment ends; 0 when it was deleted meanwhile."""
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - lines.MAX_LINE)
            file.seek(start)
            return start + file.read().rfind(b"\n") + 1
    except FileNotFoundError:
        return 0


def _age(line: bytes) -> tuple[str, int]:
    seq, ts = lines.head(line)
    return ts, seq


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
