"""How trading went, day by day: closed trades of a symbol and a strategy, judged as `runner.market.metrics` says.

The warehouse's view `daily_performance` says the same in SQL, for whoever asks there; a test holds the two together.
This module adds what SQL says badly (streaks of losses) and keeps money exact. A trade that names no net profit counts
as a trade that neither won nor lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from runner.market import metrics
from runner.operations import queries
from runner.operations.days import Days
from runner.stores.base import Warehouse


@dataclass(frozen=True, slots=True)
class DailyPerformance:
    """One row: a UTC day of market time, a symbol, a strategy (`model_name`). Money in the quote currency."""

    day: date
    symbol: str
    model_name: str
    total_trades: int
    wins: int
    win_rate: float | None
    total_pnl: Decimal
    avg_pnl: Decimal | None
    max_win: Decimal | None
    max_loss: Decimal | None
    profit_factor: float | None
    average_win: Decimal | None
    average_loss: Decimal | None
    max_consecutive_losses: int

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; money is text."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def daily_performance(warehouse: Warehouse, days: Days) -> list[DailyPerformance]:
    """The rows of `days`, ordered by day, symbol and strategy."""
    groups: dict[tuple[date, str, str], list[Decimal | None]] = {}
    for trade in closed_trades(warehouse, days):
        key = trade["time"].astimezone(UTC).date(), trade["symbol"] or "", trade["strategy_name"] or ""
        groups.setdefault(key, []).append(money(trade["net_profit_loss"]))
    return [_judged(*key, profits) for key, profits in sorted(groups.items())]


def closed_trades(warehouse: Warehouse, days: Days) -> Iterable[Mapping[str, Any]]:
    """The trades that were closed on `days`, in order of their exits; columns: see the query `closed_trades`."""
    since = datetime.combine(days.first, time(), UTC)
    until = datetime.combine(days.last + timedelta(days=1), time(), UTC)
    return queries.run(warehouse, "closed_trades", since=since, until=until).dicts()


def money(text: str | None) -> Decimal | None:
    """An amount as it was written; None for what is no finite number."""
    try:
        value = Decimal(text or "")
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _judged(day: date, symbol: str, model_name: str, profits: list[Decimal | None]) -> DailyPerformance:
    known = [profit for profit in profits if profit is not None]
    counted = [profit or Decimal(0) for profit in profits]
    return DailyPerformance(
        day=day,
        symbol=symbol,
        model_name=model_name,
        total_trades=len(counted),
        wins=sum(profit > 0 for profit in counted),
        win_rate=metrics.win_rate(counted),
        total_pnl=sum(counted, Decimal(0)),
        avg_pnl=metrics.expectancy(counted),
        max_win=max(known, default=None),
        max_loss=min(known, default=None),
        profit_factor=metrics.profit_factor(counted),
        average_win=metrics.average_win(counted),
        average_loss=metrics.average_loss(counted),
        max_consecutive_losses=metrics.max_consecutive_losses(counted),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, date) else value
