"""Parts for bots under test: a logger that keeps what it is told, scripted strategies, bars and a bot of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runner.bots.bot import Bot
from runner.brokers.charges import Charges
from runner.brokers.paper import PaperBroker
from runner.clock import ManualClock
from runner.layout import Home
from runner.market.bars import Bar
from runner.market.instruments import AssetClass, instrument_of
from runner.market.positions import Position
from runner.market.signals import Action, Signal
from runner.settings import Risk

START = datetime(2024, 1, 2, tzinfo=UTC)


@dataclass
class Recorder:
    """Takes every call of a `TradingLogger` and keeps (method without `log_`, payload, keywords)."""

    run: str = "0190f2b4-8c3e-7000-8000-00000000abcd"
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    calls: list[tuple[str, Any, dict[str, Any]]] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., str]:
        if not name.startswith("log_"):
            raise AttributeError(name)

        def record(*payload: Any, **keywords: Any) -> str:
            self.times.append(self.clock.now())
            self.calls.append((name[4:], payload[0] if len(payload) == 1 else payload, keywords))
            return f"{self.run}:x:{len(self.calls):012d}"

        return record

    def of(self, *names: str) -> list[Any]:
        return [payload for name, payload, _ in self.calls if name in names]


class Script:
    """A strategy that says by symbol and bar number (from 1) what it was told to say."""

    name = "script"

    def __init__(self, lines: Mapping[int | tuple[str, int], Any]) -> None:
        self.lines = lines
        self.seen: dict[str, int] = {}
        self.positions: list[Position | None] = []

    def on_bar(self, bar: Bar, position: Position | None) -> Signal | None:
        count = self.seen[bar.symbol] = self.seen.get(bar.symbol, 0) + 1
        self.positions.append(position)
        line = self.lines.get((bar.symbol, count), self.lines.get(count))
        if isinstance(line, Exception):
            raise line
        if isinstance(line, Signal) or line is None:
            return line
        action, options = line if isinstance(line, tuple) else (line, {})
        return Signal(bar.symbol, Action(action), f"line {count}", {"count": float(count)}, **options)


class Workshop:
    """Builds bots; everything can be looked at afterwards."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.wall = ManualClock(START)
        self.market = ManualClock(START)
        self.recorder = Recorder(clock=self.market)
        self.broker: PaperBroker | None = None

    def bot(
        self,
        strategy: Any,
        *,
        name: str = "tester",
        symbols: Sequence[str] = ("AAPL",),
        asset_class: AssetClass = AssetClass.STOCK,
        cash: str = "10000",
        charges: Charges | None = None,
        **limits: Any,
    ) -> Bot:
        instruments = {symbol: instrument_of(symbol, asset_class) for symbol in symbols}
        self.broker = PaperBroker(Decimal(cash), charges or Charges(), instruments)
        wide = {
            "max_position_pct": 50,
            "max_daily_loss_pct": 100,
            "max_drawdown_pct": 100,
            "max_consecutive_losses": 1000,
        }
        return Bot(
            name=name,
            bot_type="stock-trader",
            strategy=strategy if hasattr(strategy, "on_bar") else Script(strategy),
            broker=self.broker,
            limits=Risk.model_validate(wide | limits),
            logger=self.recorder,  # type: ignore[arg-type]  # it has every method that bots call
            instruments=instruments,
            market_clock=self.market,
            wall_clock=self.wall,
            home=self.home,
        )

    @staticmethod
    def bars(*prices: str, symbol: str = "AAPL", length: timedelta = timedelta(days=1), skip: int = 0) -> list[Bar]:
        """Bars in a row, each "open high low close", or one price for all four; `skip` bars later than the start."""
        bars = []
        for number, text in enumerate(prices, start=skip):
            values = [Decimal(price) for price in text.split()]
            opened, high, low, close = values if len(values) == 4 else values * 4
            bars.append(Bar(symbol, START + number * length, length, opened, high, low, close, Decimal(1000)))
        return bars

    @staticmethod
    def feed(bot: Bot, bars: Sequence[Bar], *, finish: bool = True) -> Bot:
        bot.start()
        for bar in sorted(bars, key=lambda bar: (bar.end, bar.symbol)):
            bot.on_bar(bar)
        if finish:
            bot.finish()
        return bot


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(Home(tmp_path / "home").create())


@pytest.fixture(scope="session")
def workshop_type() -> type[Workshop]:
    """For tests that need a new workshop for each example."""
    return Workshop
