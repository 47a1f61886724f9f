"""The cost report of a month: what was done and what it costs, by day, service, operation and bot.

Every number says how it is known:

- *metered*: counted by our stores as they worked, at list prices;
- *estimated*: worked out, from metered counts, sizes and shares: forecasts, what is kept, what a bot's part is, the
  naive way; and everything of stores that Google does not bill, as if it did;
- *billed*: from Google's own billing export.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from runner.logging import documents, retention
from runner.logging.costs.bill import (
    BILLED,
    GIB,
    NAIVE_DOCUMENT_BYTES,
    NOTHING,
    Work,
    covered,
    estimate_naive,
    price,
    stored,
    total,
)
from runner.logging.costs.forecast import Forecast, forecast
from runner.logging.costs.ledger import Ledger, Traffic
from runner.logging.costs.prices import Prices
from runner.settings import Costs

METERED, ESTIMATED, BILLED_BY_GOOGLE = "metered", "estimated", "billed"


@dataclass(frozen=True, slots=True)
class Line:
    """Operations of one service on one day, and what they cost in US dollars before free tiers."""

    day: str
    service: str
    operation: str
    count: int
    bytes: int
    usd: Decimal
    label: str


@dataclass(frozen=True, slots=True)
class Sum:
    """An amount in US dollars and how it is known."""

    name: str
    usd: Decimal
    label: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What Google has billed for the same days, and by how much that is more than what was metered and estimated.

    What is paid elsewhere is in neither.
    """

    usd: Decimal
    difference: Decimal
    by_service: Mapping[str, Decimal]
    label: str = BILLED_BY_GOOGLE


@dataclass(frozen=True, slots=True)
class CostReport:
    """All amounts are US dollars of the month up to `as_of`, free tiers taken off where it says so."""

    month: str
    as_of: str
    region: str
    lines: tuple[Line, ...]
    free: tuple[Sum, ...]
    kept: tuple[Sum, ...]
    other: tuple[Sum, ...]
    bots: tuple[Sum, ...]
    total: Sum
    naive: Sum
    forecast: Forecast | None
    budget: Decimal
    sources: Mapping[str, str]
    billed: Comparison | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def share_of_naive(self) -> Decimal | None:
        return self.total.usd / self.naive.usd if self.naive.usd else None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: amounts are strings, because they are decimal."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        found["forecast"] = found["forecast"] and {**found["forecast"], "label": ESTIMATED}
        share = self.share_of_naive
        return {**found, "share_of_naive": None if share is None else str(round(share, 4))}


def report(
    ledger: Ledger, prices: Prices, costs: Costs, now: datetime, billed_stores: Iterable[str], bot: str = ""
) -> CostReport:
    """The report of the ledger's month. With `bot`, what is attributed to this bot only, and nothing is forecast."""
    billed = frozenset(billed_stores)
    days = _until(ledger.month, now)
    kept, other = _kept(ledger, prices, days, billed), _other(costs, ledger.month, days)
    lines, notes = _lines(ledger, prices, billed), _notes(ledger, billed)
    free = [Sum(name, -usd, _label(name, billed)) for name, usd in covered(prices, ledger.days.values()).items() if usd]
    bots = _bots(ledger, lines)
    daily = _daily(ledger, prices, [*kept, *other], days)
    summed = sum(daily.values(), NOTHING)
    if bot:
        share = _share_by_day(ledger)
        lines = [_attributed(line, share.get((line.day, bot, line.service), NOTHING)) for line in lines]
        bots, free, kept, other = [one for one in bots if one.name == bot], [], [], []
        summed = sum((one.usd for one in bots), NOTHING)
    return CostReport(
        month=ledger.month,
        as_of=now.isoformat(timespec="seconds"),
        region=prices.region,
        lines=tuple(line for line in lines if line.count or line.bytes),
        free=tuple(free),
        kept=tuple(kept),
        other=tuple(other),
        bots=tuple(bots),
        total=Sum(bot or "month to date", summed, ESTIMATED, "operations metered, the rest estimated"),
        naive=_naive(ledger, prices, bot),
        forecast=None if bot or ledger.month != f"{now:%Y-%m}" else forecast(daily, now),
        budget=costs.monthly_usd,
        sources=prices.sources,
        notes=notes,
    )


def with_billed(found: CostReport, by_service: Mapping[str, Decimal]) -> CostReport:
    """The report beside what Google has billed, by its name of the service, for the same days."""
    usd = sum(by_service.values(), NOTHING)
    ours = found.total.usd - sum((one.usd for one in found.other), NOTHING)
    return replace(found, billed=Comparison(usd, usd - ours, dict(sorted(by_service.items()))))


def _label(store: str, billed: frozenset[str]) -> str:
    return METERED if store in billed else ESTIMATED


def _lines(ledger: Ledger, prices: Prices, billed: frozenset[str]) -> list[Line]:
    return [
        Line(day, *key, *one, price(prices, *key, *one), _label(key[0], billed))
        for day, found in ledger.days.items()
        for key, one in sorted(found.items())
    ]


def _notes(ledger: Ledger, billed: frozenset[str]) -> tuple[str, ...]:
    notes = []
    if local := sorted({"live", "archive", "stream", "warehouse"} - billed):
        notes.append(f"{', '.join(local)}: not on Google Cloud, so Google bills nothing; priced as if they were")
    if ledger.unreadable:
        first, count = ledger.unreadable[0], len(ledger.unreadable)
        notes.append(f"costs are higher than shown: {count} usage objects cannot be read, such as {first}")
    return tuple(notes)


