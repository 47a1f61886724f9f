"""The records that a bot writes again and again: heartbeats, equity, marked positions, daily summaries.

Heartbeats follow the wall clock; everything else follows market time, so that a replay at any speed writes the same.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from runner.bots.portfolio import Portfolio
from runner.bots.status import BotStatus
from runner.clock import Clock
from runner.logging.core_logger import TradingLogger
from runner.logging.log_types import HeartbeatData
from runner.market import metrics
from runner.trade_manager import TradeManager

HEARTBEAT_SECONDS = 15.0
_HOUR = timedelta(hours=1)
_NEVER = datetime.min.replace(tzinfo=UTC)


class Reports:
    """Writes the recurring records of one bot. `status` says how the bot stands, `periods` how many days a year has."""

    def __init__(
        self,
        *,
        logger: TradingLogger,
        wall_clock: Clock,
        trades: TradeManager,
        portfolio: Portfolio,
        status: Callable[[], BotStatus],
        periods: int,
    ) -> None:
        self._logger = logger
        self._wall = wall_clock
        self._trades = trades
        self._portfolio = portfolio
        self._status = status
        self._periods = periods
        self._next_beat = 0.0
        self._next_mark = _NEVER
        self._day_first = 0
        self._day_fees = trades.tally.fees

    def beat_if_due(self) -> None:
        """A heartbeat each 15 seconds of wall time."""
        if self._wall.monotonic() >= self._next_beat:
            self.beat("running")

    def beat(self, state: str) -> None:
        """A heartbeat now. `state` is "running" or "stopped"."""
        self._next_beat = self._wall.monotonic() + HEARTBEAT_SECONDS
        status = self._status()
        self._logger.log_heartbeat(
            HeartbeatData(
                status=state,
                equity=status.equity,
                cash=status.cash,
                open_positions=status.open_positions,
                trades=status.trades,
                bars=status.bars,
                halted=bool(status.halted),
                context={"reason": status.halted} if status.halted else {},
            )
        )

    def mark_if_due(self, now: datetime) -> None:
        """Equity, drawdown and open positions at market time `now`: once an hour, or each bar where bars are longer."""
        if now >= self._next_mark:
            self._next_mark = now.replace(minute=0, second=0, microsecond=0) + _HOUR
            self.mark()

    def mark(self) -> None:
        """Record equity, drawdown (percent, zero or negative) and each open position at the last closes."""
        self._logger.log_performance_metric("equity", self._portfolio.equity)
        self._logger.log_performance_metric("drawdown", self._portfolio.drawdown_pct, unit="%")
        for symbol in self._trades.positions:
            self._trades.record_position(symbol, self._portfolio.prices[symbol])

    def close_day(self, day: date) -> None:
        """End a market day: a summary, if there was a trade or a position."""
        if self._trades.tally.trades > self._day_first or self._trades.positions:
            self._logger.log_daily_summary(self._day_metrics(), date=day)
        self._portfolio.close_day(day)
        self._day_first = self._trades.tally.trades
        self._day_fees = self._trades.tally.fees

    def close_run(self, day: date) -> None:
        """End the last market day: its summary holds the metrics of the whole run, too."""
        today = self._day_metrics()
        self._portfolio.close_day(day)
        self._logger.log_daily_summary({**today, **self.run_metrics()}, date=day)

    def run_metrics(self) -> dict[str, Any]:
        """Metrics of the whole run by name, as `runner.market.metrics` defines them; None when undefined."""
        profits, equity = self._trades.tally.profits, self._portfolio.daily.values
        return {
            "run_trades": len(profits),
            "run_net_profit": self._trades.tally.net_profit,
            "run_fees": self._trades.tally.fees,
            "run_unrealized": self._portfolio.unrealized,
            "run_win_rate": metrics.win_rate(profits),
            "run_profit_factor": metrics.profit_factor(profits),
            "run_expectancy": metrics.expectancy(profits),
            "run_average_win": metrics.average_win(profits),
            "run_average_loss": metrics.average_loss(profits),
            "run_max_consecutive_losses": metrics.max_consecutive_losses(profits),
            "run_total_return_pct": metrics.total_return_pct(equity),
            "run_max_drawdown_pct": metrics.max_drawdown_pct(equity),
            "run_sharpe": metrics.sharpe(equity, self._periods),
            "run_sortino": metrics.sortino(equity, self._periods),
            "run_calmar": metrics.calmar(equity, self._periods),
            "run_periods_per_year": self._periods,
        }

    def _day_metrics(self) -> dict[str, Any]:
        profits = self._trades.tally.profits[self._day_first :]
        portfolio = self._portfolio
        return {
            "equity": portfolio.equity,
            "return_pct": metrics.total_return_pct([portfolio.day_start, portfolio.equity]),
            "max_drawdown_pct": portfolio.max_drawdown_pct,
            "open_positions": len(self._trades.positions),
            "trades": len(profits),
            "wins": sum(profit > 0 for profit in profits),
            "net_profit": sum(profits, Decimal(0)),
            "fees": self._trades.tally.fees - self._day_fees,
            "win_rate": metrics.win_rate(profits),
            "profit_factor": metrics.profit_factor(profits),
            "expectancy": metrics.expectancy(profits),
        }
