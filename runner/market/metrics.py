"""Every performance metric of the product, defined once.

Two inputs: `profits`, the net profits of closed trades in order of their exits (after both commissions), and `equity`,
the mark-to-market equity of each market day with the starting balance in front (see `DailyEquity`). A year has 252
periods for stocks and options (exchange sessions) and 365 for crypto (every UTC day). A metric that is undefined is
None: never 0, never infinite.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from statistics import fmean, stdev

from runner.market.instruments import AssetClass

_MONEY = Decimal("0.00000001")
_PERCENT = Decimal("0.000001")


def periods_per_year(asset_class: AssetClass) -> int:
    """365 for crypto, 252 for what is traded on exchanges."""
    return 365 if asset_class is AssetClass.CRYPTO else 252


def win_rate(profits: Sequence[Decimal]) -> float | None:
    """wins / trades, in 0-1. A win is a profit above zero; a breakeven trade counts as a trade. None without trades."""
    return sum(profit > 0 for profit in profits) / len(profits) if profits else None


def profit_factor(profits: Sequence[Decimal]) -> float | None:
    """sum of wins / |sum of losses|. None without a loss."""
    lost = sum((-profit for profit in profits if profit < 0), Decimal(0))
    won = sum((profit for profit in profits if profit > 0), Decimal(0))
    return float(won / lost) if lost else None


def expectancy(profits: Sequence[Decimal]) -> Decimal | None:
    """Mean profit of a trade: sum of profits / trades, in the quote currency. None without trades."""
    return _mean(profits)


def average_win(profits: Sequence[Decimal]) -> Decimal | None:
    """Mean of the profits above zero. None without one."""
    return _mean([profit for profit in profits if profit > 0])


def average_loss(profits: Sequence[Decimal]) -> Decimal | None:
    """Mean of the profits below zero, a negative number. None without one."""
    return _mean([profit for profit in profits if profit < 0])


def max_consecutive_losses(profits: Iterable[Decimal]) -> int:
    """The longest run of trades that each lost; a win or a breakeven trade ends a run."""
    longest = current = 0
    for profit in profits:
        current = current + 1 if profit < 0 else 0
        longest = max(longest, current)
    return longest


def total_return_pct(equity: Sequence[Decimal]) -> Decimal | None:
    """(last / first - 1) * 100. None with fewer than two values or a first one that is not positive."""
    if len(equity) < 2 or equity[0] <= 0:
        return None
    return percent_change(equity[0], equity[-1])


def max_drawdown_pct(equity: Iterable[Decimal]) -> Decimal | None:
    """The lowest of (value / highest value so far - 1) * 100: zero or negative. None without values."""
    drawdown: Drawdown | None = None
    for value in equity:
        drawdown = drawdown or Drawdown(value)
        drawdown.update(value)
    return drawdown.worst if drawdown else None


def sharpe(equity: Sequence[Decimal], periods: int) -> float | None:
    """mean(r) / deviation(r) * sqrt(periods), with daily returns r, sample deviation (ddof 1) and no risk-free rate.

    None with fewer than two returns, with a deviation of zero, or once equity was not positive.
    """
    returns = daily_returns(equity)
    if returns is None or len(returns) < 2:
        return None
    deviation = stdev(returns)
    return fmean(returns) / deviation * math.sqrt(periods) if deviation else None


def sortino(equity: Sequence[Decimal], periods: int) -> float | None:
    """mean(r) / sqrt(sum(min(r, 0)^2) / n) * sqrt(periods), with n daily returns r.

    None with fewer than two returns, without a negative one, or once equity was not positive.
    """
    returns = daily_returns(equity)
    if returns is None or len(returns) < 2:
        return None
    downside = math.sqrt(fmean(min(value, 0.0) ** 2 for value in returns))
    return fmean(returns) / downside * math.sqrt(periods) if downside else None


def calmar(equity: Sequence[Decimal], periods: int) -> float | None:
    """((last / first)^(periods / n) - 1) / |max drawdown|, both as fractions, with n daily returns.

    None with less than a quarter of a year of returns, without a drawdown, or once equity was not positive.
    """
    returns = daily_returns(equity)
    drawdown = max_drawdown_pct(equity)
    if returns is None or len(returns) < periods / 4 or not drawdown:
        return None
    yearly = math.pow(equity[-1] / equity[0], periods / len(returns)) - 1
    return yearly / abs(float(drawdown) / 100)


def daily_returns(equity: Sequence[Decimal]) -> list[float] | None:
    """value / value before - 1, day by day. None when a value is not positive: a return on nothing has no meaning."""
    if any(value <= 0 for value in equity):
        return None
    return [float(later / earlier) - 1 for earlier, later in pairwise(equity)]


def percent_change(earlier: Decimal, later: Decimal) -> Decimal:
    """(later / earlier - 1) * 100, to six places. `earlier` must not be zero."""
    return ((later / earlier - 1) * 100).quantize(_PERCENT)


class Drawdown:
    """How far a value is below its highest so far, in percent: zero or negative."""

    def __init__(self, start: Decimal) -> None:
        self.peak = start
        self.worst = Decimal(0)

    def update(self, value: Decimal) -> Decimal:
        """Take the next value; returns the drawdown now."""
        if value >= self.peak:
            self.peak = value
            return Decimal(0)
        now = self.at(value)
        self.worst = min(self.worst, now)
        return now

    def at(self, value: Decimal) -> Decimal:
        """The drawdown if `value` came next. 0 while the peak is not positive."""
        return min(percent_change(self.peak, value), Decimal(0)) if self.peak > 0 else Decimal(0)


class DailyEquity:
    """Equity at the end of each market day, with the starting balance in front.

    With `every_day` (crypto) days on which nothing was traded repeat the value before; otherwise they do not exist.
    """

    def __init__(self, start: Decimal, *, every_day: bool) -> None:
        self.values = [start]
        self._every_day = every_day
        self._last: date | None = None
        self._drawdown = Drawdown(start)

    def close(self, day: date, equity: Decimal) -> None:
        """End `day`, which must be later than the day closed before, at `equity`."""
        if self._every_day and self._last is not None:
            self.values += [self.values[-1]] * ((day - self._last).days - 1)
        self.values.append(equity)
        self._last = day
        self._drawdown.update(equity)

    def max_drawdown_pct(self, now: Decimal) -> Decimal:
        """The largest drawdown so far if today ended at `now`: zero or negative."""
        return min(self._drawdown.worst, self._drawdown.at(now))


def _mean(values: Sequence[Decimal]) -> Decimal | None:
    return (sum(values, Decimal(0)) / len(values)).quantize(_MONEY) if values else None
