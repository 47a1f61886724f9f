"""A bot: bars in; strategy, risk limits and broker in between; records out.

The work for one bar, in this order:

1. Market time moves to the end of the bar. What was due before (hourly marks, the summary of a day) is recorded first.
2. The broker works through the bar: orders of earlier bars fill, at its open or at their stop or target.
3. Equity is marked at the close, and the breakers look at it. Crossing one *halts* the bot: entries on order are
   cancelled, positions are left at the next open, new entries are vetoed; the halt outlives the process (see `halts`).
4. The strategy sees the bar and the position. What it says becomes a decision, and an order if limits allow it.

A stop or a target protects a position from the bar after its entry on. At the end of the feed waiting orders are
cancelled and open positions stay open, marked at the last close.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from runner.bots.decisions import Decisions
from runner.bots.halts import Halt, read_halt, write_halt
from runner.bots.portfolio import Portfolio
from runner.bots.reports import Reports
from runner.bots.risk import Breach, Limit, Vetoed, find_breach, review
from runner.bots.status import BotStatus
from runner.brokers.base import Broker
from runner.clock import Clock, ManualClock
from runner.errors import ConfigError, StrategyError
from runner.layout import Home
from runner.logging.core_logger import TradingLogger
from runner.logging.log_types import RiskEventData, Severity
from runner.market.bars import Bar
from runner.market.instruments import AssetClass, Instrument
from runner.market.metrics import periods_per_year
from runner.market.signals import Action, Signal
from runner.settings import Risk
from runner.strategies.base import Strategy
from runner.trade_manager import TradeManager


class Bot:
    """One instance of a strategy with an account of its own. It trades the symbols of `instruments`.

    `market_clock` is moved by the bot and must be the clock of its logger; `wall_clock` times heartbeats only.
    """

    def __init__(
        self,
        *,
        name: str,
        bot_type: str,
        strategy: Strategy,
        broker: Broker,
        limits: Risk,
        logger: TradingLogger,
        instruments: Mapping[str, Instrument],
        market_clock: ManualClock,
        wall_clock: Clock,
        home: Home,
    ) -> None:
        if not instruments:
            raise ConfigError(f"bot {name} has no symbols to trade", "choose symbols that the feed has")
        asset_class = next(iter(instruments.values())).asset_class
        self.name = name
        self.bot_type = bot_type
        self._strategy = strategy
        self._strategy_name = strategy.name or type(strategy).__name__
        self._broker = broker
        self._limits = limits
        self._logger = logger
        self._instruments = instruments
        self._clock = market_clock
        self._home = home
        self._trades = TradeManager(
            bot=name, bot_type=bot_type, strategy=self._strategy_name, broker=broker, logger=logger, clock=market_clock
        )
        self._portfolio = Portfolio(broker, self._trades, every_day=asset_class is AssetClass.CRYPTO)
        self._decisions = Decisions(name, self._strategy_name, logger)
        self._reports = Reports(
            logger=logger,
            wall_clock=wall_clock,
            trades=self._trades,
            portfolio=self._portfolio,
            status=lambda: self.status,
            periods=periods_per_year(asset_class),
        )
        self._bars = 0
        self._time: datetime | None = None
        self._day: date | None = None
        self._halt = read_halt(home, name)
        self._finished = False

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that it trades; bars of others must not be given to it."""
        return tuple(self._instruments)

    @property
    def status(self) -> BotStatus:
        """How the bot stands now; cheap enough for every progress line."""
        tally, portfolio = self._trades.tally, self._portfolio
        return BotStatus(
            name=self.name,
            bot_type=self.bot_type,
            bars=self._bars,
            start_equity=portfolio.start,
            equity=portfolio.equity,
            cash=portfolio.cash,
            unrealized=portfolio.unrealized,
            open_positions=len(self._trades.positions),
            trades=tally.trades,
            wins=tally.wins,
            net_profit=tally.net_profit,
            fees=tally.fees,
            max_drawdown_pct=portfolio.max_drawdown_pct,
            halted=self._halt.reason if self._halt else "",
        )

    def start(self) -> None:
        """Say what is about to run. A halt that outlived an earlier run is recorded as a risk event."""
        self._logger.log_system_event(
            f"bot {self.name} started",
            {
                "strategy": self._strategy_name,
                "symbols": list(self._instruments),
                "mode": self._broker.mode,
                "cash": str(self._portfolio.cash),
                "limits": self._limits_snapshot(),
            },
        )
        if self._halt:
            self._record_halt(self._halt, "still_halted")
        self._reports.beat("running")

    def on_bar(self, bar: Bar) -> None:
        """Do the work for one bar, of one of the bot's symbols. Bars come in order of their ends."""
        self._move_time(bar)
        self._bars += 1
        happened = self._trades.on_bar(bar)
        self._portfolio.mark(bar.symbol, bar.close)
        if happened or bar.symbol in self._trades.positions:
            self._portfolio.revalue()
            self._check_breakers()
        self._consult(bar)
        self._reports.beat_if_due()

    def beat(self) -> None:
        """Let the bot show that it lives while no bars come."""
        self._reports.beat_if_due()

    def finish(self) -> None:
        """End the run: cancel what waits, record the last marks and the summary. A second call does nothing."""
        if self._finished:
            return
        self._finished = True
        self._trades.cancel_all("the run ended")
        if self._day is not None:
            self._reports.mark()
            self._reports.close_run(self._day)
        status = self.status
        self._logger.log_system_event(
            f"bot {self.name} stopped",
            {
                "bars": status.bars,
                "trades": status.trades,
                "open_positions": status.open_positions,
                "equity": str(status.equity),
                "halted": status.halted,
            },
        )
        self._reports.beat("stopped")

    def _move_time(self, bar: Bar) -> None:
        day = bar.start.date()
        if self._time is None or self._day is None:
            self._day = day
        elif bar.end > self._time:
            self._reports.mark_if_due(self._time)
            if day > self._day:
                self._reports.close_day(self._day)
                self._day = day
        self._time = bar.end
        self._clock.set(bar.end)

    def _check_breakers(self) -> None:
        if self._halt is None:
            breach = find_breach(self._portfolio.standing(), self._limits)
            if breach is not None:
                self._stop_trading(breach)
        if self._halt is not None:
            self._leave_all(self._halt.reason)

    def _stop_trading(self, breach: Breach) -> None:
        halt = Halt(breach.limit.value, breach.reason, self._clock.now().isoformat(), self._logger.run)
        self._halt = halt
        write_halt(self._home, self.name, halt)
        self._record_halt(halt, "trading_paused")

    def _leave_all(self, reason: str) -> None:
        """Cancel entries and leave every position at the market."""
        self._trades.cancel_entries(f"halted: {reason}")
        for symbol in list(self._trades.positions):
            if not self._trades.leaves(symbol):
                self._trades.exit(symbol, f"halted: {reason}")

    def _record_halt(self, halt: Halt, action: str) -> None:
        standing = self._portfolio.standing()
        sound = standing.equity.is_finite()
        event = RiskEventData(
            event_type="circuit_breaker_trip",
            action_taken=action,
            message=halt.reason,
            daily_pnl=standing.day_profit if sound else None,
            daily_pnl_pct=standing.day_profit_pct if sound else None,
            drawdown_pct=standing.drawdown_pct if sound else None,
            consecutive_losses=standing.loss_streak,
            config_snapshot={**self._limits_snapshot(), "crossed": halt.limit},
        )
        self._logger.log_risk_event(event, severity=Severity.CRITICAL, urgent=True)

    def _limits_snapshot(self) -> dict[str, str]:
        return {name: str(value) for name, value in self._limits}

    def _consult(self, bar: Bar) -> None:
        """Hear the strategy and act on it. A strategy that fails halts the bot: nobody knows what it would do next."""
        if self._halt is not None and self._halt.limit == Limit.STRATEGY:
            return
        try:
            signal = self._strategy.on_bar(bar, self._trades.positions.get(bar.symbol))
            if signal is not None:
                _check(signal, bar)
        except Exception as error:
            self._logger.log_error(error, {"symbol": bar.symbol, "bar": bar.start.isoformat()}, self._strategy_name)
            reason = f"{self._strategy_name} failed: {type(error).__name__}: {error}"
            self._stop_trading(Breach(Limit.STRATEGY, reason))
            self._leave_all(reason)
            return
        if signal is None:
            self._decisions.silent(bar.symbol)
        else:
            self._act(signal, bar.close)

    def _act(self, signal: Signal, price: Decimal) -> None:
        match signal.action:
            case Action.HOLD:
                self._decisions.near(signal)
            case Action.EXIT:
                self._leave(signal)
            case Action.ENTER_LONG | Action.ENTER_SHORT:
                self._enter(signal, price)

    def _leave(self, signal: Signal) -> None:
        if signal.symbol not in self._trades.positions:
            self._decisions.skipped(signal, "there is no position")
        elif self._trades.leaves(signal.symbol):
            self._decisions.skipped(signal, "the position is being left already")
        else:
            order = self._trades.exit(signal.symbol, signal.reason)
            self._decisions.taken(signal, order.trade_id)

    def _enter(self, signal: Signal, price: Decimal) -> None:
        if signal.symbol in self._trades.positions:
            self._decisions.skipped(signal, "a position is open already")
            return
        answer = self._review(signal, price)
        if isinstance(answer, Vetoed):
            self._decisions.vetoed(signal, answer)
        else:
            order = self._trades.enter(signal, answer)
            self._decisions.taken(signal, order.trade_id)

    def _review(self, signal: Signal, price: Decimal) -> Decimal | Vetoed:
        if self._halt is not None:
            return Vetoed(Limit.HALTED, f"the bot is halted: {self._halt.reason}")
        answer = review(self._instruments[signal.symbol], price, self._portfolio.standing(), self._limits)
        return answer if isinstance(answer, Vetoed) else answer.quantity


def _check(signal: Signal, bar: Bar) -> None:
    if signal.symbol != bar.symbol:
        raise StrategyError(f"a signal for {signal.symbol} was given on a bar of {bar.symbol}")
    for price in (signal.stop_loss, signal.target):
        if price is not None and not (price.is_finite() and price > 0):
            raise StrategyError(f"signal for {signal.symbol}: stop and target must be positive, not {price}")
