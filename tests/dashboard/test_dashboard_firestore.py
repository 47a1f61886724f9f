"""The page over Firestore's listeners, in a real Chromium: what bots write arrives, whatever happens to a listener."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runner.clock import SystemClock
from runner.dashboard.app import create_app
from runner.dashboard.serve import DashboardServer
from runner.stores.firestore import FirestoreLiveStore
from tests.dashboard.stage import START, Player, Stage
from tests.dashboard.test_dashboard_browser import Visit
from tests.emulators.emulator import Emulator
from tests.emulators.fixtures import StartEmulator
from tests.emulators.grpc_relay import GrpcRelay
from tests.emulators.relay import Relay

pytestmark = pytest.mark.browser
LISTEN = "Firestore/Listen"
CANARY_SECONDS = 2.0
FEWEST = """
window.fewest = Infinity;
new MutationObserver(() => {
  window.fewest = Math.min(window.fewest, document.querySelectorAll("#positions tbody tr").length);
}).observe(document.querySelector("#panels"), {childList: true, subtree: true, attributes: true, characterData: true});
"""
"""Notes the fewest open positions that the page ever showed from now on."""


class Listeners:
    """Dashboards that listen to the database in which the stage's bots write, each over a way of its own."""

    def __init__(self, stage: Stage, project: str, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
        self._stage = stage
        self._project = project
        self._monkeypatch = monkeypatch
        self._opened: list[FirestoreLiveStore] = []
        self._servers: list[DashboardServer] = []
        stage.live = self.store(host)  # type: ignore[assignment]  # any live store will do

    def store(self, host: str) -> FirestoreLiveStore:
        with self._monkeypatch.context() as patch:
            patch.setenv("FIRESTORE_EMULATOR_HOST", host)
            self._opened.append(FirestoreLiveStore(self._project, timeout=5, patience=CANARY_SECONDS))
        return self._opened[-1]

    def serve(self, host: str) -> str:
        """A dashboard with no journal of its own, as one that runs elsewhere than the bots; its URL."""
        silent = Stage(self._stage.clock).tail
        app = create_app(self.store(host), lambda: silent, clock=self._stage.clock, beat_seconds=0.5)
        self._servers.append(DashboardServer(app, port=0))
        self._servers[-1].start()
        return self._servers[-1].url

    def close(self) -> None:
        for server in self._servers:
            server.stop()
        for store in self._opened:
            store.close()


@pytest.fixture
def stage() -> Stage:
    return Stage(SystemClock())


@pytest.fixture
def open_listeners(
    stage: Stage, demo_project: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Listeners]]:
    opened: list[Listeners] = []

    def open_one(host: str) -> Listeners:
        opened.append(Listeners(stage, demo_project, monkeypatch, host))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def here(chromium: Any) -> Iterator[Visit]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    visit = Visit(context.new_page())
    visit.page.set_default_timeout(30_000)
    yield visit
    context.close()


def open_positions(stage: Stage) -> Player:
    """A bot that holds two positions and has a trade open."""
    player = stage.player("vwap")
    player.hold("IBM", 100, 130, 131.5, START)
    player.hold("MSFT", 10, 300, 310, START)
    player.enter("t-1", "IBM", 130, START, "close crossed above VWAP")
    player.beat(bars=10, trades=1, open_positions=2)
    return player


def test_what_a_bot_writes_changes_the_page(
    stage: Stage, firestore_emulator: Emulator, open_listeners: Callable[[str], Listeners], here: Visit
) -> None:
    listeners = open_listeners(firestore_emulator.host)
    player = open_positions(stage)
    here.open(listeners.serve(firestore_emulator.host))
    here.wait_for("#total", "100,000.00")
    here.wait_for("#positions tbody", "IBM")
    here.wait_for("#positions .gain", "+150.00")
    here.wait_for("#trades tbody", "close crossed above VWAP")
    player.hold("IBM", 100, 130, 133.0, START)
    here.wait_for("#positions .gain", "+300.00")
    player.leave("t-1", "IBM", (130, 140), START, ("close crossed above VWAP", "target 140 reached"))
    here.wait_for("#trades tbody", "target 140 reached")
    player.hold("IBM", 0, 130, 133.0, START)
    here.page.locator("#positions tbody", has_text="IBM").wait_for(state="detached")
    here.wait_for("#positions tbody", "MSFT")
    assert here.complaints == []


def test_a_listener_that_falls_silent_is_replaced_when_no_bot_is_heard(
    stage: Stage, firestore_emulator: Emulator, open_listeners: Callable[[str], Listeners], here: Visit
) -> None:
    with GrpcRelay(firestore_emulator.host) as relay:
        listeners = open_listeners(firestore_emulator.host)
        player = open_positions(stage)
        here.open(listeners.serve(relay.host))
        here.wait_for("#positions tbody", "MSFT")
        here.page.evaluate(FEWEST)
        relay.hush(LISTEN)
        player.hold("AAPL", 5, 200, 210, START)
        player.beat(bars=11, trades=1, open_positions=3)
        here.wait_for("#positions tbody", "AAPL")
        player.hold("GOOG", 5, 200, 210, START)
        here.wait_for("#positions tbody", "GOOG")
        assert here.page.evaluate("window.fewest") >= 2
        assert here.complaints == []
        listeners.close()


def test_a_listener_that_is_cut_off_comes_back_and_the_page_says_so_meanwhile(
    stage: Stage, firestore_emulator: Emulator, open_listeners: Callable[[str], Listeners], here: Visit
) -> None:
    with Relay(firestore_emulator.host) as wire:
        listeners = open_listeners(firestore_emulator.host)
        player = open_positions(stage)
        here.open(listeners.serve(wire.host))
        here.wait_for("#positions tbody", "MSFT")
        here.page.evaluate(FEWEST)
        wire.cut()
        here.wait_for("#troubles", "Firestore")
        assert here.page.locator("#positions tbody tr").count() == 2
        player.hold("AAPL", 5, 200, 210, START)
        wire.heal()
        here.wait_for("#positions tbody", "AAPL")
        here.page.wait_for_selector("#troubles", state="hidden")
        assert here.page.evaluate("window.fewest") >= 2
        assert here.complaints == []
        listeners.close()


@pytest.mark.slow
def test_a_database_that_answers_with_nothing_at_first_is_not_the_end_of_all_positions(
    stage: Stage, own_emulator: StartEmulator, open_listeners: Callable[[str], Listeners], here: Visit
) -> None:
    emulator = own_emulator("firestore")
    listeners = open_listeners(emulator.host)
    player = open_positions(stage)
    here.open(listeners.serve(emulator.host))
    here.wait_for("#positions tbody", "MSFT")
    here.page.evaluate(FEWEST)
    emulator.kill()
    own_emulator("firestore", host=emulator.host)
    stage.live = listeners.store(emulator.host)  # type: ignore[assignment]  # one that knows nothing of before
    player.hold("AAPL", 5, 200, 210, START)
    here.wait_for("#positions tbody", "AAPL")
    assert here.page.locator("#positions tbody tr").count() == 3
    assert here.page.evaluate("window.fewest") >= 2
    assert here.complaints == []
