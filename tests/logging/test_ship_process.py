"""The shipper as a whole: one per home, alerts, draining in time, and what it says when it cannot finish."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from runner.clock import ManualClock, SystemClock
from runner.layout import Home
from runner.logging import lines
from runner.logging.disk import FileLock
from runner.logging.follower import Follower, News
from runner.logging.leftovers import CRITICAL, cloud_entry
from runner.logging.log_types import Kind
from runner.logging.shipper import Reports, Shipper
from runner.logging.usage import UsageLedger
from runner.settings import Settings, Shipping
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from runner.testing.faults import Faults, Outage, in_turn
from runner.testing.faulty import FaultyArchive, FaultyLiveStore
from tests.logging.journeys import START, Fleet, PlainWriter, RecordingStream, archived_lines, documents_of, folded


@dataclass
class Crew:
    """A shipper over memory stores with faults, and all that it reported."""

    home: Home
    live_faults: Faults = field(default_factory=in_turn)
    archive_faults: Faults = field(default_factory=in_turn)
    drain_seconds: float = 5
    news: list[News] = field(default_factory=list)
    left: list[bytes] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        shipping = Shipping(shipper="none", drain_seconds=self.drain_seconds, linger_seconds=0.2)
        self.settings = Settings(home=self.home.path, shipping=shipping)
        self.clock = ManualClock(START)
        self.live = MemoryLiveStore(clock=self.clock)
        self.archive = MemoryArchive()
        self.stop = threading.Event()
        live = FaultyLiveStore(self.live, self.live_faults)
        archive = FaultyArchive(self.archive, self.archive_faults)
        fleet = Fleet(self.home, self.clock, live, archive, RecordingStream(), stop=self.stop, longest_wait=0.02)
        self.followers: list[Follower] = fleet.build()
        self.ledger = UsageLedger(self.settings, SystemClock(), {"archive": archive.operations}, self.followers[1])
        reports = Reports(lambda: self.waiting.append(1), news=self.news.append, left=self.left.append)
        self.shipper = Shipper(
            self.home,
            self.followers,
            self.settings,
            SystemClock(),
            stop=self.stop,
            ledger=self.ledger,
            reports=reports,
        )

    def records(self, kind: str) -> list[dict[str, Any]]:
        found = archived_lines(self.archive).values()
        decoded = [record for streams in found for raw in streams.values() for record in lines.decode_all(raw)]
        return [record for record in decoded if record["kind"] == kind]


def until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def write_some(crew: Crew, count: int = 5) -> PlainWriter:
    writer = PlainWriter(crew.home, crew.clock)
    for number in range(count):
        writer.trade(number)
        writer.write(Kind.HEARTBEAT, {"status": "running"})
    return writer


def test_what_a_dead_writer_left_is_adopted_and_shipped(home: Home) -> None:
    crew = Crew(home)
    writer = write_some(crew)
    writer.die()

    assert crew.shipper.run(follow=False)

    assert archived_lines(crew.archive)[writer.run]["trades"] == b"".join(writer.lines["trades"])
    assert folded([writer]).items() <= documents_of(crew.live).items()


def test_following_it_goes_when_nobody_writes_and_everything_is_shipped(home: Home) -> None:
    crew = Crew(home)
    writer = write_some(crew)
    ending = threading.Timer(0.3, writer.close)
    ending.start()

    assert crew.shipper.run(follow=True)

    ending.join()
    assert archived_lines(crew.archive)[writer.run]["trades"] == b"".join(writer.lines["trades"])


def test_a_store_that_is_down_does_not_keep_the_archive_waiting(home: Home) -> None:
    crew = Crew(home, live_faults=Outage())
    writer = write_some(crew)
    writer.close()
    shipping = threading.Thread(target=lambda: crew.shipper.run(follow=False), daemon=True)
    shipping.start()

    until(lambda: archived_lines(crew.archive).get(writer.run, {}).get("seals"))

    crew.live_faults.down = False  # type: ignore[attr-defined]  # it is an outage
    shipping.join()


def test_an_outage_is_one_warning_and_one_recovery_in_the_shippers_own_run(home: Home) -> None:
    outage = Outage()
    crew = Crew(home, live_faults=outage)
    writer = write_some(crew, 20)
    shipping = threading.Thread(target=lambda: crew.shipper.run(follow=True), daemon=True)
    shipping.start()
    until(lambda: [news.what for news in crew.news] == ["began"])
    time.sleep(0.5)
    outage.down = False
    until(lambda: [news.what for news in crew.news] == ["began", "over"])
    writer.close()
    shipping.join()

    (warning,) = crew.records("warning")
    (event,) = [one for one in crew.records("system_event") if one["bot_type"] == "shipper"]
    assert warning["bot_type"] == "shipper"
    assert warning["data"]["context"]["follower"] == "live"
    assert event["data"]["message"] == "live: recovered"
    assert folded([writer]).items() <= documents_of(crew.live).items()


def test_draining_ends_in_time_and_reports_each_critical_record_that_is_left(home: Home) -> None:
    crew = Crew(home, archive_faults=Outage(), drain_seconds=1)
    writer = write_some(crew)
    writer.write(Kind.ORDER, {"order_id": "o"})
    started = time.monotonic()
    asking = threading.Timer(0.3, crew.shipper.drain)
    asking.start()

    complete = crew.shipper.run(follow=True)

    asking.join()
    assert not complete
    assert time.monotonic() - started < 8
    assert crew.left == [*writer.lines["trades"], *writer.lines["orders"]]
    writer.close()


def test_a_left_record_is_an_entry_that_cloud_logging_reads_and_recovery_can_use(home: Home) -> None:
    writer = PlainWriter(home, ManualClock(START))
    writer.trade(1)
    line = writer.lines["trades"][0]

    entry = json.loads(cloud_entry(line))

    assert (entry["severity"], entry["message"]) == ("INFO", "unshipped trade_entry of breakout")
    assert entry["logging.googleapis.com/labels"]["record"] == f"{writer.run}:trades:000000000000"
    assert entry["record"].encode() == line
    assert "\n" not in cloud_entry(line)
    assert {"trade_entry", "trade_exit", "order", "fill", "risk_event", "audit"} == CRITICAL
    writer.close()


def test_a_second_shipper_waits_says_so_once_and_touches_nothing(home: Home) -> None:
    crew = Crew(home)
    writer = write_some(crew)
    writer.close()
    first = FileLock(home.shipper_lock)
    assert first.acquire()
    shipping = threading.Thread(target=lambda: crew.shipper.run(follow=False))
    shipping.start()
    until(lambda: crew.waiting)
    time.sleep(0.5)
    assert archived_lines(crew.archive) == {}

    first.release()
    shipping.join()

    assert len(crew.waiting) == 1
    assert archived_lines(crew.archive)[writer.run]["trades"] == b"".join(writer.lines["trades"])


def test_a_second_shipper_that_shall_not_wait_leaves_at_once(home: Home) -> None:
    crew = Crew(home)
    first = FileLock(home.shipper_lock)
    assert first.acquire()

    assert crew.shipper.run(follow=True, wait=False)

    assert crew.waiting == []
    first.release()


def test_a_bug_in_a_follower_ends_the_shipper_with_its_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(home)
    writer = write_some(crew)

    def broken(*, drain: bool = False) -> bool:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(crew.followers[3], "step", broken)

    with pytest.raises(ZeroDivisionError):
        crew.shipper.run(follow=True)
    writer.close()
