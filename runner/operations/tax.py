"""Closed trades of a year, as a tax office asks for them: lots, holding periods, proceeds, cost basis, fees, gains.

What it assumes (docs/exports.md says it to users, and that it is no tax advice):

- A year and a day are those of one time zone, UTC unless told otherwise. A lot belongs to the year of its close.
- Lots are used up by account, symbol and direction: the oldest first (fifo), the newest first (lifo), or those of the
  same trade first (trade). Bots that share an account share its lots; without an account, all bots of a mode do.
- A long lot is long-term when it was held more than a year: closed after the anniversary of the day it was acquired
  (28 February for 29 February). A short sale is always short-term; it was "acquired" on the day it was opened.
- Gain = proceeds - cost basis - fees, each exact. Fees are the commissions of both sides. Slippage is in the prices.
- Wash sales, currency conversion, dividends, funding and corporate actions are not looked at.
- Where a close has no entry on record, the entry is computed from its profit and its holding time, and the row says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from runner.errors import ConfigError
from runner.operations import queries
from runner.operations.cells import csv_text
from runner.operations.daily_performance import money
from runner.operations.lots import Disposal, Execution, Method, dispose, exactly
from runner.stores.base import Warehouse

COLUMNS = (
    "symbol",
    "side",
    "quantity",
    "acquired",
    "disposed",
    "days_held",
    "term",
    "proceeds",
    "cost_basis",
    "fees",
    "gain",
    "mode",
    "account",
    "trade_id",
    "method",
    "note",
)
COMPUTED, UNKNOWN = "entry computed from the profit", "entry unknown: cost basis is the price of the exit"
_FIRST_YEAR = 1970


@dataclass(frozen=True, slots=True)
class TaxRow:
    """A closed lot, with the days and the term that a tax zone gives it. `term` is "short" or "long"."""

    lot: Disposal
    acquired: date
    disposed: date
    term: str


@dataclass(frozen=True, slots=True)
class TaxReport:
    """The closed lots of a year. `modes` counts the exits of that year by execution mode, also those left out."""

    year: int
    method: Method
    mode: str
    rows: tuple[TaxRow, ...]
    modes: Mapping[str, int]

    def gain(self, term: str) -> Decimal:
        """The sum of the gains of a term, in the currency of the trades."""
        with exactly():
            return sum((row.lot.gain for row in self.rows if row.term == term), Decimal(0))

    def csv(self) -> str:
        """One line a lot, in the order of the closes."""
        return csv_text(COLUMNS, (_cells(row, self.mode, self.method) for row in self.rows))


def check_year(year: int, *, today: date) -> int:
    """Raises `ConfigError` for a year that has not begun, or that no trade here can be of."""
    if not _FIRST_YEAR <= year <= today.year:
        raise ConfigError(f"there are no trades of {year}", f"name a year from {_FIRST_YEAR} to {today.year}")
    return year


def zone(name: str) -> tzinfo:
    """A time zone by its name. Raises `ConfigError` for one that does not exist."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ConfigError(f"there is no time zone {name!r}", "name one like America/New_York, or UTC") from None


def tax_report(
    warehouse: Warehouse, year: int, *, method: Method = Method.FIFO, mode: str = "LIVE", where: tzinfo = UTC
) -> TaxReport:
    """The lots that were closed in a year by trades of an execution mode. Every earlier trade is read as well."""
    after = datetime(year + 1, 1, 1, tzinfo=where).astimezone(UTC)
    found = queries.run(warehouse, "executions", until=after).dicts()
    exits = [row for row in found if row["kind"] == "trade_exit" and _day(row["time"], where).year == year]
    modes = Counter(row["execution_mode"] or "" for row in exits)
    wanted = [row for row in found if (row["execution_mode"] or "") == mode]
    lots = dispose(_executions(wanted), method)
    rows = (_row(lot, where) for lot in lots if _day(lot.closed.at, where).year == year)
    return TaxReport(year, method, mode, tuple(rows), dict(sorted(modes.items())))


