"""Only the archive pins the journal: who lags behind reads on from the archive, and misses nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runner.clock import ManualClock
from runner.errors import JournalError
from runner.layout import Home
from runner.logging import checkpoint, objects
from runner.logging.firestore_logger import LiveState
from runner.logging.follower import Follower, Journals
from runner.logging.housekeeping import House
from runner.logging.log_types import Kind
from runner.logging.owed import owed_runs
from runner.logging.pubsub_logger import PubSubLogger
from runner.logging.reader import segments
from runner.settings import Journal, Settings
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from tests.logging.journeys import START, Fleet, PlainWriter, RecordingStream, documents_of, folded, ship_all


class Stage:
    def __init__(self, home: Home, **journal: int) -> None:
        self.home = home
        self.clock = ManualClock(START)
        self.live = MemoryLiveStore(clock=self.clock)
        self.archive = MemoryArchive()
        self.stream = RecordingStream()
        self.fleet = Fleet(home, self.clock, self.live, self.archive, self.stream)
        self.settings = Settings(home=home.path, journal=Journal(**journal))
        self.restart()

    def restart(self) -> None:
        self.followers: list[Follower] = self.fleet.build()
        self.house = House(self.home, self.followers, self.settings, self.clock)

    def ship_to_archive(self) -> None:
        ship_all(follower for follower in self.followers if follower.pins)

    def catch_up(self) -> None:
        ship_all(follower for follower in self.followers if not follower.pins)

    def published(self) -> list[bytes]:
        return [message.body + b"\n" for message in self.stream.messages]


@pytest.fixture
def stage(home: Home) -> Stage:
    return Stage(home)


def test_segments_of_a_live_run_go_when_they_are_archived_though_others_lag(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    for _ in range(6):
        writer.metrics(700)
        writer.rotate("metrics")
    stage.ship_to_archive()

    stage.house.sweep()

    assert segments(writer.folder, "metrics") == [2800, 3500]
    writer.close()


@pytest.mark.parametrize("begun", [False, True])
def test_who_lags_reads_deleted_segments_from_the_archive_in_order(stage: Stage, begun: bool) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    writer.metrics(100)
    if begun:
        stage.catch_up()
    for _ in range(6):
        writer.metrics(700)
        writer.rotate("metrics")
    stage.ship_to_archive()
    stage.house.sweep()
    writer.metrics(50)

    stage.catch_up()

    assert stage.published() == writer.lines["metrics"]
    assert documents_of(stage.live) == folded([writer])
    writer.close()


def test_a_swept_run_is_owed_until_everybody_is_done_also_over_restarts(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    for number in range(20):
        writer.trade(number)
        writer.write(Kind.HEARTBEAT, {"status": "running"})
    stage.catch_up()
    for number in range(20, 40):
        writer.trade(number)
    writer.close()
    stage.ship_to_archive()
    stage.house.sweep()
    assert not writer.folder.exists()
    assert [note.info.run for note in owed_runs(stage.home)] == [writer.run]

    stage.restart()
    assert not stage.house.is_shipped()
    stage.catch_up()
    stage.house.sweep()

    assert stage.house.is_shipped()
    assert owed_runs(stage.home) == []
    assert not (stage.home.checkpoints / writer.run).exists()
    assert documents_of(stage.live) == folded([writer])
    assert sorted(stage.published()) == sorted(line for written in writer.lines.values() for line in written)


def test_a_clock_that_jumped_hides_no_object_from_who_lags(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    stage.clock.set(START + timedelta(days=400))
    writer.trade(1)
    writer.close()
    stage.ship_to_archive()
    stage.house.sweep()
    stage.clock.set(START)

    stage.catch_up()

    assert documents_of(stage.live) == folded([writer])


def test_large_objects_are_read_in_pieces(home: Home) -> None:
    stage = Stage(home)
    stage.fleet.archive_bytes = 1 << 20
    stage.restart()
    writer = PlainWriter(home, stage.clock)
    writer.metrics(300, width=10_000)
    writer.close()
    stage.ship_to_archive()
    stage.house.sweep()

    stage.catch_up()

    assert [body for body in stage.published() if b":metrics:" in body] == writer.lines["metrics"]


def test_without_an_archive_lines_that_left_the_journal_are_an_error(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    writer.trade(1)
    writer.close()
    stage.ship_to_archive()
    stage.house.sweep()
    journals = Journals(stage.home, stage.clock)
    follower = PubSubLogger(journals, stage.stream, stage.fleet.patience("stream"))

    with pytest.raises(JournalError, match="left the journal"):
        follower.step()


def test_closed_runs_stay_for_an_hour_unless_the_journal_is_crowded(home: Home) -> None:
    for quota, stays in ((1 << 30, True), (1000, False)):
        stage = Stage(home, quota=quota)
        writer = PlainWriter(home, stage.clock)
        writer.trade(1)
        writer.close()
        stage.ship_to_archive()

        assert stage.house.is_crowded() is not stays
        stage.clock.set(_closing_time(writer))
        stage.house.sweep()

        assert writer.folder.exists() is stays


def test_the_days_that_a_user_asked_for_are_kept_even_then(home: Home) -> None:
    stage = Stage(home, quota=1000, keep_days=2)
    writer = PlainWriter(home, stage.clock)
    writer.trade(1)
    writer.close()
    stage.ship_to_archive()
    stage.clock.set(_closing_time(writer) + timedelta(days=1))

    stage.house.sweep()

    assert writer.folder.exists()


def test_nothing_is_swept_before_its_compliance_copy_exists(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    writer.trade(1)
    writer.close()
    ship_all(follower for follower in stage.followers if follower.name == "archive")

    stage.house.sweep()

    assert writer.folder.exists()


def test_a_checkpoint_that_cannot_be_written_is_a_journal_error(stage: Stage) -> None:
    (stage.home.checkpoints / "run").write_text("in the way")

    with pytest.raises(JournalError, match="cannot be written"):
        checkpoint.save(stage.home, "run", "live", LiveState())


def _closing_time(writer: PlainWriter) -> datetime:
    """A moment after the run was closed, by the machine's clock, which dates files."""
    return datetime.fromtimestamp((writer.folder / "run.json").stat().st_mtime + 1, UTC)


