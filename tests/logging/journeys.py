"""What tests of followers need: a writer of plain journals, followers over faulty stores, and what must arrive."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import documents, lines, objects
from runner.logging.disk import FileLock
from runner.logging.firestore_logger import FirestoreLogger, LivePolicy
from runner.logging.follower import Follower, Journals, Patience
from runner.logging.gcs_logger import ArchivePolicy, GCSLogger
from runner.logging.heads import Head
from runner.logging.journal import FORMAT, RunInfo, run_folder, segment_path, write_info
from runner.logging.log_types import Kind
from runner.logging.pubsub_logger import PubSubLogger
from runner.logging.recovery import seal_body
from runner.logging.retention import LIVE
from runner.logging.routes import COMPLIANCE_LOGS, KINDS
from runner.stores.base import Archive, Document, LiveStore, Message, Stream

START = datetime(2030, 6, 3, 14, 30, tzinfo=UTC)
"""Later than any file's time on this machine, so that closed runs are old enough to be swept at once."""


class PlainWriter:
    """Writes a run's segments as the journal would, at the time of a manual clock, without its threads and maps."""

    def __init__(self, home: Home, clock: ManualClock, bot: str = "breakout", epoch: int = 1) -> None:
        self.lines: dict[str, list[bytes]] = {}
        self._clock = clock
        self._seq = 0
        self._segments: dict[str, int] = {}
        clock.advance(0.002)
        self.info = RunInfo(
            format=FORMAT,
            run=lines.new_run(clock.time_ns()),
            bot=bot,
            bot_type="stock-trader",
            session_id="s",
            environment="local",
            epoch=epoch,
            pid=os.getpid(),
            started=lines.timestamp(clock.now()),
        )
        self.folder = run_folder(home, self.info.run)
        self.folder.mkdir()
        self._lock = FileLock(self.folder / "lock")
        self._lock.acquire()
        write_info(self.folder, self.info)

    @property
    def run(self) -> str:
        return self.info.run

    def write(self, kind: Kind, data: dict[str, Any]) -> str:
        envelope = {
            "kind": kind.value,
            "severity": KINDS[kind].severity.value,
            "run": self.run,
            "bot": self.info.bot,
            "bot_type": self.info.bot_type,
            "data": data,
        }
        return self._append(KINDS[kind].stream, b"," + msgspec.json.encode(envelope)[1:-1])

    def trade(self, number: int) -> None:
        """A trade that is opened and closed."""
        data = {"trade_id": f"{self.run[-8:]}-{number}", "action": "BUY", "price": "100.5", "timestamp": "T"}
        self.write(Kind.TRADE_ENTRY, data)
        self.write(Kind.TRADE_EXIT, {**data, "action": "SELL", "price": str(101 + number)})

    def metrics(self, count: int, width: int = 0) -> None:
        for number in range(count):
            self.write(Kind.METRIC, {"name": f"m{number % 3}", "value": str(self._seq), "pad": "x" * width})

    def rotate(self, stream: str) -> None:
        """The next line of a stream begins a new segment."""
        if stream in self.lines:
            self._segments[stream] = len(self.lines[stream])

    def seal(self, reason: str = "interval") -> None:
        heads = {}
        for name, written in self.lines.items():
            head = Head(self.run, name)
            head.feed_lines(0, written)
            if name != "seals":
                heads[name] = {"last": len(written) - 1, "head": head.hexdigest()}
        self._append("seals", seal_body(self.info, reason, heads))

    def close(self) -> None:
        self.seal("close")
        write_info(self.folder, msgspec.structs.replace(self.info, closed="close", records=self._seq))
        self._lock.release()

    def die(self) -> None:
        """As if killed: the lock is free, and nothing else happens."""
        self._lock.release()

    def _append(self, stream: str, body: bytes) -> str:
        written = self.lines.setdefault(stream, [])
        self._clock.advance(0.001)
        moment = lines.timestamp(self._clock.now()).encode()
        prefix = lines.id_prefix(self.run, stream)
        line = lines.seal(b'%s%012d","seq":%d,"ts":"%s"%s' % (prefix, len(written), self._seq, moment, body))
        path = segment_path(self.folder, stream, self._segments.get(stream, 0))
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(line)
        written.append(line)
        self._seq += 1
        return f"{self.run}:{stream}:{len(written) - 1:012d}"


class RecordingStream:
    """A stream that keeps everything it was given."""

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.messages: list[Message] = []

    def publish(self, messages: Sequence[Message]) -> None:
        self.messages.extend(messages)

    def close(self) -> None:
        """What was published stays."""


@dataclass
class Fleet:
    """The four followers of one home, as wiring builds them, but small and without patience for sleeping."""

    home: Home
    clock: ManualClock
    live: LiveStore
    archive: Archive
    stream: Stream
    archive_bytes: int = 4096
    longest_wait: float = 0
    stop: threading.Event = field(default_factory=threading.Event)
    troubles: list[Any] = field(default_factory=list)

    def build(self) -> list[Follower]:
        """Fresh followers, as after a start."""
        journals = Journals(self.home, self.clock, self.archive)
        return [
            FirestoreLogger(journals, self.live, LivePolicy(10, 5, 15), self.patience("live")),
            GCSLogger(journals, self.archive, self.policy("archive"), self.patience("archive")),
            GCSLogger(journals, self.archive, self.policy("compliance"), self.patience("compliance")),
            PubSubLogger(journals, self.stream, self.patience("stream")),
        ]

    def patience(self, name: str) -> Patience:
        return Patience(name, self.stop, self.troubles.append, longest=self.longest_wait)

    def policy(self, name: str) -> ArchivePolicy:
        return ArchivePolicy(name, self.archive_bytes, 900, 300, compliance=name == "compliance")


def ship_all(followers: Iterable[Follower]) -> None:
    for follower in followers:
        while follower.step(drain=True):
            pass


def archived_lines(archive: Archive, *, compliance: bool = False) -> dict[str, dict[str, bytes]]:
    """What an archive holds, by run and stream, in order of offset."""
    buckets = (COMPLIANCE_LOGS,) if compliance else objects.PRIMARY
    return {
        run: {
            stream: b"".join(objects.raw_lines(archive, batch) for batch in found) for stream, found in batches.items()
        }
        for run, batches in objects.index(archive, buckets).items()
    }


def folded(writers: Iterable[PlainWriter]) -> dict[tuple[str, str], Document]:
    """The documents that all records leave behind."""
    folding = documents.Folding(lambda collection, key: None)
    for writer in sorted(writers, key=lambda writer: writer.info.epoch):
        for stream in documents.STREAMS:
            for line in writer.lines.get(stream, []):
                folding.add(lines.decode(line), writer.info.epoch)
    return folding.pending


def documents_of(live: LiveStore) -> dict[tuple[str, str], Document]:
    """Every document of a live store, expired or not."""
    everything = [live.query(name, now=datetime.min.replace(tzinfo=UTC), limit=1_000_000) for name in LIVE]
    return {(one.collection, one.key): one for found in everything for one in found}