def _executions(rows: Sequence[Mapping[str, Any]]) -> list[Execution]:
    """What the records say, completed where an exit has no entry, in the order in which it happened."""
    entered: dict[tuple[str, str], list[Decimal]] = {}
    fees: dict[tuple[str, str], Decimal] = {}
    found: list[Execution] = []
    for row in rows:
        quantity, price = money(row["quantity"]), money(row["price"])
        if quantity is None or price is None or quantity <= 0:
            continue
        trade = row["bot"] or "", row["trade_id"] or row["id"]
        commission = money(row["commission"]) or Decimal(0)
        if row["kind"] == "trade_entry":
            entered.setdefault(trade, []).append(quantity)
            fees[trade] = fees.get(trade, Decimal(0)) + commission
            found.append(_execution(row, quantity, price, commission))
            continue
        missing = quantity - _take(entered.get(trade, []), quantity)
        if missing > 0:
            found.append(_computed_entry(row, missing, quantity, price))
        found.append(_execution(row, quantity, price, _own_fee(commission, fees.pop(trade, Decimal(0)))))
    return sorted(found, key=lambda one: one.at)


def _own_fee(commission: Decimal, of_entry: Decimal) -> Decimal:
    """What an exit itself cost: it names the commission of both sides, unless that is less than the entry's was."""
    return commission - of_entry if commission >= of_entry else commission


def _take(entered: list[Decimal], quantity: Decimal) -> Decimal:
    """Use up what a trade's entries opened; returns how much of `quantity` they cover."""
    covered = Decimal(0)
    while entered and covered < quantity:
        part = min(entered[0], quantity - covered)
        covered, entered[0] = covered + part, entered[0] - part
        if not entered[0]:
            entered.pop(0)
    return covered


def _execution(row: Mapping[str, Any], quantity: Decimal, price: Decimal, fee: Decimal) -> Execution:
    opens = row["kind"] == "trade_entry"
    return Execution(
        at=row["time"].astimezone(UTC),
        account=row["account_id"] or "",
        symbol=row["symbol"] or "",
        is_long=(row["action"] == "BUY") is opens,
        opens=opens,
        quantity=quantity,
        price=price,
        fee=fee,
        trade=f"{row['bot'] or ''}:{row['trade_id'] or row['id']}",
    )


def _computed_entry(row: Mapping[str, Any], missing: Decimal, quantity: Decimal, price: Decimal) -> Execution:
    """The entry of an exit that has none: its fee is in the exit's commission."""
    exit_ = _execution(row, quantity, price, Decimal(0))
    profit = money(row["profit_loss"])
    sign = 1 if exit_.is_long else -1
    held = timedelta(seconds=max(0, row["hold_duration_seconds"] or 0))
    return Execution(
        at=exit_.at - held,
        account=exit_.account,
        symbol=exit_.symbol,
        is_long=exit_.is_long,
        opens=True,
        quantity=missing,
        price=price if profit is None else price - sign * profit / quantity,
        fee=Decimal(0),
        trade=exit_.trade,
        note=UNKNOWN if profit is None else COMPUTED,
    )


def _row(lot: Disposal, where: tzinfo) -> TaxRow:
    acquired, disposed = _day(lot.opened, where), _day(lot.closed.at, where)
    is_long_term = lot.closed.is_long and disposed > anniversary(acquired)
    return TaxRow(lot, acquired, disposed, "long" if is_long_term else "short")


def anniversary(day: date) -> date:
    """The same day a year later; 28 February for 29 February."""
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return date(day.year + 1, 2, 28)


def _day(moment: datetime, where: tzinfo) -> date:
    return moment.astimezone(where).date()


def _cells(row: TaxRow, mode: str, method: Method) -> tuple[Any, ...]:
    lot = row.lot
    return (
        lot.closed.symbol,
        "long" if lot.closed.is_long else "short",
        lot.quantity,
        row.acquired,
        row.disposed,
        (row.disposed - row.acquired).days,
        row.term,
        lot.proceeds,
        lot.cost_basis,
        lot.fees,
        lot.gain,
        mode,
        lot.closed.account,
        lot.closed.trade,
        method.value,
        lot.note,
    )
