"""What the journal holds beyond the archive, for readers: nothing here ships or changes anything."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from runner.layout import Home
from runner.logging import checkpoint, lines
from runner.logging.documents import STREAMS as LIVE_STREAMS
from runner.logging.firestore_logger import LiveState
from runner.logging.gcs_logger import ArchiveState, StreamState
from runner.logging.journal import run_folder, runs, segment_path
from runner.logging.reader import Cursor, StreamReader, segments
from runner.logging.routes import STREAMS

_LOOK_BACK = 1 << 18


@dataclass(frozen=True, slots=True)
class Backlog:
    """Records that wait: bytes for the live store, the archive and the compliance copies."""

    live: int
    archive: int
    compliance: int

    @property
    def total(self) -> int:
        return self.live + self.archive + self.compliance


def measure(home: Home, wanted: Collection[str]) -> Backlog:
    """The backlog of some runs."""
    live = archive = compliance = 0
    for run in wanted:
        archived = checkpoint.load(home, run, "archive", ArchiveState).streams
        copied = checkpoint.load(home, run, "compliance", ArchiveState).streams
        shown = checkpoint.load(home, run, "live", LiveState).streams
        for stream, route in STREAMS.items():
            archive += _available(home, run, stream, archived.get(stream, StreamState()).cursor)
            if route.compliance:
                compliance += _available(home, run, stream, copied.get(stream, StreamState()).cursor)
            if stream in LIVE_STREAMS:
                live += _available(home, run, stream, shown.get(stream, Cursor()))
    return Backlog(live, archive, compliance)


def unshipped(home: Home) -> dict[str, bytes]:
    """Lines that are not archived yet, by stream."""
    found: dict[str, list[bytes]] = {}
    for info in runs(home):
        archived = checkpoint.load(home, info.run, "archive", ArchiveState).streams
        for stream in STREAMS:
            reader = StreamReader(run_folder(home, info.run), stream, archived.get(stream, StreamState()).cursor)
            while chunk := reader.read():
                found.setdefault(stream, []).append(chunk)
            reader.close()
    return {stream: b"".join(chunks) for stream, chunks in found.items()}


def newest(home: Home, count: int) -> list[bytes]:
    """The newest lines of the journal, old to new; 0 means all that a quick look finds."""
    found = [line for info in runs(home) for stream in STREAMS for line in _last_lines(home, info.run, stream)]
    found.sort(key=lambda line: (lines.head(line)[1], lines.head(line)[0]))
    return found[-count:]


def _available(home: Home, run: str, stream: str, cursor: Cursor) -> int:
    return StreamReader(run_folder(home, run), stream, cursor).available()


def _last_lines(home: Home, run: str, stream: str) -> list[bytes]:
    known = segments(run_folder(home, run), stream)
    if not known:
        return []
    with segment_path(run_folder(home, run), stream, known[-1]).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - _LOOK_BACK)
        file.seek(start)
        content = file.read()
    whole = content if start == 0 else content[content.find(b"\n") + 1 :]
    return lines.split(whole)
