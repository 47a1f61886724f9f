"""Recovery: finishing the run of a writer that died.

Recovery is what the writer would have done at `close`: it puts the front's lines behind the segments and ends the run
with a seal. It never refuses damaged bytes: what it must leave out goes to `journal/rejected/` with the reason, before
it is cut off. Every step can be repeated, so recovery may itself be killed:

1. Of each segment, cut what follows the last intact line, and append the front's lines up to the next segment.
2. Set aside lines of the front that continue nothing.
3. Write a seal, as a segment of its own, at once.
4. Mark the run closed; delete the fronts.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from runner.clock import Clock
from runner.files import sync_folder
from runner.layout import Home
from runner.logging import disk, front, lines
from runner.logging.heads import Head
from runner.logging.journal import RunInfo, read_info, run_folder, segment_path, write_info
from runner.logging.log_types import Kind
from runner.logging.reader import Cursor, StreamReader, segments
from runner.logging.routes import KINDS, STREAMS
from runner.logging.run_info import front_path


class BlockStart(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stream can be hashed on from: the head before a block, and the place of the block's first line."""

    chain: str = ""
    cursor: Cursor = Cursor()


@dataclass(frozen=True, slots=True)
class Recovered:
    """`records` of the whole run; `from_front` of them were only in fronts; `quarantined` pieces were set aside."""

    run: str
    records: int
    from_front: int
    quarantined: int


def recover(home: Home, run: str, clock: Clock, starts: Mapping[str, BlockStart] | None = None) -> Recovered:
    """Finish a dead run. The caller has made sure that nobody writes it.

    `starts` tell where the segments that are left can be hashed from. Raises `JournalError` for a newer format, and
    when the disk fails; then it can be tried again.
    """
    folder = run_folder(home, run)
    info = read_info(folder)
    if info is None:
        return Recovered(run, 0, 0, 0)
    repairs = []
    if not info.closed:
        repairs = [_StreamRepair(home, folder, run, name) for name in _present(folder)]
        for repair in repairs:
            repair.run()
        info = msgspec.structs.replace(info, closed="recovery", records=_seal(folder, info, clock, starts or {}))
        write_info(folder, info)
    for path in folder.glob("*.front"):
        path.unlink(missing_ok=True)
    return Recovered(
        run, info.records, sum(repair.restored for repair in repairs), sum(repair.quarantined for repair in repairs)
    )


def quarantine(home: Home, run: str, stream: str, offset: int, content: bytes, reason: str) -> Path:
    """Set bytes aside that cannot be shipped, with the reason beside them. Doing it again changes nothing."""
    home.rejected.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256(content).hexdigest()[:8]
    path = home.rejected / f"{run}-{stream}-{offset:012d}-{digest}.ndjson"
    disk.replace(path, content)
    report = {"run": run, "stream": stream, "offset": offset, "bytes": len(content), "reason": reason}
    disk.replace(path.with_suffix(".json"), msgspec.json.encode(report))
    return path


def _present(folder: Path) -> list[str]:
    return [name for name in STREAMS if (folder / name).exists()]


class _StreamRepair:
    """Steps 1 and 2 for one stream."""

    def __init__(self, home: Home, folder: Path, run: str, stream: str) -> None:
        self.restored = self.quarantined = 0
        self._home, self._folder, self._run, self._stream = home, folder, run, stream
        self._prefix = lines.id_prefix(run, stream)

    def run(self) -> None:
        path = front_path(self._folder, self._stream)
        kept = front.intact_lines(path, self._run, self._stream) if path.exists() else {}
        known = self._begun_segments()
        following = 0
        for first, limit in zip(known, [*known[1:], None], strict=True):
            following = self._repair_segment(first, limit, kept)
        sync_folder(self._folder / self._stream)
        self._set_aside_lost({offset: line for offset, line in kept.items() if offset >= following}, following)

    def _begun_segments(self) -> list[int]:
        """First offsets of the segments that hold anything; an empty one may be a rotation that was given up."""
        begun: list[int] = []
        for first in segments(self._folder, self._stream):
            path = segment_path(self._folder, self._stream, first)
            if path.stat().st_size:
                begun.append(first)
            else:
                path.unlink()
        return begun or [0]

    def _repair_segment(self, first: int, limit: int | None, kept: Mapping[int, bytes]) -> int:
        """Make a segment end with its last line before `limit`; returns the offset after it."""
        path = segment_path(self._folder, self._stream, first)
        path.touch(mode=0o600)
        end, following, torn = intact_end(path, self._prefix, first)
        new = list(_continuing(kept, following, limit))
        restored = b"".join(new)
        if torn and not restored.startswith(torn):
            self._quarantine(following, torn, "torn: the end of what was written here is damaged or missing")
        _write_end(path, end, restored)
        self.restored += len(new)
        return following + len(new)

    def _set_aside_lost(self, lost: Mapping[int, bytes], following: int) -> None:
        """Lines that nothing leads to: power was lost before the ones between were on disk."""
        if lost:
            content = b"".join(lost[offset] for offset in sorted(lost))
            self._quarantine(min(lost), content, f"records {following} to {min(lost) - 1} before it are lost")

    def _quarantine(self, offset: int, content: bytes, reason: str) -> None:
        quarantine(self._home, self._run, self._stream, offset, content, reason)
        self.quarantined += 1


