"""A consistent picture of the journal while bots write: of each run, every record up to one `seq`, and none after it.

`seq` is contiguous over the streams of a run, so a cut at one `seq` never holds a seal without the records that it
seals, nor a fill without its order. The last `seq` that any stream shows is looked up first; whatever was accepted
before it is by then in a segment or in a front, and is found there afterwards. Files are opened before they are read,
so that a sweep meanwhile takes nothing away; what the sweep notes beside the run is compared, and read again if it
changed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from runner.errors import JournalError
from runner.layout import Home
from runner.logging import checkpoint, front, lines, sweeping
from runner.logging.reader import segments
from runner.logging.recovery import intact_end
from runner.logging.routes import STREAMS
from runner.logging.run_info import RunInfo, front_path, read_info, run_folder, segment_path
from runner.operations.manifest import RunHead

_LOOKS = 20
_ENDLESS = 1 << 62


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of a backup: its path from the home, what is in it, and when it changed. Close `content` after use."""

    path: str
    content: BinaryIO
    mtime_ns: int


@dataclass(slots=True)
class _Stream:
    """The files of one stream, opened. `kept` are the lines of its front, by offset."""

    name: str
    files: list[tuple[int, BinaryIO]] = field(default_factory=list)
    kept: dict[int, bytes] = field(default_factory=dict)


class RunSnapshot:
    """One run, held open until `close`. Raises `FileNotFoundError` when the run is swept just now."""

    def __init__(self, home: Home, run: str) -> None:
        self._folder = run_folder(home, run)
        self._run = run
        self._streams: list[_Stream] = []
        self._ends: dict[str, int] = {}
        self._newest: tuple[int, str, str] = (-1, "", "")
        path = self._folder / "run.json"
        self._info_bytes, self._info_mtime = path.read_bytes(), path.stat().st_mtime_ns
        self._info = _readable_info(self._folder)
        self._swept = b""
        self._swept_path = checkpoint.path(home, run, sweeping.NAME)
        self._open()

    def files(self) -> Iterator[Kept]:
        """Every file, up to the cut."""
        base = f"journal/{self._run}"
        yield Kept(f"{base}/run.json", BytesIO(self._info_bytes), self._info_mtime)
        for stream in self._streams:
            for first, content, mtime_ns in self._cut(stream):
                yield Kept(f"{base}/{stream.name}/{first:020d}.ndjson", BytesIO(content), mtime_ns)
        if self._swept:
            place = f"checkpoints/{self._run}/{self._swept_path.name}"
            yield Kept(place, BytesIO(self._swept), self._info_mtime)

    def head(self) -> RunHead:
        """How far the run was kept; known when all files were taken."""
        bot, closed = (self._info.bot, self._info.closed) if self._info else ("", "")
        _, newest, ts = self._newest
        return RunHead(run=self._run, bot=bot, closed=closed, ends=self._ends, newest=newest, newest_ts=ts)

    def close(self) -> None:
        for stream in self._streams:
            for _, file in stream.files:
                file.close()
        self._streams = []

    def _open(self) -> None:
        """Find the cut, then open everything; once more while something is swept or rotated at the same time."""
        for _ in range(_LOOKS):
            self._swept = _content(self._swept_path)
            self._last = self._last_seq()
            with contextlib.suppress(FileNotFoundError):
                for name in STREAMS:
                    if (self._folder / name).is_dir():
                        self._streams.append(self._open_stream(name))
                if _content(self._swept_path) == self._swept:
                    return
            self.close()
            if not self._folder.is_dir():
                raise FileNotFoundError(self._folder)
        raise JournalError(f"run {self._run} changes faster than it can be read", "make the backup again")

    def _last_seq(self) -> int:
        """The highest `seq` that is to be seen anywhere; of a run that was closed, all there are."""
        if self._info is not None and self._info.closed:
            return _ENDLESS
        seqs = [-1]
        for name in STREAMS:
            found = list(_front_lines(self._folder, self._run, name).values())
            known = segments(self._folder, name)
            if known:
                with contextlib.suppress(FileNotFoundError):
                    found.append(_last_line(self._folder, self._run, name, known[-1]))
            seqs += [lines.head(line)[0] for line in found if line]
        return max(seqs)

    def _open_stream(self, name: str) -> _Stream:
        """Raises `FileNotFoundError` when segments come or go meanwhile."""
        known = segments(self._folder, name)
        stream = _Stream(name)
        try:
            for first in known:
                stream.files.append((first, segment_path(self._folder, name, first).open("rb")))
            stream.kept = _front_lines(self._folder, self._run, name)
            if segments(self._folder, name) != known:
                raise FileNotFoundError(self._folder / name)
        except BaseException:
            _closed(stream.files)
            raise
        return stream

    def _cut(self, stream: _Stream) -> Iterator[tuple[int, bytes, int]]:
        """The segments of a stream up to the cut: first offset, content, time of change."""
        prefix = lines.id_prefix(self._run, stream.name)
        for number, (first, file) in enumerate(stream.files):
            content = file.read()
            mtime_ns = os.fstat(file.fileno()).st_mtime_ns
            end, following, last = _end_of(content, prefix, first, self._last)
            if any(map(lines.is_intact, lines.split(content[end:]))):
                content = content[:end]
                stream.files[number + 1 :] = _closed(stream.files[number + 1 :])
            elif number == len(stream.files) - 1 and self._last < _ENDLESS:
                content, following, last = self._with_front(stream, content[:end], following, last)
            self._ends[stream.name] = following
            self._note(last)
            yield first, content, mtime_ns

    def _with_front(self, stream: _Stream, content: bytes, following: int, last: bytes) -> tuple[bytes, int, bytes]:
        """Lines that were only in the front when it was opened, behind those of the last segment."""
        new: list[bytes] = []
        while (line := stream.kept.get(following)) is not None and lines.head(line)[0] <= self._last:
            new.append(line)
            following, last = following + 1, line
        return content + b"".join(new), following, last

    def _note(self, line: bytes) -> None:
        if line:
            seq, ts = lines.head(line)
            if seq > self._newest[0]:
                self._newest = (seq, lines.decode(line)["id"], ts)


def _end_of(content: bytes, prefix: bytes, first: int, last_seq: int) -> tuple[int, int, bytes]:
    """Where the last intact line with at most `last_seq` ends, the offset after it, and the line itself."""
    end = content.rfind(b"\n") + 1
    while end:
        start = content.rfind(b"\n", 0, end - 1) + 1
        line = content[start:end]
        offset = lines.offset_of(line, prefix)
        if offset >= 0 and lines.is_intact(line) and lines.head(line)[0] <= last_seq:
            return end, offset + 1, line
        end = start
    return 0, first, b""


def _closed(files: list[tuple[int, BinaryIO]]) -> list[tuple[int, BinaryIO]]:
    """Segments that began after the cut are not kept."""
    for _, file in files:
        file.close()
    return []


def _last_line(folder: Path, run: str, stream: str, first: int) -> bytes:
    path = segment_path(folder, stream, first)
    end, _, _ = intact_end(path, lines.id_prefix(run, stream), first)
    with path.open("rb") as file:
        start = max(0, end - lines.MAX_LINE)
        file.seek(start)
        content = file.read(end - start)
    return content[content.rfind(b"\n", 0, -1) + 1 :] if content else b""


def _front_lines(folder: Path, run: str, stream: str) -> dict[int, bytes]:
    try:
        return front.intact_lines(front_path(folder, stream), run, stream)
    except FileNotFoundError:
        return {}


def _readable_info(folder: Path) -> RunInfo | None:
    try:
        return read_info(folder)
    except JournalError:
        return None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
