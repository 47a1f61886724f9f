"""The bill of a fleet that does not exist yet: our way line by line, the naive way, and Cloud Logging.

A month of 30 days in the steady state after a year. Free tiers are taken off where Google gives them, as if the project
did nothing else. Compute is told apart, because it is the same whatever is logged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import ceil

from runner.logging import retention
from runner.logging.costs.bill import GIB, MONTH_DAYS, NAIVE_DOCUMENT_BYTES, NOTHING, TIB
from runner.logging.costs.fleet import (
    DAY,
    DOCUMENTS_OF_A_BOT,
    LOG_ENTRY_BYTES,
    SMALL_DOCUMENT_BYTES,
    TRAFFIC,
    UNIQUE_DOCUMENTS,
    Cadence,
    Fleet,
    Flow,
    bot_flows,
    home_flows,
    written,
)
from runner.logging.costs.prices import Prices
from runner.logging.routes import COMPLIANCE_LOGS, STREAMS
from runner.settings import MIB, Shipping

YEAR = 365
OBJECT_LIMIT = 8 * MIB
_LARGE = MIB
_MESSAGE_OVERHEAD = 180
_PAGE = 1000
_LEAST_SCAN = 10 * 1000 * 1000
_STATEMENTS_OF_A_LOAD = 5
_LEDGER_ROW, _ID_BYTES = 110, 60
_FUNCTIONS = 4
_FUNCTION_SECONDS, _FUNCTION_GIB = 60, Decimal("0.5")
_COMPUTE_GIB = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a simulated bill: a quantity a month, what it costs in US dollars, and how it was worked out."""

    section: str
    item: str
    quantity: float
    unit: str
    usd: Decimal
    formula: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What the bill depends on beside the fleet: cadence, which streams are published, and how long SQL looks back.

    `warehouse_days` 0 is the embedded warehouse, which costs nothing; more, BigQuery with records kept so long.
    """

    cadence: Cadence = field(default_factory=Cadence)
    published: tuple[str, ...] = Shipping().published
    subscriptions: int = 1
    warehouse_days: int = 0

    @staticmethod
    def of(shipping: Shipping, warehouse_days: int = 0) -> Plan:
        return Plan(Cadence.of(shipping), shipping.published, warehouse_days=warehouse_days)


@dataclass(frozen=True, slots=True)
class Simulation:
    """Bills of a month in US dollars. `naive_small` is the naive way's with documents of 3,000 bytes.

    `records_usd` is ours without SQL in the cloud, which the naive way has not either.
    """

    fleet: Fleet
    region: str
    ours: tuple[Entry, ...]
    naive: tuple[Entry, ...]
    naive_small: Decimal
    logging: tuple[Entry, ...]
    compute: Decimal
    free_log_records: int

    @property
    def records_usd(self) -> Decimal:
        return total(entry for entry in self.ours if entry.section != "warehouse")

    @property
    def share_of_naive(self) -> Decimal:
        return self.records_usd / total(self.naive) if total(self.naive) else NOTHING

    @property
    def share_of_logging(self) -> Decimal | None:
        """None where Cloud Logging costs nothing."""
        return self.records_usd / total(self.logging) if total(self.logging) else None

    @property
    def share_of_logging_with_sql(self) -> Decimal:
        return total(self.ours) / total(self.logging) if total(self.logging) else NOTHING


def total(entries: Iterable[Entry]) -> Decimal:
    return sum((entry.usd for entry in entries), NOTHING)


def simulate(fleet: Fleet, prices: Prices, plan: Plan | None = None) -> Simulation:
    """What a month of this fleet costs, in three ways."""
    known = plan or Plan()
    pool = prices.services.worker_pool
    seconds = Decimal(MONTH_DAYS) * int(DAY)
    naive = _Naive(fleet, prices)
    return Simulation(
        fleet=fleet,
        region=prices.region,
        ours=tuple(_Ours(fleet, prices, known).entries()),
        naive=tuple(naive.entries(NAIVE_DOCUMENT_BYTES)),
        naive_small=total(naive.entries(SMALL_DOCUMENT_BYTES)),
        logging=tuple(_CloudLogging(fleet, prices).entries()),
        free_log_records=free_log_records(prices),
        compute=fleet.homes * seconds * (pool.vcpu_second + _COMPUTE_GIB * pool.gib_second),
    )


def break_even(prices: Prices, plan: Plan, fleet: Fleet) -> int | None:
    """The records a day from which on ours is cheaper than Cloud Logging, to about a percent; None if nowhere.

    Records alone are compared: without live state, which Cloud Logging has not, and without SQL.
    """

    def dearer(records: int) -> bool:
        found = simulate(replace(fleet, records=records), prices, plan)
        ours = total(entry for entry in found.ours if entry.section not in ("live", "warehouse"))
        return ours > total(entry for entry in found.logging if entry.section == "logging")

    low, high = 1, 1_000_000_000
    if dearer(high) or not dearer(low):
        return None if dearer(high) else low
    while high > low * 1.01:
        middle = int((low * high) ** 0.5)
        low, high = (middle, high) if dearer(middle) else (low, middle)
    return high


def free_log_records(prices: Prices) -> int:
    """Records a day that Cloud Logging takes for nothing, when they are kept no longer than is included."""
    return int(float(prices.free.logging_month.gib * GIB) / (MONTH_DAYS * (record_bytes() + LOG_ENTRY_BYTES)))


def live_entries(fleet: Fleet, prices: Prices, writes: float, expiring: float) -> Iterator[Entry]:
    """Live documents written and deleted a day, and read by every listener when they change."""
    tier, cost = prices.free.firestore_day, prices.services.firestore
    billed = max(0.0, writes - tier.writes) * MONTH_DAYS
    formula = f"max(0, {writes:,.0f}/day - {tier.writes:,} free) x {MONTH_DAYS}"
    yield Entry("live", "writes", billed, "documents", _times(billed, cost.write_100k) / 100_000, formula)
    deleted = expiring * MONTH_DAYS
    formula = f"{expiring:,.0f} documents/day expire; none free"
    yield Entry("live", "expiry deletes", deleted, "documents", _times(deleted, cost.delete_100k) / 100_000, formula)
    reads = writes * fleet.listeners
    billed = max(0.0, reads - tier.reads) * MONTH_DAYS
    formula = f"max(0, {writes:,.0f}/day x {fleet.listeners} listeners - {tier.reads:,} free) x {MONTH_DAYS}"
    yield Entry("live", "listener reads", billed, "documents", _times(billed, cost.read_100k) / 100_000, formula)


def heartbeats(fleet: Fleet, cadence: Cadence) -> float:
    """Heartbeats a day, before coalescing."""
    return fleet.bots * DAY / cadence.heartbeat_every


class _Ours:
    """Our bill."""

    def __init__(self, fleet: Fleet, prices: Prices, plan: Plan) -> None:
        self._fleet, self._prices, self._plan = fleet, prices, plan
        cadence = plan.cadence
        self._bots, self._homes = bot_flows(fleet, cadence), home_flows(cadence)
        self._copies = [(one, fleet.bots) for one in bot_flows(fleet, cadence, compliance=True)]
        self._copies += [(one, fleet.homes) for one in home_flows(cadence, compliance=True)]
        self._flows = [(one, fleet.bots) for one in self._bots] + [(one, fleet.homes) for one in self._homes]
        self._objects = sum(one.objects * times for one, times in self._flows)
        self._copied = sum(one.objects * times for one, times in self._copies)
        self._compacted = sum(_compacted(one) * times for one, times in self._flows)

    def entries(self) -> Iterator[Entry]:
        yield from self._live()
        yield from self._operations()
        yield from self._kept()
        yield from self._stream()
        yield from self._functions()
        if self._plan.warehouse_days:
            yield from self._warehouse()

    def _live(self) -> Iterator[Entry]:
        fleet, cadence = self._fleet, self._plan.cadence
        states = written(fleet.updates, DOCUMENTS_OF_A_BOT * fleet.bots, cadence.live)
        beats = fleet.bots * DAY / max(cadence.heartbeat, cadence.heartbeat_every)
        yield from live_entries(fleet, self._prices, states + beats, fleet.updates * UNIQUE_DOCUMENTS)

    def _operations(self) -> Iterator[Entry]:
        storage, free = self._prices.services.storage, self._prices.free.storage_month
        exports = DAY / self._plan.cadence.export
        pages = ceil((self._objects + self._compacted * YEAR) / _PAGE) * exports
        created = self._objects + self._copied + self._compacted
        billed = max(0.0, (created + pages) * MONTH_DAYS - free.class_a)
        formula = (
            f"({self._objects:,.0f} objects + {self._copied:,.0f} compliance copies + {self._compacted:,.0f} compacted "
            f"+ {pages:,.0f} pages listed)/day x {MONTH_DAYS} - {free.class_a:,} free"
        )
        usd = _times(billed, storage.class_a_1k["STANDARD"]) / 1000
        yield Entry("archive", "class A operations", billed, "operations", usd, formula)
        billed = max(0.0, 2 * self._objects * MONTH_DAYS - free.class_b)
        formula = f"2 x {self._objects:,.0f} objects/day (export, compaction) x {MONTH_DAYS} - {free.class_b:,} free"
        usd = _times(billed, storage.class_b_1k["STANDARD"]) / 1000
        yield Entry("archive", "class B operations", billed, "operations", usd, formula)

    def _kept(self) -> Iterator[Entry]:
        usd = moves = NOTHING
        size = 0.0
        for one, times in self._flows:
            bucket = retention.BUCKETS[STREAMS[one.traffic.name].bucket]
            kept, moved = self._keep(one, times, bucket)
            usd, moves, size = usd + kept, moves + moved, size + one.stored * times * min(bucket.days, YEAR)
        usd -= _times(float(min(self._prices.free.storage_month.gib, Decimal(size) / GIB)), _gib(self._prices))
        yield Entry("archive", "kept", size, "bytes", max(NOTHING, usd), "bytes/day x days kept, by storage class")
        yield Entry("archive", "moves between classes", 0.0, "", moves, "compacted objects above 1 MiB, a move each")
        bucket = retention.BUCKETS[COMPLIANCE_LOGS]
        found = [self._keep(one, times, bucket) for one, times in self._copies]
        size = sum(one.stored * times for one, times in self._copies) * min(bucket.days, YEAR)
        usd = sum((kept + moved for kept, moved in found), NOTHING)
        yield Entry("compliance", "kept", size, "bytes", usd, "a year of copies; seven times that after seven years")

    def _keep(self, one: Flow, times: int, bucket: retention.BucketRetention) -> tuple[Decimal, Decimal]:
        """What keeping a stream costs a month, and moving its objects; those that are too small are never moved."""
        storage = self._prices.services.storage
        days = min(bucket.days, YEAR)
        objects = _compacted(one) if not bucket.locked else one.objects
        moves = bucket.moves if objects and one.stored / objects > _LARGE else {}
        steps = sorted((day, name) for name, day in moves.items() if day < days)
        usd, moved = NOTHING, NOTHING
        for (start, name), end in zip([(0, "STANDARD"), *steps], [*(day for day, _ in steps), days], strict=True):
            usd += _times(one.stored * times * (end - start), storage.gib_month[name]) / GIB
            if name != "STANDARD":
                moved += _times(objects * times * MONTH_DAYS, storage.class_a_1k[name]) / 1000
        return usd, moved

    def _stream(self) -> Iterator[Entry]:
        pubsub, free = self._prices.services.pubsub, self._prices.free.pubsub_month
        daily = sum(one.records * (one.traffic.record_bytes + _MESSAGE_OVERHEAD) for one in self._published())
        size = daily * MONTH_DAYS * (1 + self._plan.subscriptions)
        billed = max(0.0, size - float(free.gib * GIB))
        formula = (
            f"{daily:,.0f} bytes/day published x {MONTH_DAYS} x (1 + {self._plan.subscriptions} subscriptions) "
            f"- {free.gib} GiB free"
        )
        yield Entry("stream", "messages", billed, "bytes", _times(billed, pubsub.tib) / TIB, formula)

    def _published(self) -> Iterator[Flow]:
        for one, times in self._flows:
            if one.traffic.name in self._plan.published:
                yield Flow(one.traffic, one.records * times, one.objects * times, one.stored * times)

    def _functions(self) -> Iterator[Entry]:
        cost, free = self._prices.services.functions, self._prices.free.functions_month
        jobs = max(0, _FUNCTIONS - free.scheduler_jobs)
        formula = f"{_FUNCTIONS} jobs - {free.scheduler_jobs} free"
        yield Entry("functions", "Cloud Scheduler", jobs, "jobs", jobs * cost.scheduler_job_month, formula)
        seconds = _FUNCTIONS * MONTH_DAYS * _FUNCTION_SECONDS
        billed = max(0, seconds - free.vcpu_seconds)
        usd = billed * cost.vcpu_second
        usd += max(NOTHING, seconds * _FUNCTION_GIB - free.gib_seconds) * cost.gib_second
        formula = f"{_FUNCTIONS} functions a day, {_FUNCTION_SECONDS} s each - {free.vcpu_seconds:,} free"
        yield Entry("functions", "Cloud Run functions", billed, "vCPU seconds", usd, formula)

    def _warehouse(self) -> Iterator[Entry]:
        bigquery, free = self._prices.services.bigquery, self._prices.free.bigquery_month
        daily, days = sum(one.raw * times for one, times in self._flows), self._plan.warehouse_days
        size = daily * days
        active, older = daily * min(days, 90), daily * max(0, days - 90)
        active = max(0.0, active - float(free.gib * GIB))
        usd = (_times(active, bigquery.active_gib_month) + _times(older, bigquery.long_term_gib_month)) / GIB
        formula = f"{daily:,.0f} bytes/day x {days} days - {free.gib} GiB free"
        yield Entry("warehouse", "BigQuery storage", size, "bytes", usd, formula)
        exports = DAY / self._plan.cadence.export
        records = sum(one.records * times for one, times in self._flows)
        ledger = self._objects * YEAR * _LEDGER_ROW
        least = len(STREAMS) * _STATEMENTS_OF_A_LOAD * _LEAST_SCAN
        scanned = (least + ledger + records * _ID_BYTES / 2) * exports * MONTH_DAYS
        billed = max(0.0, scanned - float(free.query_tib * TIB))
        formula = f"{exports:,.0f} loads/day scan ids of the day and the ledger - {free.query_tib} TiB free"
        yield Entry("warehouse", "BigQuery loads", billed, "bytes", _times(billed, bigquery.query_tib) / TIB, formula)


class _Naive:
    """One document a record and a live update, kept for a month and deleted by its own expiry; all of it STANDARD."""

    def __init__(self, fleet: Fleet, prices: Prices) -> None:
        self._fleet, self._prices = fleet, prices
        self._updates = fleet.updates + heartbeats(fleet, Cadence())

    def entries(self, document_bytes: int) -> Iterator[Entry]:
        tier, cost, records = self._prices.free.firestore_day, self._prices.services.firestore, self._fleet.records
        writes = max(0.0, records + self._updates - tier.writes) * MONTH_DAYS
        formula = f"({records:,} records + {self._updates:,.0f} updates)/day x {MONTH_DAYS} - {tier.writes:,}/day free"
        yield Entry("naive", "writes", writes, "documents", _times(writes, cost.write_100k) / 100_000, formula)
        deletes = records * MONTH_DAYS
        formula = f"{records:,} records/day expire; none free"
        usd = _times(deletes, cost.delete_100k) / 100_000
        yield Entry("naive", "expiry deletes", deletes, "documents", usd, formula)
        size = records * MONTH_DAYS * document_bytes
        kept = max(0.0, size - float(tier.gib * GIB))
        formula = f"{records:,} records/day x {MONTH_DAYS} x {document_bytes:,} bytes - {tier.gib} GiB free"
        yield Entry("naive", "kept for a month", kept, "bytes", _times(kept, cost.gib_month) / GIB, formula)
        reads = max(0.0, self._updates * self._fleet.listeners - tier.reads) * MONTH_DAYS
        formula = f"({self._updates:,.0f}/day x {self._fleet.listeners} listeners - {tier.reads:,} free) x {MONTH_DAYS}"
        yield Entry("naive", "listener reads", reads, "documents", _times(reads, cost.read_100k) / 100_000, formula)


class _CloudLogging:
    """Every record as a log entry kept for a year, and the live updates as the naive way writes them."""

    def __init__(self, fleet: Fleet, prices: Prices) -> None:
        self._fleet, self._prices = fleet, prices

    def entries(self) -> Iterator[Entry]:
        cost, free = self._prices.services.logging, self._prices.free.logging_month
        size = record_bytes() + LOG_ENTRY_BYTES
        gib = self._fleet.records * MONTH_DAYS * size / float(GIB)
        billed = max(0.0, gib - float(free.gib))
        formula = f"{self._fleet.records:,} records/day x {MONTH_DAYS} x {size:,.0f} bytes - {free.gib} GiB free"
        yield Entry("logging", "taken in", billed, "GiB", _times(billed, cost.gib), formula)
        months = round((YEAR - cost.included_days) / MONTH_DAYS)
        formula = f"{gib:,.1f} GiB/month x {months} months beyond the {cost.included_days} days that are included"
        usd = _times(gib * months, cost.kept_gib_month)
        yield Entry("logging", "kept for a year", gib * months, "GiB", usd, formula)
        updates = self._fleet.updates + heartbeats(self._fleet, Cadence())
        yield from live_entries(self._fleet, self._prices, updates, self._fleet.updates * UNIQUE_DOCUMENTS)


def record_bytes() -> float:
    """The mean record of the traffic."""
    return sum(one.share * one.record_bytes for one in TRAFFIC)


def _compacted(one: Flow) -> float:
    """Objects a day that compaction leaves: as few as fit, and a manifest each."""
    return 2 * ceil(one.stored / OBJECT_LIMIT) if one.objects > 1 else one.objects


def _gib(prices: Prices) -> Decimal:
    return prices.services.storage.gib_month["STANDARD"]


def _times(quantity: float, unit: Decimal) -> Decimal:
    return Decimal(repr(float(quantity))) * unit
