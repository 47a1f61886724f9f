"""A stage for the dashboard: records as bots write them, told to a tail and folded into a real live store."""

from __future__ import annotations

import math
import queue
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from runner.clock import Clock
from runner.logging import lines
from runner.logging.documents import fold
from runner.logging.log_types import Kind, Severity
from runner.logging.routes import KINDS
from runner.stores.memory import MemoryLiveStore

SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")
START = datetime(2010, 1, 4, tzinfo=UTC)


class QueueTail:
    """A tail of records that a test hands over."""

    def __init__(self) -> None:
        self._lines: queue.Queue[bytes] = queue.Queue()

    def put(self, line: bytes) -> None:
        self._lines.put(line)

    def next(self, timeout: float) -> list[bytes]:
        try:
            found = [self._lines.get(timeout=timeout)]
        except queue.Empty:
            return []
        while not self._lines.empty():
            found.append(self._lines.get_nowait())
        return found

    def close(self) -> None:
        """Nothing to do."""


class Player:
    """One bot on the stage: its run, and how many records it wrote."""

    def __init__(self, stage: Stage, bot: str, began_seconds_ago: int) -> None:
        self.bot = bot
        self.run = lines.new_run(stage.clock.time_ns() - began_seconds_ago * 1_000_000_000)
        self.equity = 100_000.0
        self._stage = stage
        self._seq = 0

    def say(
        self, kind: Kind, data: Mapping[str, Any], *, at: datetime = START, severity: Severity | None = None
    ) -> str:
        """Write one record; returns its id."""
        stream = KINDS[kind].stream
        record = {
            "id": f"{self.run}:{stream}:{self._seq:012d}",
            "seq": self._seq,
            "ts": lines.timestamp(self._stage.clock.now()),
            "at": lines.timestamp(at),
            "kind": kind,
            "severity": severity or KINDS[kind].severity,
            "bot": self.bot,
            "bot_type": "stock-trader",
            "environment": "local",
            "run": self.run,
            "data": dict(data),
        }
        self._seq += 1
        self._stage.take(record)
        return str(record["id"])

    def mark(self, equity: float, at: datetime) -> None:
        self.equity = equity
        self.say(Kind.METRIC, {"name": "equity", "value": f"{equity:.2f}", "unit": "USD"}, at=at)

    def beat(self, status: str = "running", **more: Any) -> None:
        beat = {
            "status": status,
            "equity": f"{self.equity:.2f}",
            "halted": False,
            "bars": 0,
            "trades": 0,
            "open_positions": 0,
        }
        self.say(Kind.HEARTBEAT, beat | more)

    def enter(self, trade_id: str, symbol: str, price: float, at: datetime, why: str) -> None:
        self.say(Kind.TRADE_ENTRY, self._trade(trade_id, symbol, price, at, why), at=at)

    def leave(
        self, trade_id: str, symbol: str, prices: tuple[float, float], at: datetime, whys: tuple[str, str]
    ) -> None:
        profit = (prices[1] - prices[0]) * 120
        data = self._trade(trade_id, symbol, prices[1], at, whys[0]) | {
            "action": "SELL",
            "outcome": "win" if profit > 0 else "loss",
            "profit_loss": f"{profit:.2f}",
            "net_profit_loss": f"{profit - 6.5:.4f}",
            "hold_duration_seconds": 86_400 * (3 + int(prices[0]) % 20),
            "exit_timestamp": lines.timestamp(at),
            "exit_reasoning": whys[1],
        }
        self.say(Kind.TRADE_EXIT, data, at=at)

    def hold(self, symbol: str, quantity: int, entry: float, market: float, at: datetime) -> None:
        data = {
            "symbol": symbol,
            "quantity": str(quantity),
            "entry_price": f"{entry:.2f}",
            "market_price": f"{market:.2f}",
            "unrealized_pnl": f"{(market - entry) * quantity:.4f}",
            "realized_pnl": "0",
            "opened_at": lines.timestamp(at - timedelta(days=6)),
            "stop_loss": f"{entry * 0.95:.2f}",
            "target": f"{entry * 1.1:.2f}",
        }
        self.say(Kind.POSITION, data, at=at)

    def _trade(self, trade_id: str, symbol: str, price: float, at: datetime, why: str) -> dict[str, Any]:
        return {
            "trade_id": trade_id,
            "timestamp": lines.timestamp(at),
            "symbol": symbol,
            "action": "BUY",
            "quantity": "120",
            "price": f"{price:.2f}",
            "execution_mode": "PAPER",
            "strategy_name": self.bot,
            "decision_reasoning": why,
        }