def _until(month: str, now: datetime) -> int:
    """How many days of the month have begun."""
    year, number = map(int, month.split("-"))
    return now.day if month == f"{now:%Y-%m}" else calendar.monthrange(year, number)[1]


def _kept(ledger: Ledger, prices: Prices, days: int, billed: frozenset[str]) -> list[Sum]:
    """What is kept, for the part of the month that has passed, as if it had been there all the time, in STANDARD."""
    found = [
        Sum(
            bucket,
            stored(prices, kept.bytes) * days / 30,
            ESTIMATED,
            f"{kept.objects:,} objects, {kept.bytes:,} bytes, {retention.BUCKETS[bucket].days} days",
        )
        for bucket, kept in ledger.kept.items()
        if kept.objects
    ]
    size = sum(kept.bytes for kept in ledger.kept.values())
    free = min(Decimal(size) / (1 << 30), prices.free.storage_month.gib)
    taken_off = stored(prices, int(free * (1 << 30))) * days / 30
    return [*found, Sum("free tier of Cloud Storage", -taken_off, ESTIMATED)] if taken_off else found


def _other(costs: Costs, month: str, days: int) -> list[Sum]:
    """What is paid elsewhere, for the part of the month that has passed."""
    year, number = map(int, month.split("-"))
    of = calendar.monthrange(year, number)[1]
    note = "by hand, from the settings"
    return [Sum(one.name, one.monthly_usd * days / of, ESTIMATED, note) for one in costs.other]


def _daily(ledger: Ledger, prices: Prices, even: Iterable[Sum], days: int) -> dict[str, Decimal]:
    """Each day's own cost: what the bill grew by, free tiers used up first. What is `even` is spread over all days."""
    so_far: list[Mapping[tuple[str, str], tuple[int, int]]] = []
    gross, before, found = NOTHING, NOTHING, {}
    share = sum((one.usd for one in even), NOTHING) / days
    for number in range(1, days + 1):
        day = f"{ledger.month}-{number:02}"
        done = ledger.days.get(day, {})
        so_far.append(done)
        gross += sum((price(prices, *key, *one) for key, one in done.items()), NOTHING)
        net = gross - sum(covered(prices, so_far).values(), NOTHING) if done else before
        found[day] = net - before + share
        before = net
    first = min(ledger.days, default="")
    return {day: usd for day, usd in found.items() if usd or day >= first} if first else found


def _naive(ledger: Ledger, prices: Prices, bot: str) -> Sum:
    """One document a record and a state, each kept for a month. Free tiers are taken off, but not of a single bot."""
    records = sum(one.records for (_, name, _), one in ledger.traffic.items() if not bot or name == bot)
    by_day = {day: found.get(("coalescing", "states"), (0, 0))[0] for day, found in ledger.days.items()}
    states = 0 if bot else sum(by_day.values())
    usd = total(estimate_naive(Work(records, states, 0, 0, 0, 0, 0), prices))
    if not bot:
        tier, days = prices.free.firestore_day, {day for day, _, _ in ledger.traffic} | by_day.keys()
        done = {day: ledger.records(day) + by_day.get(day, 0) for day in days}
        usd -= sum((price(prices, "live", "writes", min(one, tier.writes), 0) for one in done.values()), NOTHING)
        size = min(Decimal(records * NAIVE_DOCUMENT_BYTES) / GIB, tier.gib)
        usd -= size * prices.services.firestore.gib_month
    note = f"{records:,} records and {states:,} live states as documents of {NAIVE_DOCUMENT_BYTES:,} bytes"
    return Sum("the naive way", usd, ESTIMATED, note)


def _bots(ledger: Ledger, lines: Iterable[Line]) -> list[Sum]:
    """What of the operations is each bot's, by its share of what was written on the same day."""
    shares, found = _share_by_day(ledger), dict[str, Decimal]()
    names = sorted({bot for _, bot, _ in ledger.traffic})
    for line in lines:
        for bot in names:
            found[bot] = found.get(bot, NOTHING) + line.usd * shares.get((line.day, bot, line.service), NOTHING)
    return [Sum(bot, usd, ESTIMATED, "by its share of records and objects") for bot, usd in sorted(found.items())]


def _share_by_day(ledger: Ledger) -> dict[tuple[str, str, str], Decimal]:
    """A bot's share of a service by day, bot and service: of records that become documents, of objects, of bytes."""
    weights: dict[tuple[str, str, str], int] = {}
    sums: dict[tuple[str, str], int] = {}
    for (day, bot, stream), one in ledger.traffic.items():
        for store in {store for store, _ in BILLED} | {"coalescing"}:
            weight = _weight(store, stream, one)
            weights[day, bot, store] = weights.get((day, bot, store), 0) + weight
            sums[day, store] = sums.get((day, store), 0) + weight
    return {key: Decimal(weight) / sums[key[0], key[2]] for key, weight in weights.items() if weight}


def _weight(store: str, stream: str, one: Traffic) -> int:
    if store in ("live", "coalescing"):
        return one.records if stream in documents.STREAMS else 0
    if store in ("archive", "compliance"):
        return one.objects
    return one.raw_bytes


def _attributed(line: Line, share: Decimal) -> Line:
    count, size = int(line.count * share), int(line.bytes * share)
    return Line(line.day, line.service, line.operation, count, size, line.usd * share, ESTIMATED)