def test_a_damaged_archive_object_is_told_and_those_who_lag_go_on_behind_it(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    for _ in range(6):
        writer.metrics(700)
        writer.rotate("metrics")
    stage.ship_to_archive()
    stage.house.sweep()
    first, second, *_ = objects.index(stage.archive)[writer.run]["metrics"]
    body, info = stage.archive.read(second.bucket, second.name), stage.archive.stat(second.bucket, second.name)
    assert info is not None
    stage.archive.delete(second.bucket, second.name)
    damaged = bytes([*body[:-5], body[-5] ^ 4, *body[-4:]])
    stage.archive.create(second.bucket, second.name, damaged, metadata=info.metadata, content_type="application/gzip")

    stage.catch_up()
    stage.catch_up()

    lines = writer.lines["metrics"]
    assert stage.published() == [*lines[: first.last + 1], *lines[second.last + 1 :]]
    told = [str(trouble.error) for trouble in stage.fleet.troubles]
    assert len(told) == 2
    assert all(
        f"records {second.first} to {second.last} of metrics" in error and second.name in error for error in told
    )
    writer.close()


def test_an_archive_object_that_is_gone_is_passed_by(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    for _ in range(6):
        writer.metrics(700)
        writer.rotate("metrics")
    stage.ship_to_archive()
    stage.house.sweep()
    first, second, *_ = objects.index(stage.archive)[writer.run]["metrics"]
    stage.archive.delete(second.bucket, second.name)

    stage.catch_up()

    lines = writer.lines["metrics"]
    assert stage.published() == [*lines[: first.last + 1], *lines[second.last + 1 :]]
    writer.close()
