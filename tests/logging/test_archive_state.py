"""A lost checkpoint of the archive is found again in the archive's own list: nothing is doubled, nothing skipped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import checkpoint, objects
from runner.logging.audit import Auditor
from runner.logging.follower import Follower
from runner.logging.gcs_logger import ArchiveState, GCSLogger
from runner.logging.housekeeping import House
from runner.logging.reader import segments
from runner.settings import Settings
from runner.stores.base import ObjectInfo
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from tests.logging.journeys import START, Fleet, PlainWriter, RecordingStream, archived_lines, ship_all


class CountingArchive(MemoryArchive):
    """Counts how often it is asked for a list."""

    lists = 0

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        self.lists += 1
        return super().list(bucket, prefix)


class Stage:
    def __init__(self, home: Home) -> None:
        self.home, self.clock, self.archive = home, ManualClock(START), CountingArchive()
        self.fleet = Fleet(home, self.clock, MemoryLiveStore(clock=self.clock), self.archive, RecordingStream())
        self.restart()

    def restart(self) -> None:
        self.followers: list[Follower] = self.fleet.build()

    def ship(self) -> None:
        ship_all(follower for follower in self.followers if follower.pins)

    def state(self, writer: PlainWriter, follower: str = "archive") -> ArchiveState:
        return checkpoint.load(self.home, writer.run, follower, ArchiveState)

    def assert_whole(self, *writers: PlainWriter) -> None:
        assert {writer.run: archived_lines(self.archive)[writer.run] for writer in writers} == {
            writer.run: {name: b"".join(found) for name, found in writer.lines.items()} for writer in writers
        }
        report = Auditor(self.archive, self.home, clock=self.clock).verify()
        assert report.complete, report.findings


@pytest.fixture
def stage(home: Home) -> Stage:
    return Stage(home)


def lose_one(stage: Stage, writer: PlainWriter) -> None:
    checkpoint.path(stage.home, writer.run, "archive").unlink()


def lose_both(stage: Stage, writer: PlainWriter) -> None:
    lose_one(stage, writer)
    checkpoint.path(stage.home, writer.run, "compliance").unlink()


def lose_all(stage: Stage, writer: PlainWriter) -> None:
    shutil.rmtree(stage.home.checkpoints)


@pytest.mark.parametrize("lose", [lose_one, lose_both, lose_all])
@pytest.mark.parametrize("hours", [0, 1, 30])
def test_a_run_goes_on_where_it_was(stage: Stage, lose: Callable[[Stage, PlainWriter], None], hours: int) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    for number in range(30):
        writer.trade(number)
    writer.metrics(500, 100)
    writer.seal()
    stage.ship()
    stage.clock.advance(timedelta(hours=hours).total_seconds())
    for number in range(30, 40):
        writer.trade(number)
    writer.metrics(50)
    lose(stage, writer)

    stage.restart()
    stage.ship()
    writer.close()
    stage.ship()

    stage.assert_whole(writer)


def test_what_is_found_again_is_what_was_lost(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    writer.metrics(500, 100)
    writer.trade(1)
    stage.ship()
    before = {name: stage.state(writer, name) for name in ("archive", "compliance")}
    lose_both(stage, writer)

    stage.restart()
    stage.ship()

    for name, state in before.items():
        again = stage.state(writer, name).streams
        assert {stream: (one.cursor, one.chain, one.records, one.objects) for stream, one in again.items()} == {
            stream: (one.cursor, one.chain, one.records, one.objects) for stream, one in state.streams.items()
        }
        assert [one.stored_bytes for one in again.values()] == [one.stored_bytes for one in state.streams.values()]
    writer.die()


def test_segments_that_were_swept_before_are_not_reported_as_lost(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    for _ in range(6):
        writer.metrics(700)
        writer.rotate("metrics")
    stage.ship()
    House(stage.home, stage.followers, Settings(home=stage.home.path), stage.clock).sweep()
    assert segments(writer.folder, "metrics")[0] > 0
    writer.metrics(50)
    lose_all(stage, writer)

    stage.restart()
    stage.ship()

    stage.assert_whole(writer)
    assert stage.fleet.troubles == []
    writer.die()


def test_a_run_that_was_opened_just_now_costs_no_list(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    writer.trade(1)
    stage.ship()
    stage.restart()
    stage.ship()

    assert stage.archive.lists == 0
    writer.die()


def test_a_run_that_was_met_before_it_had_anything_costs_no_list_later(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    stage.ship()
    stage.clock.advance(86_400)
    writer.trade(1)
    stage.restart()
    stage.ship()

    assert stage.archive.lists == 0
    writer.die()


def test_a_damaged_checkpoint_names_the_way_out_and_the_way_leads_out(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    writer.metrics(500, 100)
    stage.ship()
    path = checkpoint.path(stage.home, writer.run, "archive")
    path.write_bytes(b"{")
    stage.restart()
    follower = next(one for one in stage.followers if isinstance(one, GCSLogger))
    with pytest.raises(Exception, match="is damaged") as caught:
        follower.step()
    assert "delete it" in caught.value.hint  # type: ignore[attr-defined]

    path.unlink()
    writer.metrics(10)
    writer.close()
    stage.ship()

    stage.assert_whole(writer)


def test_an_object_whose_metadata_is_gone_does_not_keep_the_others_from_being_found(stage: Stage) -> None:
    writer = PlainWriter(stage.home, stage.clock)
    writer.metrics(900, 100)
    stage.ship()
    first, *others = objects.index(stage.archive)[writer.run]["metrics"]
    assert others
    body = stage.archive.read(first.bucket, first.name)
    stage.archive.delete(first.bucket, first.name)
    stage.archive.create(first.bucket, first.name, body, metadata={}, content_type="application/gzip")
    lose_all(stage, writer)

    stage.restart()
    stage.ship()

    assert stage.state(writer).streams["metrics"].cursor.next == 900
    writer.die()
