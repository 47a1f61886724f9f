"""A shipped archive with days that are over, for tests of what happens to them later."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging.audit import Auditor, AuditReport
from runner.logging.compaction import CompactionReport, compact
from runner.logging.deadline import Deadline
from runner.logging.follower import Follower
from runner.logging.log_types import Kind
from runner.logging.objects import PRIMARY
from runner.logging.routes import COMPLIANCE_LOGS
from runner.stores.base import Archive
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from tests.logging.journeys import START, Fleet, PlainWriter, RecordingStream, ship_all

DAY = START.date()
NEXT = DAY + timedelta(days=1)


def clone(archive: Archive) -> MemoryArchive:
    """An archive of its own with the same objects."""
    assert isinstance(archive, MemoryArchive)
    copied = MemoryArchive()
    copied._buckets = {bucket: dict(found) for bucket, found in archive._buckets.items()}
    return copied


@dataclass
class Past:
    """Two bots, three runs, two days: every stream of the first day lies in several objects."""

    home: Home
    archive: Archive
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    writers: list[PlainWriter] = field(default_factory=list)
    stores: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.live, self.stream = MemoryLiveStore(clock=self.clock), RecordingStream()
        for bot, epoch in (("breakout", 1), ("vwap", 1), ("breakout", 2)):
            writer = PlainWriter(self.home, self.clock, bot, epoch)
            self.writers.append(writer)
            self.write(writer)
            writer.close()
            ship_all(self.followers())
        self.long = PlainWriter(self.home, self.clock, "mean-reversion")
        self.writers.append(self.long)
        self.write(self.long)
        self.clock.advance(24 * 3600)
        self.write(self.long)
        self.long.close()
        ship_all(self.followers())
        self.clock.advance(3 * 24 * 3600)

    def again(self) -> Past:
        """The same past with an archive (in memory) and a clock of its own, for a test that only looks at the home."""
        twin = copy.copy(self)
        twin.clock = ManualClock(self.clock.now())
        twin.archive = clone(self.archive)
        return twin

    def followers(self, archive_bytes: int = 1024) -> list[Follower]:
        return Fleet(self.home, self.clock, self.live, self.archive, self.stream, archive_bytes).build()

    def write(self, writer: PlainWriter) -> None:
        for number in range(30):
            writer.trade(number)
            writer.write(Kind.HEARTBEAT, {"status": "running", "number": number})
            writer.write(Kind.WARNING, {"message": "slow"})
            if number % 10 == 9:
                writer.seal()
                ship_all(self.followers())

    def compact(
        self, *, day: date | None = None, dry_run: bool = False, seconds: float | None = None
    ) -> CompactionReport:
        deadline = Deadline(self.clock, seconds)
        return compact(self.archive, now=self.clock.now(), deadline=deadline, day=day, dry_run=dry_run)

    def verify(self, home: Home | None = None) -> AuditReport:
        return Auditor(self.archive, home, clock=self.clock).verify()

    def names(self, bucket: str = "") -> dict[str, list[str]]:
        buckets = (bucket,) if bucket else (*PRIMARY, COMPLIANCE_LOGS)
        return {one: [info.name for info in self.archive.list(one)] for one in buckets}

    def bodies(self) -> dict[tuple[str, str], bytes]:
        return {
            (bucket, name): self.archive.read(bucket, name) for bucket, names in self.names().items() for name in names
        }
