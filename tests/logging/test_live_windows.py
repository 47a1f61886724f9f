from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import TradingLogger
from runner.logging.firestore_logger import FirestoreLogger, LivePolicy
from runner.logging.follower import Journals, Patience
from runner.logging.log_types import HeartbeatData
from runner.settings import Settings
from runner.testing import MemoryLiveStore

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
POLICY = LivePolicy(documents=3, seconds=5, heartbeat_seconds=60)


class Stage:
    """One bot, a live store in memory, and a follower with windows of 5 and 60 seconds."""

    def __init__(self, home: Home) -> None:
        self.home, self.clock, self.store = home, ManualClock(NOON), MemoryLiveStore(clock=ManualClock(NOON))
        settings = Settings(home=home.path, shipping={"shipper": "none"})
        self.bot = TradingLogger(bot="breakout", settings=settings, wall_clock=self.clock)
        self.start()

    def start(self) -> None:
        """As a shipper does that comes after one which was killed."""
        patience = Patience("live", threading.Event(), lambda trouble: None)
        self.follower = FirestoreLogger(Journals(self.home, self.clock), self.store, POLICY, patience)

    def say(self, *metrics: str, heartbeat: bool = False) -> None:
        for name in metrics:
            self.bot.log_performance_metric(name, 1)
        if heartbeat:
            self.bot.log_heartbeat(HeartbeatData(status="running"))
        self.bot.flush()
        self.follower.step()

    def after(self, seconds: float) -> tuple[int, int]:
        """How many metrics and statuses there are when some time has passed."""
        self.clock.advance(seconds)
        self.follower.step()
        return self._count("dashboard_metrics"), self._count("live_system_status")

    def _count(self, collection: str) -> int:
        return len(self.store.query(collection, now=NOON))


@pytest.fixture
def stage(home: Home) -> Iterator[Stage]:
    stage = Stage(home)
    yield stage
    stage.bot.close()


def test_a_heartbeat_waits_for_its_own_window_while_others_are_written(stage: Stage) -> None:
    stage.say("equity", heartbeat=True)

    assert stage.after(4) == (0, 0)
    assert stage.after(1) == (1, 0)
    assert stage.after(54) == (1, 0)
    assert stage.after(1) == (1, 1)


def test_heartbeats_of_one_window_are_one_write(stage: Stage) -> None:
    for _ in range(4):
        stage.say(heartbeat=True)
        stage.after(15)

    assert stage.store.operations["writes"] == 1
    assert stage.follower.counts["states"] == 4


def test_a_shipper_that_is_killed_before_the_window_ends_loses_no_heartbeat(stage: Stage) -> None:
    stage.say("equity", heartbeat=True)
    assert stage.after(5) == (1, 0)

    stage.start()

    stage.follower.step(drain=True)
    assert stage.after(0) == (1, 1)


def test_the_end_of_a_run_ends_every_window(stage: Stage) -> None:
    stage.say("equity", heartbeat=True)
    stage.bot.close()

    assert stage.after(0) == (1, 1)


def test_a_window_ends_when_enough_documents_have_changed(stage: Stage) -> None:
    stage.say("equity", "exposure", heartbeat=True)
    assert stage.after(0) == (0, 0)
    stage.say("drawdown")

    assert stage.after(0) == (3, 0)


def test_a_stretched_window_is_so_many_times_longer(stage: Stage) -> None:
    stage.follower.stretch = 4.0
    stage.say("equity", "exposure", "drawdown", heartbeat=True)

    assert stage.after(19) == (0, 0)
    assert stage.after(1) == (3, 0)
    assert stage.after(220) == (3, 1)


def test_what_was_made_is_counted_once_a_document(stage: Stage) -> None:
    for _ in range(3):
        stage.say("equity", "exposure")
    stage.bot.log_warning("no bars for a minute")
    stage.bot.log_warning("no bars for a minute")
    stage.bot.close()
    stage.follower.step()

    assert stage.follower.counts["states"] == 8
    assert stage.follower._progress.state(stage.bot.run).made == 4
