"""Bills: what operations cost at list prices, what of it is free, and what the naive way would cost.

An operation is what a store counts: a service ("live", "archive", "compliance", "stream", "warehouse"), a name and the
bytes it carried. Some are billed by number, some by bytes, some not at all. Free tiers come as lines of their own,
because they belong to the project and not to one operation, day or bot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from runner.logging.costs.prices import Prices, load

GIB = Decimal(1 << 30)
TIB = Decimal(1 << 40)
MONTH_DAYS = 30
NOTHING = Decimal(0)
NAIVE_DOCUMENT_BYTES = 8_555
"""Of a mean record as a Firestore document, by Google's rule: 799 bytes, and 7,756 of automatic indexes."""
_ARCHIVE_MONTHS = 12

_Price = Callable[[Prices, int, int], Decimal]


@dataclass(frozen=True, slots=True)
class Cost:
    """One line of a bill, in US dollars."""

    name: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Work:
    """What was done: counts and bytes. `states` are live states before coalescing; `documents` will expire."""

    records: int
    states: int
    live_writes: int
    documents: int
    objects: int
    stored_bytes: int
    published_bytes: int


def _documents(price: str) -> _Price:
    return lambda prices, count, size: count * Decimal(getattr(prices.services.firestore, price)) / 100_000


def _class_a(prices: Prices, count: int, size: int) -> Decimal:
    return count * prices.services.storage.class_a_1k["STANDARD"] / 1000


def _class_b(prices: Prices, count: int, size: int) -> Decimal:
    return count * prices.services.storage.class_b_1k["STANDARD"] / 1000


def _stream_bytes(prices: Prices, count: int, size: int) -> Decimal:
    return size / TIB * prices.services.pubsub.tib


def _queried_bytes(prices: Prices, count: int, size: int) -> Decimal:
    return size / TIB * prices.services.bigquery.query_tib


def _free(prices: Prices, count: int, size: int) -> Decimal:
    return NOTHING


BILLED: Mapping[tuple[str, str], _Price] = {
    ("live", "writes"): _documents("write_100k"),
    ("live", "reads"): _documents("read_100k"),
    ("live", "own_reads"): _documents("read_100k"),
    ("live", "deletes"): _documents("delete_100k"),
    ("archive", "class_a"): _class_a,
    ("archive", "class_b"): _class_b,
    ("compliance", "class_a"): _class_a,
    ("compliance", "class_b"): _class_b,
    ("stream", "requests"): _stream_bytes,
    ("warehouse", "queries"): _queried_bytes,
}
"""What is billed, by service and operation. Everything else that stores count is free."""


def price(prices: Prices, store: str, operation: str, count: int, size: int) -> Decimal:
    """What operations cost at list prices, before any free tier."""
    return BILLED.get((store, operation), _free)(prices, count, size)


def stored(prices: Prices, size: int, storage_class: str = "STANDARD") -> Decimal:
    """What keeping bytes in the archive costs a month."""
    return size / GIB * prices.services.storage.gib_month[storage_class]


def covered(prices: Prices, days: Iterable[Mapping[tuple[str, str], tuple[int, int]]]) -> dict[str, Decimal]:
    """What free tiers take off a month's bill, by service. Each of `days` has counts and bytes by operation."""
    tier, monthly = prices.free.firestore_day, _Month()
    live = NOTHING
    for day in days:
        reads = sum(day.get(("live", name), (0, 0))[0] for name in ("reads", "own_reads"))
        free_of = {"writes": tier.writes, "reads": tier.reads, "deletes": tier.deletes}
        done = {"writes": _count(day, "live", "writes"), "reads": reads, "deletes": _count(day, "live", "deletes")}
        live += sum((price(prices, "live", name, min(done[name], free_of[name]), 0) for name in done), NOTHING)
        monthly.add(day)
    return {"live": live, **monthly.covered(prices)}


class _Month:
    """Sums of what is free by the month."""

    def __init__(self) -> None:
        self.class_a = self.class_b = self.published = self.queried = 0

    def add(self, day: Mapping[tuple[str, str], tuple[int, int]]) -> None:
        self.class_a += _count(day, "archive", "class_a") + _count(day, "compliance", "class_a")
        self.class_b += _count(day, "archive", "class_b") + _count(day, "compliance", "class_b")
        self.published += day.get(("stream", "requests"), (0, 0))[1]
        self.queried += day.get(("warehouse", "queries"), (0, 0))[1]

    def covered(self, prices: Prices) -> dict[str, Decimal]:
        free = prices.free
        published = min(self.published, int(free.pubsub_month.gib * GIB))
        queried = min(self.queried, int(free.bigquery_month.query_tib * TIB))
        operations = _class_a(prices, min(self.class_a, free.storage_month.class_a), 0)
        operations += _class_b(prices, min(self.class_b, free.storage_month.class_b), 0)
        return {
            "archive": operations,
            "stream": _stream_bytes(prices, 0, published),
            "warehouse": _queried_bytes(prices, 0, queried),
        }


def _count(day: Mapping[tuple[str, str], tuple[int, int]], store: str, operation: str) -> int:
    return day.get((store, operation), (0, 0))[0]


def estimate(work: Work, prices: Prices | None = None) -> list[Cost]:
    """The bill of our way, without free tiers: coalesced documents, few large objects kept a year, one stream."""
    known = prices or load()
    return [
        Cost("Firestore writes", price(known, "live", "writes", work.live_writes, 0)),
        Cost("Firestore expiry deletes", price(known, "live", "deletes", work.documents, 0)),
        Cost("Cloud Storage objects", price(known, "archive", "class_a", work.objects, 0)),
        Cost("Cloud Storage for a year", stored(known, work.stored_bytes) * _ARCHIVE_MONTHS),
        Cost("Pub/Sub", price(known, "stream", "requests", 0, work.published_bytes)),
    ]


def estimate_naive(work: Work, prices: Prices | None = None) -> list[Cost]:
    """The bill of the naive way for the same records, without free tiers.

    It writes one document a record and a state, keeps each for a month, and lets the store's own expiry delete them.
    """
    known = prices or load()
    kept = work.records * NAIVE_DOCUMENT_BYTES / GIB * known.services.firestore.gib_month
    return [
        Cost("Firestore writes", price(known, "live", "writes", work.records + work.states, 0)),
        Cost("Firestore expiry deletes", price(known, "live", "deletes", work.records, 0)),
        Cost("Firestore for a month", kept),
    ]


def total(costs: Iterable[Cost]) -> Decimal:
    return sum((cost.amount for cost in costs), NOTHING)