class Stage:
    """Bots, the tail of their records, and the live store that follows them."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.tail = QueueTail()
        self.live = MemoryLiveStore(clock=clock)

    def player(self, bot: str, *, began_seconds_ago: int = 0) -> Player:
        return Player(self, bot, began_seconds_ago)

    def take(self, record: Mapping[str, Any]) -> None:
        line = lines.seal(msgspec.json.encode(record)[:-1])
        self.tail.put(line)
        decoded = lines.decode(line)
        place = self._previous(decoded)
        document = fold(place, decoded, self.clock.time_ns())
        if document is not None:
            self.live.commit([document])

    def _previous(self, record: Mapping[str, Any]) -> Any:
        if record["kind"] != Kind.TRADE_EXIT:
            return None
        return self.live.get("live_trades", record["data"]["trade_id"])


def play(stage: Stage, *, days: int = 700, seed: int = 7) -> list[Player]:
    """A show as a fleet would give it: three bots over `days` days, dozens of trades, vetoes and alerts."""
    luck = random.Random(seed)
    players = [stage.player(bot) for bot in ("breakout", "mean-reversion", "vwap")]
    for player in players:
        player.say(Kind.SYSTEM_EVENT, {"message": f"{player.bot} starts with 100000 in cash"})
    for day in range(days):
        at = START + timedelta(days=day)
        for number, player in enumerate(players):
            swing = 900 * math.sin(day / (40 + 17 * number)) / 40
            player.mark(player.equity * (1 + luck.gauss(0.00018, 0.004)) + swing if day else player.equity, at)
            if day % (11 + number) == 5:
                _trade(player, luck, day, at)
            if day % 37 == 8 + number:
                _decide_against(player, luck, at)
    _end(players, luck, START + timedelta(days=days))
    return players


def _trade(player: Player, luck: random.Random, day: int, at: datetime) -> None:
    symbol = luck.choice(SYMBOLS)
    entry = luck.uniform(28, 590)
    leave = entry * luck.uniform(0.955, 1.075)
    why = {
        "breakout": f"close {entry:.2f} above the 20-day high {entry * 0.993:.2f} on 1.6 times the usual volume",
        "mean-reversion": f"RSI 27.4 and close {entry:.2f} below the lower Bollinger band {entry * 1.004:.2f}",
        "vwap": f"close {entry:.2f} crossed above VWAP {entry * 0.998:.2f} while the 50-day trend rises",
    }[player.bot]
    end = f"target {leave:.2f} reached" if leave > entry else f"stop {leave:.2f} reached: low {leave * 0.99:.2f}"
    trade_id = f"{player.bot}-{symbol}-{day}-{player.run[-8:]}"
    player.say(
        Kind.ORDER, {"order_id": trade_id, "symbol": symbol, "side": "BUY", "quantity": "120", "status": "new"}, at=at
    )
    player.enter(trade_id, symbol, entry, at, why)
    player.leave(trade_id, symbol, (entry, leave), at, (why, end))


def _decide_against(player: Player, luck: random.Random, at: datetime) -> None:
    symbol = luck.choice(SYMBOLS)
    near = {
        "decision_id": f"{player.bot}-{at:%Y%m%d}",
        "symbol": symbol,
        "strategy": player.bot,
        "action": "hold",
        "outcome": "near",
        "reason": "close 41.20 is 0.3 % below the 20-day high 41.32; volume is already 1.4 times the usual",
        "confidence": 0.86,
    }
    vetoed = near | {
        "action": "enter_long",
        "outcome": "vetoed",
        "vetoed_by": "max_open_positions",
        "reason": "five positions are open already, the limit is 5",
    }
    player.say(Kind.DECISION, luck.choice([near, vetoed]), at=at)


def _end(players: list[Player], luck: random.Random, at: datetime) -> None:
    breakout, reversion, vwap = players
    for player, symbols in ((breakout, ("AAPL", "IBM")), (vwap, ("MSFT", "GOOG", "AAPL"))):
        for symbol in symbols:
            entry = luck.uniform(30, 500)
            trade_id = f"{player.bot}-{symbol}-open"
            player.enter(trade_id, symbol, entry, at, f"close {entry:.2f} above the 20-day high {entry * 0.99:.2f}")
            player.hold(symbol, int(20_000 / entry), entry, entry * luck.uniform(0.96, 1.08), at)
    reversion.say(
        Kind.RISK_EVENT,
        {
            "event_type": "circuit_breaker_trip",
            "action_taken": "trading_paused",
            "message": "drawdown 8.4 % crossed the limit of 8 %",
        },
        severity=Severity.CRITICAL,
    )
    vwap.say(Kind.WARNING, {"message": "bar of GOOG is 3 days after the one before", "source": "feed", "context": {}})
    breakout.say(
        Kind.ERROR,
        {
            "type": "OrderError",
            "message": "order breakout-IBM-17: 12 000 shares exceed the limit of 10 000",
            "stack": "",
        },
    )
    breakout.beat(bars=2800, trades=61, open_positions=2)
    reversion.beat(status="halted", halted=True, bars=2800, trades=57)
    vwap.beat(bars=2800, trades=52, open_positions=3)
