"""A run whose `run.json` is damaged is named and set right; it keeps nobody from the other runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.clock import ManualClock, SystemClock
from runner.layout import Home
from runner.logging import TradingLogger, backlog
from runner.logging.audit import Auditor
from runner.logging.housekeeping import House
from runner.logging.journal import runs
from runner.logging.reader import Tail
from runner.logging.run_info import unreadable_runs
from runner.logging.topics import TopicLogs
from runner.settings import Settings
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from tests.logging.journeys import START, Fleet, PlainWriter, RecordingStream, archived_lines, ship_all

DAMAGED = (b"", b"{", b'{"format":1}', b"\x00" * 300, b"[]")
NEWER = b'"format":99'


class Stage:
    def __init__(self, home: Home) -> None:
        self.home, self.clock, self.archive = home, ManualClock(START), MemoryArchive()
        self.fleet = Fleet(home, self.clock, MemoryLiveStore(clock=self.clock), self.archive, RecordingStream())
        self.followers = self.fleet.build()
        self.house = House(home, self.followers, Settings(home=home.path), self.clock)
        self.good, self.bad = self.write("good"), self.write("bad")

    def write(self, bot: str) -> PlainWriter:
        writer = PlainWriter(self.home, self.clock, bot)
        for number in range(5):
            writer.trade(number)
        writer.metrics(20)
        writer.seal()
        return writer

    def damage(self, content: bytes) -> Path:
        path = self.bad.folder / "run.json"
        path.write_bytes(path.read_bytes().replace(b'"format":1', NEWER) if content == NEWER else content)
        return path


@pytest.fixture
def stage(home: Home) -> Stage:
    return Stage(home)


@pytest.mark.parametrize("content", [*DAMAGED, NEWER])
def test_the_others_are_read_and_shipped_and_the_damaged_one_is_named_once(stage: Stage, content: bytes) -> None:
    stage.damage(content)

    ship_all(stage.followers)
    ship_all(stage.followers)

    assert [info.run for info in runs(stage.home)] == [stage.good.run]
    assert list(unreadable_runs(stage.home)) == [stage.bad.run]
    assert [name for name in archived_lines(stage.archive)] == [stage.good.run]
    (trouble,) = stage.fleet.troubles
    assert stage.bad.run in str(trouble.error)
    assert trouble.error.hint


def test_readers_go_on_with_the_others(stage: Stage, tmp_path: Path) -> None:
    stage.damage(b"{")
    settings = Settings(home=stage.home.path, shipping={"shipper": "none"})  # type: ignore[arg-type]

    tail = Tail(stage.home, from_start=True)
    assert tail.next(0)
    tail.close()
    assert backlog.newest(stage.home, 5)
    with TopicLogs(stage.home, tmp_path / "logs", SystemClock()) as view:
        assert view.update() == 31
    with TradingLogger(settings=settings) as logger:
        assert logger.get_metrics()["recovered"] == 0


@pytest.mark.parametrize("content", [b"{", NEWER])
def test_verify_reports_it_by_name(stage: Stage, content: bytes) -> None:
    stage.damage(content)

    report = Auditor(stage.archive, stage.home, clock=stage.clock).verify()

    assert [(one.what, one.run) for one in report.findings] == [("damaged run", stage.bad.run)]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_dead_run_is_mended_shipped_and_proven(stage: Stage, content: bytes) -> None:
    stage.damage(content)
    stage.bad.die()

    stage.house.adopt()
    ship_all(stage.followers)

    stage.good.close()
    ship_all(stage.followers)
    report = Auditor(stage.archive, stage.home, clock=stage.clock).verify()
    assert (report.findings, report.unsealed, report.in_journal) == ([], [], 0)
    assert archived_lines(stage.archive)[stage.bad.run]["trades"] == b"".join(stage.bad.lines["trades"])
    (aside,) = stage.home.rejected.glob(f"{stage.bad.run}-run-*.ndjson")
    assert aside.read_bytes() == content
    (info,) = [info for info in runs(stage.home) if info.run == stage.bad.run]
    assert (info.bot, info.closed) == ("bad", "recovery")


def test_a_run_of_a_newer_version_is_left_alone(stage: Stage) -> None:
    path = stage.damage(NEWER)
    before = path.read_bytes()
    stage.bad.die()

    stage.house.adopt()

    assert path.read_bytes() == before


def test_a_run_that_is_written_is_left_to_its_writer(stage: Stage) -> None:
    path = stage.damage(b"{")

    stage.house.adopt()

    assert path.read_bytes() == b"{"
    stage.bad.close()
    assert unreadable_runs(stage.home) == {}


def test_metrics_read_what_a_closed_run_says_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=home.path, shipping={"shipper": "none"})  # type: ignore[arg-type]
    clock = ManualClock(START)
    for _ in range(5):
        writer = PlainWriter(home, clock, "bot")
        writer.metrics(7)
        writer.die()
    House(home, [], settings, clock).adopt()
    reads: list[Path] = []
    from runner.logging import run as run_module

    read = run_module.read_info
    monkeypatch.setattr(run_module, "read_info", lambda folder: reads.append(folder) or read(folder))  # type: ignore[func-returns-value]
    with TradingLogger(bot="bot", settings=settings) as logger:
        found = [logger.get_metrics()["recovered"] for _ in range(3)]

    assert found == [5 * 8] * 3
    assert len([folder for folder in reads if folder.name != logger.run]) == 5
