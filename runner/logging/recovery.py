"""Recovery: finishing the run of a writer that died.

Recovery is what the writer would have done at `close`: it puts the front's lines behind the segments and ends the run
with a seal. Every step can be repeated, so recovery may itself be killed. What it must leave out goes to
`journal/rejected/` with the reason, never nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from runner.clock import Clock
from runner.layout import Home
from runner.logging import disk, front, lines
from runner.logging.heads import Head
from runner.logging.journal import RunInfo, read_info, run_folder, segment_path, write_info
from runner.logging.log_types import Kind
from runner.logging.reader import Cursor, StreamReader, segments
from runner.logging.routes import KINDS, STREAMS


class BlockStart(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stream can be hashed on from: the head before a block, and the place of the block's first line."""

    chain: str = ""
    cursor: Cursor = Cursor()


@dataclass(frozen=True, slots=True)
class Recovered:
    run: str
    records: int
    from_front: int
    quarantined: int


def recover(home: Home, run: str, clock: Clock, starts: Mapping[str, BlockStart] | None = None) -> Recovered:
    """Finish a dead run. The caller has made sure that nobody writes it. `starts` tell where the segments
    that are left can be hashed from."""
    folder = run_folder(home, run)
    info = read_info(folder)
    if info is None or info.closed:
        return Recovered(run, info.records if info else 0, 0, 0)
    starts = starts or {}
    repaired = {name: _repair_stream(home, folder, run, name) for name in _present(folder)}
    records = _seal(folder, info, clock, starts)
    write_info(folder, msgspec.structs.replace(info, closed="recovery", records=records))
    for name in repaired:
        (folder / f"{name}.front").unlink(missing_ok=True)
    return Recovered(run, records, sum(done for done, _ in repaired.values()), sum(bad for _, bad in repaired.values()))


def quarantine(home: Home, run: str, stream: str, offset: int, content: bytes, reason: str) -> Path:
    """Set bytes aside that cannot be shipped, with the reason beside them. Doing it again changes nothing."""
    home.rejected.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home.rejected / f"{run}-{stream}-{offset:012d}.ndjson"
    disk.replace(path, content)
    report = {"run": run, "stream": stream, "offset": offset, "bytes": len(content), "reason": reason}
    disk.replace(path.with_suffix(".json"), msgspec.json.encode(report))
    return path


def _present(folder: Path) -> list[str]:
    return [name for name in STREAMS if (folder / name).exists()]


def _repair_stream(home: Home, folder: Path, run: str, stream: str) -> tuple[int, int]:
    """Cut the torn end and append what the front still holds; returns (lines from the front, quarantined pieces)."""
    known = segments(folder, stream)
    first = known[-1] if known else 0
    path = segment_path(folder, stream, first)
    path.touch(mode=0o600)
    following, torn = _cut_torn_end(path, run, stream, first)
    kept = _front_lines(folder, run, stream)
    new: list[bytes] = []
    while following + len(new) in kept:
        new.append(kept[following + len(new)])
    lost = {offset: line for offset, line in kept.items() if offset >= following + len(new)}
    _append(path, new)
    quarantined = 0
    if torn and not new:
        quarantine(home, run, stream, following, torn, "torn: the end of the line was never written")
        quarantined += 1
    if lost:
        content = b"".join(lost[offset] for offset in sorted(lost))
        reason = f"records {following + len(new)} to {min(lost) - 1} before it are lost"
        quarantine(home, run, stream, min(lost), content, reason)
        quarantined += len(lost)
    return len(new), quarantined


def _cut_torn_end(path: Path, run: str, stream: str, first: int) -> tuple[int, bytes]:
    """Cut what follows the last intact line; returns the offset after it, and what was cut off."""
    content = path.read_bytes()
    end, following = _intact_end(content, lines.id_prefix(run, stream), first)
    if end < len(content):
        os.truncate(path, end)
    return following, content[end:]


def _intact_end(content: bytes, prefix: bytes, first: int) -> tuple[int, int]:
    end = content.rfind(b"\n") + 1
    while end:
        start = content.rfind(b"\n", 0, end - 1) + 1
        line = content[start:end]
        if lines.is_intact(line) and (offset := lines.offset_of(line, prefix)) >= 0:
            return end, offset + 1
        end = start
    return 0, first


def _front_lines(folder: Path, run: str, stream: str) -> dict[int, bytes]:
    path = folder / f"{stream}.front"
    return front.intact_lines(path, run, stream) if path.exists() else {}


def _append(path: Path, new: list[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        content = memoryview(b"".join(new))
        while content:
            content = content[os.write(descriptor, content) :]
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
    _append(_seals_segment(folder, seals.next), [line])
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


def _seals_segment(folder: Path, following: int) -> Path:
    known = segments(folder, "seals")
    path = segment_path(folder, "seals", known[-1] if known else following)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    return path


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
    head = Head(run, stream, bytes.fromhex(start.chain) if start.chain else None)
    reader = StreamReader(folder, stream, start.cursor)
    following, last = start.cursor.next, b""
    try:
        while chunk := reader.read():
            found = lines.split(chunk)
            head.feed_lines(following, found)
            last = found[-1]
            following = lines.offset_of(last, lines.id_prefix(run, stream)) + 1
    finally:
        reader.close()
    return _Walked(following, lines.head(last)[0] + 1 if last else 0, head.hexdigest(), last)
