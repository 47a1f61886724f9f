"""Ten bots, one simulated week on the emulators: what `tron costs` says beside what the emulators were asked for.

The relays count from the wire. `FLEET_RECORDS=1000000` runs the whole week with a look every quarter of an hour.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import TradeLogData, TradingLogger
from runner.logging.firestore_logger import FirestoreLogger, LivePolicy
from runner.logging.follower import Follower, Journals, Patience
from runner.logging.gcs_logger import GCSLogger
from runner.logging.housekeeping import House
from runner.logging.log_types import DecisionData, HeartbeatData, OrderData, PositionData
from runner.logging.pubsub_logger import PubSubLogger
from runner.logging.retention import BUCKETS
from runner.logging.usage import UsageLedger
from runner.settings import Settings
from runner.stores.firestore import FirestoreLiveStore
from runner.stores.gcs import GcsArchive
from runner.stores.pubsub import PubsubStream
from runner.wiring import archive_policy, compliance_policy, heartbeat_seconds, live_seconds
from tests.emulators.emulator import Emulator
from tests.operations.counting import CountingGrpcRelay, CountingHttpRelay, firestore_operations, pubsub_operations

ROOT = Path(__file__).parents[2]
WEEK = timedelta(days=7)
MONDAY = datetime(2025, 3, 3, tzinfo=UTC)
BOTS = 10
FULL = 1_000_000
RECORDS = int(os.environ.get("FLEET_RECORDS", "20000"))
STEPS = 7 * 96 if RECORDS >= FULL else 14
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
WITHIN = 0.01


class Fleet:
    """Ten bots, and the shipper's followers as the settings make them, driven by hand on a clock of their own."""

    def __init__(self, settings: Settings, project: str) -> None:
        self.clock = ManualClock(MONDAY)
        self._chance = random.Random(7)
        self._closing = ExitStack()
        stop = threading.Event()
        self._live = FirestoreLiveStore(project, clock=self.clock)
        archive, copies, stream = GcsArchive(project), GcsArchive(project), PubsubStream(project)
        journals = Journals(Home(settings.home).create(), self.clock, archive)
        policy = LivePolicy(settings.shipping.live_documents, live_seconds(settings), heartbeat_seconds(settings))

        def patience(name: str) -> Patience:
            return Patience(name, stop, lambda trouble: None)

        showing = FirestoreLogger(journals, self._live, policy, patience("live"))
        archiving = GCSLogger(journals, archive, archive_policy(settings), patience("archive"))
        copying = GCSLogger(journals, copies, compliance_policy(settings), patience("compliance"))
        published = settings.shipping.published
        publishing = PubSubLogger(journals, stream, patience("stream"), published)
        self._followers: list[Follower] = [showing, archiving, copying, publishing]
        counts = {
            "live": self._live.operations,
            "archive": archive.operations,
            "compliance": copies.operations,
            "stream": stream.operations,
            "coalescing": showing.counts,
        }
        self.ledger = UsageLedger(settings, self.clock, counts, archiving)
        self._house = House(Home(settings.home), self._followers, settings, self.clock)
        names = [f"bot-{number}" for number in range(BOTS)]
        self._bots = [TradingLogger(bot=name, settings=settings, wall_clock=self.clock) for name in names]

    def run(self) -> int:
        """The week; returns how many records the bots wrote."""
        for step in range(STEPS):
            for bot in self._bots:
                for _ in range(RECORDS // STEPS // BOTS):
                    self._log(bot)
                bot.flush()
            self.clock.advance(WEEK.total_seconds() / STEPS)
            self._step(drain=False)
            self.ledger.run()
            if step % (STEPS // 7) == 0:
                self._live.delete_expired(now=self.clock.now(), limit=10_000)
                self._house.sweep()
        written = sum(bot.records for bot in self._bots)
        for bot in self._bots:
            bot.close()
        self._step(drain=True)
        self.clock.advance(WEEK.total_seconds() + 1)
        while self._live.delete_expired(now=self.clock.now()):
            pass
        self.ledger.run()
        self.ledger.close()
        self._step(drain=True)
        return written

    def close(self) -> None:
        for follower in self._followers:
            follower.close()

    def _step(self, *, drain: bool) -> None:
        for follower in self._followers:
            while follower.step(drain=drain):
                pass

    def _log(self, bot: TradingLogger) -> None:
        """A record of the mix that real bars make (see `runner.logging.costs.fleet`)."""
        dice, symbol = self._chance.random(), self._chance.choice(SYMBOLS)
        price = self._chance.randrange(1_000, 90_000) / 100
        number = self._chance.randrange(1 << 40)
        if dice < 0.43:
            outcome = "taken" if dice < 0.005 else "skipped"
            bot.log_cognitive_decision(
                DecisionData(
                    decision_id=f"d{number}",
                    symbol=symbol,
                    strategy="breakout",
                    action="BUY",
                    outcome=outcome,
                    reason=f"close {price} above the high of {number % 20} bars",
                )
            )
        elif dice < 0.72:
            bot.log_performance_metric(self._chance.choice(("equity", "exposure", "drawdown")), price)
        elif dice < 0.86:
            bot.log_order(OrderData(order_id=f"o{number}", symbol=symbol, side="BUY", quantity=5, status="filled"))
        elif dice < 0.93:
            bot.log_position(
                PositionData(
                    symbol=symbol, quantity=5, entry_price=price, market_price=price, unrealized_pnl=0, realized_pnl=0
                )
            )
        elif dice < 0.95:
            bot.log_heartbeat(HeartbeatData(status="running", equity=price))
        else:
            self._trade(bot, symbol, price, number)

    def _trade(self, bot: TradingLogger, symbol: str, price: float, number: int) -> None:
        values = {
            "trade_id": f"t{number}",
            "symbol": symbol,
            "strategy": "breakout",
            "bot_type": bot.bot_type,
            "direction": "long",
            "quantity": 5,
            "entry_price": price,
        }
        bot.log_trade_entry(TradeLogData(**values, status="open"))
        if number % 2:
            bot.log_trade_exit(TradeLogData(**values, status="closed", exit_price=price + 1, net_profit_loss=5))


@pytest.fixture
def relays(
    firestore_emulator: Emulator, gcs_emulator: Emulator, pubsub_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[CountingGrpcRelay, CountingHttpRelay, CountingGrpcRelay]]:
    """Counting relays before the three emulators, where the stores of this process find them."""
    with (
        CountingGrpcRelay(firestore_emulator.host, firestore_operations) as live,
        CountingHttpRelay(gcs_emulator.host) as archive,
        CountingGrpcRelay(pubsub_emulator.host, pubsub_operations) as stream,
    ):
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", live.host)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", archive.url)
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", stream.host)
        yield live, archive, stream


@pytest.mark.slow
@pytest.mark.timeout(3600 if RECORDS >= FULL else 300)
def test_the_ledger_agrees_with_an_independent_count_of_what_the_emulators_received(
    relays: tuple[CountingGrpcRelay, CountingHttpRelay, CountingGrpcRelay], tmp_path: Path, demo_project: str
) -> None:
    live, archive, stream = relays
    GcsArchive(demo_project).ensure(BUCKETS)
    PubsubStream(demo_project).ensure()
    archive.counts.clear()
    stores = {
        "live": f"firestore://{demo_project}/(default)",
        "archive": f"gs://{demo_project}",
        "stream": f"pubsub://{demo_project}",
    }
    settings = Settings(home=tmp_path / "fleet", stores=stores, shipping={"shipper": "none"})
    fleet = Fleet(settings, demo_project)
    began = time.monotonic()
    try:
        written = fleet.run()
    finally:
        fleet.close()
    seconds = time.monotonic() - began
    received = {
        "live writes": live.counts["writes"],
        "live reads": live.counts["reads"],
        "live deletes": live.counts["deletes"],
        "archive class_a": archive.counts["class_a"],
        "stream requests": stream.counts["requests"],
        "stream messages": stream.counts["messages"],
        "stream bytes": stream.counts["bytes_billed"],
    }

    report = costs(settings, stores, demo_project)

    said = metered(report)
    print(f"\n{written:,} records in {seconds:.0f} s")
    for name, count in received.items():
        print(f"{name:16} received {count:>12,}  tron costs {said[name]:>12,}")
        assert abs(said[name] - count) <= WITHIN * count, f"{name}: the emulators received {count}, not {said[name]}"
    assert min(received.values()) > 0
    assert {line["label"] for line in report["lines"] if line["service"] in ("live", "archive", "stream")} == {
        "metered"
    }


def costs(settings: Settings, stores: dict[str, str], project: str) -> dict[str, object]:
    """What `tron costs --json` says of the month."""
    urls = {"TRON_LIVE_STORE": stores["live"], "TRON_ARCHIVE": stores["archive"], "TRON_STREAM": stores["stream"]}
    own = {"TRON_HOME": str(settings.home), "PYTHONPATH": str(ROOT), "GOOGLE_CLOUD_PROJECT": project}
    done = subprocess.run(
        [sys.executable, "-m", "runner.cli", "costs", "--json", "--month", f"{MONDAY:%Y-%m}"],
        env={**os.environ, **urls, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def metered(report: dict[str, object]) -> Counter[str]:
    """What the report says of the same things."""
    said: Counter[str] = Counter()
    for line in report["lines"]:
        store = "archive" if line["service"] == "compliance" else line["service"]
        operation = "reads" if line["operation"] == "own_reads" else line["operation"]
        said[f"{store} {operation}"] += line["count"]
        if (store, operation) == ("stream", "requests"):
            said["stream bytes"] += line["bytes"]
    return said
