"""Any interleaving of crashes, outages, retries, adoptions and sweeps: everything arrives, once in effect."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import checkpoint, lines
from runner.logging.audit import Auditor
from runner.logging.follower import Follower
from runner.logging.housekeeping import House
from runner.logging.log_types import Kind
from runner.settings import Settings
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from runner.testing.faults import Fault
from runner.testing.faulty import FaultyArchive, FaultyLiveStore, FaultyStream
from tests.logging.journeys import (
    START,
    Fleet,
    PlainWriter,
    RecordingStream,
    archived_lines,
    documents_of,
    folded,
    ship_all,
)

BOTS = ("breakout", "vwap")


class Crash(BaseException):
    """The shipper dies here."""


class Plan:
    """Which of the next operations (of stores and checkpoints) fail, and how."""

    def __init__(self) -> None:
        self.faults: list[Fault | None] = []

    def __call__(self, operation: str) -> Fault | None:
        return self.faults.pop(0) if self.faults else None

    def around(self, action: Callable[..., Any]) -> Callable[..., Any]:
        def saved(*arguments: Any) -> Any:
            fault = self("save")
            if fault is not None and isinstance(fault.error, Crash) and not fault.after:
                raise fault.error
            answer = action(*arguments)
            if fault is not None and isinstance(fault.error, Crash):
                raise fault.error
            return answer

        return saved


FAULTS = st.lists(
    st.one_of(
        st.none(),
        st.builds(lambda after: Fault(after=after), st.booleans()),
        st.builds(lambda after: Fault(Crash(), after), st.booleans()),
    ),
    max_size=6,
)


class Shipping(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.home = Home(self.folder).create()
        self.clock = ManualClock(START)
        self.plan = Plan()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(checkpoint, "save", self.plan.around(checkpoint.save))
        self.live = MemoryLiveStore(clock=self.clock)
        self.archive = MemoryArchive()
        self.stream = RecordingStream()
        self.fleet = Fleet(
            self.home,
            self.clock,
            FaultyLiveStore(self.live, self.plan),
            FaultyArchive(self.archive, self.plan),
            FaultyStream(self.stream, self.plan),
        )
        self.settings = Settings(home=self.folder)
        self.writers: list[PlainWriter] = []
        self.writing: dict[str, PlainWriter] = {}
        self.restart()

    def restart(self) -> None:
        self.followers: list[Follower] = self.fleet.build()
        self.house = House(self.home, self.followers, self.settings, self.clock)

    @rule(bot=st.sampled_from(BOTS))
    def open(self, bot: str) -> None:
        if bot in self.writing:
            self.writing.pop(bot).die()
        writer = PlainWriter(self.home, self.clock, bot, epoch=len(self.writers) + 1)
        self.writers.append(writer)
        self.writing[bot] = writer

    @precondition(lambda self: self.writing)
    @rule(data=st.data(), count=st.integers(1, 5))
    def write(self, data: st.DataObject, count: int) -> None:
        writer = self.writing[data.draw(st.sampled_from(sorted(self.writing)))]
        for number in range(count):
            writer.trade(number + len(writer.lines.get("trades", [])))
            writer.write(Kind.HEARTBEAT, {"status": "running", "number": number})
            writer.write(Kind.WARNING, {"message": "slow"})
            writer.write(Kind.ORDER, {"order_id": f"o{number}"})
        writer.seal()
        for stream in data.draw(st.lists(st.sampled_from(["trades", "system", "errors"]), max_size=2)):
            writer.rotate(stream)

    @precondition(lambda self: self.writing)
    @rule(data=st.data())
    def write_much(self, data: st.DataObject) -> None:
        writer = self.writing[data.draw(st.sampled_from(sorted(self.writing)))]
        for _ in range(4):
            writer.metrics(600)
            writer.rotate("metrics")

    @precondition(lambda self: self.writing)
    @rule(data=st.data(), killed=st.booleans())
    def end(self, data: st.DataObject, killed: bool) -> None:
        writer = self.writing.pop(data.draw(st.sampled_from(sorted(self.writing))))
        writer.die() if killed else writer.close()

    @rule(which=st.integers(0, 3), drain=st.booleans(), faults=FAULTS)
    def step(self, which: int, drain: bool, faults: list[Fault | None]) -> None:
        self.plan.faults = list(faults)
        try:
            self.followers[which].step(drain=drain)
        except Crash:
            self.restart()
        finally:
            self.plan.faults = []

    @rule()
    def archive_and_sweep(self) -> None:
        """The live store and the stream fall behind, and the journal does not wait for them."""
        self.house.adopt()
        ship_all(follower for follower in self.followers if follower.pins)
        self.clock.advance(4000)
        self.house.sweep()

    @rule()
    def crash(self) -> None:
        self.restart()

    @rule(faults=FAULTS)
    def tend(self, faults: list[Fault | None]) -> None:
        self.plan.faults = [fault for fault in faults if fault is None or isinstance(fault.error, Crash)]
        try:
            self.house.adopt()
            self.house.sweep()
        except Crash:
            self.restart()
        finally:
            self.plan.faults = []

    @rule(seconds=st.sampled_from([1, 400, 4000, 200_000, -90_000]))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def teardown(self) -> None:
        try:
            self.arrive()
        finally:
            self.patch.undo()
            shutil.rmtree(self.folder)

    def arrive(self) -> None:
        for writer in self.writing.values():
            writer.die()
        self.house.adopt()
        ship_all(self.followers)
        self.house.sweep()
        assert self.house.is_shipped()
        assert Auditor(self.archive, clock=self.clock).verify().findings == []
        archived, copied = archived_lines(self.archive), archived_lines(self.archive, compliance=True)
        for writer in self.writers:
            for stream, written in writer.lines.items():
                if stream != "seals":
                    assert archived[writer.run][stream] == b"".join(written)
                if stream in ("trades", "orders"):
                    assert copied[writer.run][stream] == b"".join(written)
        assert documents_of(self.live) == folded(self.writers)
        published = {lines.decode(message.body)["id"] for message in self.stream.messages}
        written = {lines.decode(line)["id"] for one in self.writers for found in one.lines.values() for line in found}
        assert written <= published


Shipping.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_everything_arrives_once_whatever_fails_and_whoever_dies = Shipping.TestCase
