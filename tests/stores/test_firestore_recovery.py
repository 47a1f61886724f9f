"""An old journal that is found late, while its bot already runs anew: live state in Firestore never goes back."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.errors import StoreUnavailable
from runner.logging.run_info import run_folder, runs
from runner.operations.restore import restore_live
from runner.settings import Settings
from runner.stores.base import Document
from runner.stores.firestore import FirestoreLiveStore
from runner.stores.memory import MemoryLiveStore
from runner.stores.open import open_archive
from tests.cli.terminal import Tron, until
from tests.logging.journeys import documents_of

BOT = """
import sys, time
from runner.logging import create_trading_logger
from runner.logging.log_types import HeartbeatData, PositionData

bot, first, own = sys.argv[1], int(sys.argv[2]), sys.argv[3]
logger = create_trading_logger("s", "stock-trader", bot=bot)
for number in range(first, first + 1_000_000):
    for symbol in ("IBM", own):
        position = {"symbol": symbol, "quantity": number, "market_price": 1, "realized_pnl": 0}
        logger.log_position(PositionData(entry_price=1, unrealized_pnl=0, **position))
    logger.log_performance_metric("equity", number)
    logger.log_heartbeat(HeartbeatData(status="running", bars=number))
    time.sleep(0.005)
"""
SETTINGS = "live_seconds = 0.1\nheartbeat_seconds = 0.1\narchive_seconds = 0.5\narchive_prompt_seconds = 0.5\n"
OLD, NEW = 0, 5_000_000
COLLECTIONS = ("live_positions", "dashboard_metrics", "live_system_status")


class Bots:
    """Bots of one home that go on until they are killed, and the shipper that they started."""

    def __init__(self, tron: Tron) -> None:
        self.tron = tron
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, bot: str, first: int, own: str) -> None:
        """`first` is the first quantity of its positions, of IBM and of a symbol of its `own`."""
        command = [sys.executable, "-c", BOT, bot, str(first), own]
        self._running[bot] = subprocess.Popen(command, cwd=self.tron.folder, env=self.tron.environ())

    def run_of(self, bot: str) -> str:
        """The run that a bot writes, once it has written something."""
        until(lambda: any(info.bot == bot and not info.closed for info in runs(self.tron.home)))
        (run,) = (info.run for info in runs(self.tron.home) if info.bot == bot and not info.closed)
        until(lambda: any(run_folder(self.tron.home, run).glob("positions/*.ndjson")))
        return run

    def kill(self, *bots: str) -> None:
        for bot in bots:
            process = self._running.pop(bot)
            process.send_signal(signal.SIGKILL)
            process.wait()

    def kill_all(self) -> None:
        self.kill(*self._running)
        self.tron.kill_shippers()


class Observing:
    """Looks at every document of some collections all the time, and notes each that went back."""

    def __init__(self, store: FirestoreLiveStore) -> None:
        self.newest: dict[tuple[str, str], Document] = {}
        self.went_back: list[tuple[Document, Document]] = []
        self._watch = store.watch(COLLECTIONS)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self._watch.close()

    def quantity(self, bot: str, symbol: str) -> int:
        found = self.newest.get(("live_positions", f"{bot}:{symbol}"))
        return int(found.fields["quantity"]) if found else -1

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                for one in self._watch.next(0.1):
                    self._take(one)
            except StoreUnavailable:
                continue

    def _take(self, one: Document) -> None:
        before = self.newest.get((one.collection, one.key))
        if before is not None and (one.epoch, one.seq) < (before.epoch, before.seq):
            self.went_back.append((before, one))
        self.newest[one.collection, one.key] = one


@pytest.fixture
def store(firestore_emulator: object, demo_project: str) -> Iterator[FirestoreLiveStore]:
    store = FirestoreLiveStore(demo_project)
    yield store
    store.close()


@pytest.fixture
def observing(store: FirestoreLiveStore) -> Iterator[Observing]:
    observing = Observing(store)
    yield observing
    observing.close()


@pytest.fixture
def bots(tmp_path: Path, demo_project: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bots]:
    monkeypatch.setenv("TRON_LIVE_STORE", f"firestore://{demo_project}")
    tron = Tron(tmp_path)
    tron.write_settings(SETTINGS)
    bots = Bots(tron)
    yield bots
    bots.kill_all()


@pytest.mark.slow
def test_an_old_journal_that_is_adopted_late_never_overwrites_what_its_bot_wrote_since(
    bots: Bots, store: FirestoreLiveStore, observing: Observing, tmp_path: Path
) -> None:
    home = bots.tron.home
    bots.start("breakout", OLD, "OLD")
    bots.start("vwap", OLD, "TWO")
    old = bots.run_of("breakout")
    until(lambda: observing.quantity("vwap", "TWO") > 0)
    bots.tron.kill_shippers()
    time.sleep(0.5)
    bots.kill("breakout")
    hidden = tmp_path / "hidden"
    run_folder(home, old).rename(hidden)

    bots.start("breakout", NEW, "NEW")
    until(lambda: observing.quantity("breakout", "NEW") > NEW)
    hidden.rename(run_folder(home, old))
    until(lambda: any(info.run == old and info.closed == "recovery" for info in runs(home)))
    seen = observing.quantity("breakout", "IBM")
    until(lambda: observing.quantity("breakout", "IBM") > seen + 100)
    bots.kill("breakout", "vwap")
    assert "everything is shipped" in bots.tron.succeeds("ship")

    assert observing.went_back == []
    for bot, symbol, least in (("breakout", "IBM", NEW), ("breakout", "NEW", NEW), ("breakout", "OLD", OLD)):
        found = store.get("live_positions", f"{bot}:{symbol}")
        assert found is not None
        assert int(found.fields["quantity"]) > least
    settings = Settings.load(bots.tron.environ(), tmp_path)
    restore_live(open_archive(settings), expected := MemoryLiveStore())
    assert documents_of(store) == documents_of(expected)
    assert bots.tron.succeeds("verify").startswith("verify: complete")
