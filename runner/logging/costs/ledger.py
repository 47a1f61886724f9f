"""The fleet's ledger of a month: usage records and objects of the archive, and the journal's unshipped rest.

Usage records say what the stores were asked for, by every home that ships to the archive. Objects say by their metadata
how much each bot wrote on which day, and how much is kept. Reading costs a listing of all buckets, another of the
month, and one read for each object of a shipper's `metrics`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from runner.errors import ConfigError, StoreError, StoreUnavailable
from runner.layout import Home
from runner.logging import backlog, lines
from runner.logging.costs.spend import Counts
from runner.logging.housekeeping import SHIPPER
from runner.logging.objects import PRIMARY, content
from runner.logging.parts import view
from runner.logging.retention import BUCKETS
from runner.stores.base import Archive, ObjectInfo

_MONTH = re.compile(r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])")
_USAGE = b'"kind":"usage"'


@dataclass(slots=True)
class Traffic:
    """What one bot wrote on one day to one stream, as it lies in the archive."""

    records: int = 0
    raw_bytes: int = 0
    objects: int = 0


@dataclass(slots=True)
class Kept:
    """What a bucket holds."""

    objects: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Ledger:
    """`days` are counts and bytes by day, service and operation; `traffic` is by day, bot and stream.

    `unreadable` are objects whose usage is missing here.
    """

    month: str
    days: dict[str, Counts] = field(default_factory=dict)
    traffic: dict[tuple[str, str, str], Traffic] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def add(self, day: str, store: str, operation: str, count: int, size: int) -> None:
        found = self.days.setdefault(day, {})
        known = found.get((store, operation), (0, 0))
        found[store, operation] = (known[0] + count, known[1] + size)

    def records(self, day: str) -> int:
        """Records of a day, the shipper's own among them."""
        return sum(one.records for (at, _, _), one in self.traffic.items() if at == day)


def check_month(text: str, today: date) -> str:
    """A month as `YYYY-MM`, this one when it is empty. Raises `ConfigError` for what is none, or is still to come."""
    month = text or f"{today:%Y-%m}"
    if not _MONTH.fullmatch(month) or month < "2000-01":
        raise ConfigError(f"{text!r} is no month", "write it as 2026-11")
    if month > f"{today:%Y-%m}":
        raise ConfigError(
            f"{month} is still to come", "`tron costs` forecasts this month; --simulate answers for others"
        )
    return month


def read_ledger(archive: Archive, home: Home | None, month: str) -> Ledger:
    """Everything that is known of a month. Raises `StoreUnavailable`; try again then."""
    ledger, seen, parts = Ledger(month), set[str](), view(archive)
    for bucket in BUCKETS:
        kept = ledger.kept.setdefault(bucket, Kept())
        for info in archive.list(bucket):
            kept.objects += 1
            kept.bytes += info.size
    for bucket in PRIMARY:
        for info in parts.list(bucket, f"logs/{month.replace('-', '/')}/"):
            _count_object(ledger, info)
            if _is_usage(info):
                _read_usage(ledger, parts, info, seen)
    if home is not None and home.journal.is_dir():
        _add_usage(ledger, backlog.unshipped(home).get("metrics", b""), seen)
    ledger.days = dict(sorted(ledger.days.items()))
    return ledger


def _count_object(ledger: Ledger, info: ObjectInfo) -> None:
    meta = info.metadata
    try:
        records, raw, stream = int(meta["records"]), int(meta["raw_bytes"]), meta["stream"]
    except (KeyError, ValueError):
        return
    day, bot = "-".join(info.name.split("/")[1:4]), meta.get("bot", "")
    one = ledger.traffic.setdefault((day, bot, stream), Traffic())
    one.records += records
    one.raw_bytes += raw
    one.objects += 1


def _read_usage(ledger: Ledger, archive: Archive, info: ObjectInfo, seen: set[str]) -> None:
    """Add the usage of an object; one that is damaged is told, and the others count."""
    try:
        raw = content(archive, info)
    except StoreUnavailable:
        raise
    except StoreError:
        ledger.unreadable.append(f"{info.bucket}/{info.name}")
        return
    _add_usage(ledger, raw, seen)


def _is_usage(info: ObjectInfo) -> bool:
    return info.metadata.get("bot") == SHIPPER and info.metadata.get("stream") == "metrics"


def _add_usage(ledger: Ledger, raw: bytes, seen: set[str]) -> None:
    for record in _usage(lines.split(raw)):
        day = str(record["ts"])[:10]
        if record["id"] not in seen and day.startswith(ledger.month):
            seen.add(record["id"])
            data = record["data"]
            ledger.add(day, data["service"], data["operation"], data["count"], data.get("bytes", 0))


def _usage(found: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in found:
        if _USAGE in line and lines.is_intact(line):
            yield lines.decode(line)
