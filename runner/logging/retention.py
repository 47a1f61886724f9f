"""How long everything is kept, as one table.

It drives the expiry of live documents, the lifecycle of buckets, the look-back of the journal, what `tron sweep`
deletes, and the variables of Terraform. `check` says what is wrong with a table before anybody uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from runner.errors import ConfigError
from runner.logging.routes import ANALYTICS_DATA, COGNITIVE_ARCHIVES, COMPLIANCE_LOGS, STREAMS, SYSTEM_LOGS, TRADE_LOGS
from runner.stores.base import LifecycleRule


@dataclass(frozen=True, slots=True)
class BucketRetention:
    """Days until deletion, and days until an object (above 1 MiB) moves to a cheaper storage class.

    A `locked` bucket has a retention policy: what lies in it cannot be deleted before its time.
    """

    days: int
    moves: Mapping[str, int] = field(default_factory=dict)
    locked: bool = False


BUCKETS: Mapping[str, BucketRetention] = {
    TRADE_LOGS: BucketRetention(365, {"NEARLINE": 30, "COLDLINE": 90}),
    COGNITIVE_ARCHIVES: BucketRetention(181, {"NEARLINE": 30, "COLDLINE": 90}),
    SYSTEM_LOGS: BucketRetention(90, {"NEARLINE": 30}),
    ANALYTICS_DATA: BucketRetention(730, {"NEARLINE": 30, "COLDLINE": 90}),
    COMPLIANCE_LOGS: BucketRetention(2555, {"NEARLINE": 30, "COLDLINE": 90, "ARCHIVE": 365}, locked=True),
}

LIVE: Mapping[str, timedelta] = {
    "live_trades": timedelta(days=7),
    "live_positions": timedelta(days=7),
    "live_alerts": timedelta(days=7),
    "live_cognitive": timedelta(days=14),
    "live_system_status": timedelta(hours=1),
    "daily_summaries": timedelta(days=30),
    "daily_reflections": timedelta(days=30),
    "dashboard_metrics": timedelta(days=30),
}
"""How long a live document lives after the last record that touched it."""

LOCAL: Mapping[str, timedelta] = {"journal": timedelta(hours=1)}
"""How long what is archived stays on the machine, so that a tail can look back. `journal.keep_days` lengthens it."""

VERSIONS = 5
"""How many versions of a rewritten object (a daily CSV summary) are kept. Batch objects are never rewritten."""

QUIET = timedelta(days=1)
"""How long after its end a day is left to late writers before it is compacted."""

MOVE_ABOVE = 1 << 20
"""Bytes. A move is billed by object; below about this size it costs more than the cheaper class saves."""

CLASS_MINIMUM: Mapping[str, int] = {"NEARLINE": 30, "COLDLINE": 90, "ARCHIVE": 365}
"""Days that are billed for an object at least, once it is in a class; cheapest class last."""

LEGAL_MINIMUM: Mapping[str, int] = {COMPLIANCE_LOGS: 7 * 365}
"""Days that a bucket's records must be kept."""

_LATE = 1
"""Days that a move may come late; a deletion is on time then, and the class's minimum is not reached."""


def rules(retention: BucketRetention) -> tuple[LifecycleRule, ...]:
    """The lifecycle that a bucket of this retention has."""
    moves = (LifecycleRule(days, name, MOVE_ABOVE) for name, days in retention.moves.items())
    return tuple(sorted([LifecycleRule(retention.days), *moves]))


def is_quiet(day: date, now: datetime) -> bool:
    """Whether a day has been over for so long that nobody writes to it any more, unless he was away."""
    return datetime.combine(day + timedelta(days=1), time(), UTC) + QUIET <= now


def is_over(bucket: str, day: date, now: datetime) -> bool:
    """Whether the time of all that a bucket holds of a day is over. False for a bucket that is not in the table."""
    retention = BUCKETS.get(bucket)
    return retention is not None and (now.date() - day).days > retention.days


def check(buckets: Mapping[str, BucketRetention] = BUCKETS, live: Mapping[str, timedelta] = LIVE) -> list[str]:
    """What is wrong with a table, one sentence each: what would happen, and what to do. Empty for a good one."""
    return [
        *_missing(buckets),
        *(problem for name, retention in buckets.items() for problem in _bucket_problems(name, retention)),
        *_live_problems(buckets, live),
    ]


def require_good(buckets: Mapping[str, BucketRetention] = BUCKETS, live: Mapping[str, timedelta] = LIVE) -> None:
    """Raise `ConfigError` with the first problem of a table: a wrong one is never applied."""
    for problem in check(buckets, live):
        raise ConfigError(f"the retention table is wrong: {problem}", "see docs/retention.md")


def _missing(buckets: Mapping[str, BucketRetention]) -> Iterator[str]:
    wanted = {route.bucket for route in STREAMS.values()} | set(LEGAL_MINIMUM)
    for name in sorted(wanted - set(buckets)):
        yield f"{name} is not in it: its objects would be kept for ever; give it a number of days"


def _bucket_problems(name: str, retention: BucketRetention) -> Iterator[str]:
    if retention.days < 1:
        yield f"{name} keeps its objects for {retention.days} days: give it at least one"
        return
    legal = LEGAL_MINIMUM.get(name, 0)
    if retention.days < legal:
        yield f"{name} keeps its objects for {retention.days} days, the law asks for {legal}: keep them as long"
    if legal and not retention.locked:
        yield f"{name} has no retention policy: anybody who may delete could end a legal period early; lock it"
    yield from _move_problems(name, retention)


def _move_problems(name: str, retention: BucketRetention) -> Iterator[str]:
    unknown = sorted(set(retention.moves) - set(CLASS_MINIMUM))
    if unknown:
        yield f"{name} moves objects to {unknown[0]}, which is no class: use {', '.join(CLASS_MINIMUM)}"
        return
    steps = [(retention.moves[kind], kind) for kind in CLASS_MINIMUM if kind in retention.moves]
    if steps != sorted(steps) or len({days for days, _ in steps}) < len(steps):
        yield f"{name} moves objects to a cheaper class before a dearer one, which never happens then: drop the dearer"
    for days, kind in steps[-1:]:
        left, minimum = retention.days - days, CLASS_MINIMUM[kind]
        if left < minimum + _LATE:
            yield (
                f"{name} deletes objects {left} days after they move to {kind}, which bills {minimum} days at least "
                f"(and a move may come {_LATE} day late): drop the step to {kind}"
            )


def _live_problems(buckets: Mapping[str, BucketRetention], live: Mapping[str, timedelta]) -> Iterator[str]:
    shortest = min((retention.days for retention in buckets.values()), default=0)
    for name, period in live.items():
        if period <= timedelta(0):
            yield f"{name} lives for {period}: a document would be gone before it is seen"
        elif period > timedelta(days=shortest):
            yield f"{name} lives for {period.days} days, longer than an archive that it could be rebuilt from"