def intact_end(path: Path, prefix: bytes, first: int) -> tuple[int, int, bytes]:
    """Where the last intact line of a segment ends, the offset after it, and the bytes behind it.

    `first` is the segment's first offset: the one that follows where no line is intact.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - 2 * lines.MAX_LINE)
        while True:
            file.seek(start)
            content = file.read()
            end, following = _last_intact(content, prefix)
            if end or not start:
                return start + end, following if end else first, content[end:]
            start = max(0, start - 16 * lines.MAX_LINE)


def _last_intact(content: bytes, prefix: bytes) -> tuple[int, int]:
    end = content.rfind(b"\n") + 1
    while end:
        start = content.rfind(b"\n", 0, end - 1) + 1
        line = content[start:end]
        if lines.is_intact(line) and (offset := lines.offset_of(line, prefix)) >= 0:
            return end, offset + 1
        end = start
    return 0, 0


def _continuing(kept: Mapping[int, bytes], following: int, limit: int | None) -> list[bytes]:
    new: list[bytes] = []
    while (limit is None or following < limit) and following in kept:
        new.append(kept[following])
        following += 1
    return new


def _write_end(path: Path, end: int, content: bytes) -> None:
    """Make a segment end with `content` at `end`. Cutting it there also frees the space that was reserved behind it."""
    with disk.failures_as_journal_errors():
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, end)
            disk.write_at(descriptor, memoryview(content), end)
            disk.sync_data(descriptor)
        finally:
            os.close(descriptor)


def _seal(folder: Path, info: RunInfo, clock: Clock, starts: Mapping[str, BlockStart]) -> int:
    """Append the run's last record, a seal over all streams; returns how many records the run has."""
    walked = {name: _walk(folder, info.run, name, starts.get(name, BlockStart())) for name in _present(folder)}
    heads = {name: end.sealed() for name, end in walked.items() if name != "seals" and end.next}
    seals = walked.get("seals", _Walked())
    total = sum(end.next for end in walked.values())
    if seals.last and lines.decode(seals.last)["data"]["streams"] == heads:
        return total
    seq = max((end.seq for end in walked.values()), default=0)
    moment = lines.timestamp(clock.now()).encode()
    prefix = lines.id_prefix(info.run, "seals")
    body = seal_body(info, "recovery", heads)
    line = lines.seal(b'%s%012d","seq":%d,"ts":"%s"%s' % (prefix, seals.next, seq, moment, body))
    path = segment_path(folder, "seals", seals.next)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    disk.replace(path, line)
    return total + 1


def seal_body(info: RunInfo, reason: str, heads: Mapping[str, Mapping[str, object]]) -> bytes:
    """A seal after its time: the envelope that a recovery can know, and the heads."""
    envelope = {
        "kind": Kind.SEAL,
        "severity": KINDS[Kind.SEAL].severity,
        "run": info.run,
        "bot": info.bot,
        "bot_type": info.bot_type,
        "session_id": info.session_id,
        "environment": info.environment,
        "data": {"reason": reason, "streams": heads},
    }
    return b"," + msgspec.json.encode(envelope)[1:-1]


@dataclass(frozen=True, slots=True)
class _Walked:
    """A stream's end: the next offset, the `seq` after its last record, its head, and its last line if it is here."""

    next: int = 0
    seq: int = 0
    head: str = ""
    last: bytes = b""

    def sealed(self) -> dict[str, object]:
        return {"last": self.next - 1, "head": self.head}


def _walk(folder: Path, run: str, stream: str, start: BlockStart) -> _Walked:
    """Hash a stream's intact lines; what is damaged between them is the followers' to set aside."""
    head = Head(run, stream, bytes.fromhex(start.chain) if start.chain else None)
    reader = StreamReader(folder, stream, start.cursor)
    prefix, following, last = lines.id_prefix(run, stream), start.cursor.next, b""
    try:
        while chunk := reader.read():
            found = [line for line in lines.split(chunk) if lines.is_intact(line)]
            if found:
                head.feed_lines(following, found)
                last = found[-1]
                following = max(following + len(found), lines.offset_of(last, prefix) + 1)
    finally:
        reader.close()
    return _Walked(following, lines.head(last)[0] + 1 if last else 0, head.hexdigest(), last)
