"""Thresholds and the budget of a month: who is told when one is crossed, and what is done about it.

| share of the budget | alert    | what follows (where `costs.act` says so)                      |
|---------------------|----------|---------------------------------------------------------------|
| 80 %                | WARNING  | `widen`: live windows are four times as long                  |
| 100 %               | CRITICAL | `widen`: twelve times; `drop_debug`: debug records are counted |

A level is left when the share falls ten points below where it began, and not before an hour has passed, so that a share
which wavers does not make windows waver. Each step, up or down, is an audit record. Thresholds only alert, once a day.
What is compared is what this home has spent this month at list prices, free tiers taken off, kept objects included.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from runner.clock import Clock
from runner.layout import Home
from runner.logging import economy, lines
from runner.logging.costs.bill import GIB, MONTH_DAYS, NOTHING, covered, price, stored
from runner.logging.costs.prices import Prices
from runner.logging.costs.spend import Counts, SpendBook
from runner.logging.economy import Economy
from runner.settings import Costs

HYSTERESIS = Decimal("0.1")
LEAST_STAY = timedelta(hours=1)
_KEPT_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Level:
    """Where it begins, as a share of the budget, and what follows from it."""

    share: Decimal
    stretch: float
    dropped: tuple[str, ...]


LEVELS = (Level(Decimal("0.8"), 4.0, ()), Level(Decimal(1), 12.0, ("debug",)))


class Alerts(Protocol):
    """Who writes alerts. Once it has `ended`, nobody would ship them any more in this process."""

    ended: bool

    def warn(self, message: str, context: Mapping[str, Any]) -> None: ...

    def alarm(self, message: str, context: Mapping[str, Any]) -> None: ...

    def note_action(self, action: str, reason: str, context: Mapping[str, Any]) -> None: ...


class Stretching(Protocol):
    """A follower whose windows can be stretched."""

    stretch: float


@dataclass(frozen=True, slots=True)
class Spent:
    """What a home has spent in a month so far, in US dollars, what it did today, and the bytes that it keeps."""

    usd: Decimal
    today: Counts
    stored_bytes: int


def spent(book: SpendBook, prices: Prices, today: date, billed: Collection[str]) -> Spent:
    """The month so far. Services that are not among `billed` cost nothing, because they are files of this machine."""
    month = f"{today:%Y-%m}"
    days = {
        day: {key: one for key, one in found.items() if key[0] in billed} for day, found in book.days(month).items()
    }
    usd = sum((price(prices, *key, *one) for found in days.values() for key, one in found.items()), NOTHING)
    usd -= sum(covered(prices, days.values()).values(), NOTHING)
    kept = sum(
        found.get((store, "class_a"), (0, 0))[1]
        for known in book.months()[-_KEPT_MONTHS:]
        for found in book.days(known).values()
        for store in ("archive", "compliance")
        if store in billed
    )
    free = int(prices.free.storage_month.gib * GIB)
    usd += stored(prices, max(0, kept - free)) * today.day / MONTH_DAYS
    return Spent(usd, days.get(today.isoformat(), {}), kept)


class BudgetWatch:
    """The shipper's chore that looks at what was spent. `live` may be None where nothing can be stretched."""

    every = 60.0

    def __init__(
        self,
        home: Home,
        costs: Costs,
        prices: Prices,
        clock: Clock,
        alerts: Alerts,
        live: Stretching | None,
        billed: Collection[str],
    ) -> None:
        self._home = home
        self._costs = costs
        self._prices = prices
        self._clock = clock
        self._alerts = alerts
        self._live = live
        self._billed = billed
        self._book = SpendBook(home)

    def run(self) -> None:
        """Compare, tell, act. Raises `JournalError` where the disk refuses."""
        if self._alerts.ended:
            return
        now, before = self._clock.now(), economy.load(self._home)
        so_far = spent(self._book, self._prices, now.date(), self._billed)
        after = self._watch_thresholds(self._watch_budget(before, so_far, now), so_far, now.date())
        if after != before:
            economy.save(self._home, after)
        if self._live is not None:
            self._live.stretch = after.stretch

    def _watch_budget(self, before: Economy, so_far: Spent, now: datetime) -> Economy:
        budget = self._costs.monthly_usd
        share = so_far.usd / budget if budget else NOTHING
        level = _next_level(before, share, now)
        if level == before.level:
            return before
        reason = f"{so_far.usd:.2f} of {budget:.2f} US dollars of this month are spent ({share:.0%})"
        after = msgspec.structs.replace(
            before, level=level, since=lines.timestamp(now), reason=reason, **self._consequences(level)
        )
        self._tell(before, after, reason, share)
        return after

    def _consequences(self, level: int) -> dict[str, Any]:
        found = LEVELS[level - 1] if level else Level(NOTHING, 1.0, ())
        widens, drops = "widen" in self._costs.act, "drop_debug" in self._costs.act
        return {"stretch": found.stretch if widens else 1.0, "dropped": found.dropped if drops else ()}

    def _tell(self, before: Economy, after: Economy, reason: str, share: Decimal) -> None:
        context = {
            "level": after.level,
            "share": f"{share:.3f}",
            "live_windows": f"x{after.stretch:g}",
            "dropped": list(after.dropped),
        }
        if after.level > before.level:
            (self._alerts.alarm if after.level == len(LEVELS) else self._alerts.warn)(f"budget: {reason}", context)
        if (after.stretch, after.dropped) != (before.stretch, before.dropped):
            self._alerts.note_action("save" if after.level else "stop_saving", reason, context)

    def _watch_thresholds(self, state: Economy, so_far: Spent, today: date) -> Economy:
        """Alert for each threshold that is crossed, once a day."""
        told = dict(state.told)
        for name, (found, limit) in self._measures(so_far).items():
            if limit and found > limit and told.get(name) != today.isoformat():
                told[name] = today.isoformat()
                message = f"costs: {found:,.0f} {name.replace('_', ' ')}, the threshold is {limit:,.0f}"
                self._alerts.warn(message, {"measure": name, "found": str(found), "threshold": str(limit)})
        return state if told == state.told else msgspec.structs.replace(state, told=told)

    def _measures(self, so_far: Spent) -> dict[str, tuple[Decimal, Decimal]]:
        def count(*keys: tuple[str, str]) -> Decimal:
            return Decimal(sum(so_far.today.get(key, (0, 0))[0] for key in keys))

        operations = [(store, name) for store in ("archive", "compliance") for name in ("class_a", "class_b")]
        limits = self._costs
        return {
            "firestore_writes_today": (count(("live", "writes")), Decimal(limits.firestore_writes_per_day)),
            "archive_operations_today": (count(*operations), Decimal(limits.archive_operations_per_day)),
            "gib_in_the_archive": (so_far.stored_bytes / GIB, limits.storage_gib),
        }


def _next_level(state: Economy, share: Decimal, now: datetime) -> int:
    """Up at once; down when the share is well below where the level began, and the level has stood for a while."""
    reached = sum(share >= level.share for level in LEVELS)
    if reached >= state.level:
        return reached
    if state.since and now - lines.moment(state.since) < LEAST_STAY:
        return state.level
    level = min(state.level, len(LEVELS))
    while level > reached and share < LEVELS[level - 1].share - HYSTERESIS:
        level -= 1
    return level
