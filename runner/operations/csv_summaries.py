"""The daily summary of a bot's closed trades, as CSV in the archive.

    analytics-data/logs/YYYY/MM/DD/<bot>/trades_summary_<bot>_<YYYY-MM-DD>_v<N>.csv.gz

The day is that of market time (UTC) on which trades were closed. `N` begins at 1 and counts rewrites: a new version is
written only when the content differs from the newest one, such as after late records, so doing it again writes nothing.
Versions are never changed; how many are kept is the retention's business.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import quote

from runner.errors import ObjectExists, StoreUnavailable
from runner.logging.routes import ANALYTICS_DATA
from runner.operations.cells import csv_text
from runner.operations.daily_performance import closed_trades, money
from runner.operations.days import Days
from runner.stores.base import Archive, Warehouse

BUCKET = ANALYTICS_DATA
COLUMNS = (
    "closed_at",
    "symbol",
    "action",
    "quantity",
    "price",
    "strategy",
    "outcome",
    "profit_loss",
    "commission",
    "net_profit_loss",
    "held_seconds",
    "execution_mode",
    "trade_id",
    "exit_reasoning",
)
_VERSION = re.compile(r"_v(\d+)\.csv\.gz$")
_AT_ONCE = 31
_TRIES = 5


@dataclass(frozen=True, slots=True)
class SummariesReport:
    """Summaries that were written now, by name, and how many said the same already. Unless `done`, there are more."""

    written: tuple[str, ...]
    unchanged: int
    done: bool = True

    def as_dict(self) -> dict[str, Any]:
        return {"written": list(self.written), "unchanged": self.unchanged, "done": self.done}


def write_summaries(
    archive: Archive, warehouse: Warehouse, days: Days, *, stop: Callable[[], bool] = lambda: False
) -> SummariesReport:
    """Write what is missing or has changed for the trades of `days`. `stop` is asked before each summary."""
    written: list[str] = []
    unchanged = 0
    for bot, day, rows in _summaries(warehouse, days):
        if stop():
            return SummariesReport(tuple(written), unchanged, done=False)
        name = _write(archive, bot, day, csv_text(COLUMNS, rows).encode())
        if name:
            written.append(name)
        else:
            unchanged += 1
    return SummariesReport(tuple(written), unchanged)


def summary_name(bot: str, day: date, version: int) -> str:
    """The name of a summary. What a bot's name may not say in an object's is percent-encoded."""
    plain = quote(bot, safe="")
    plain = f"%2E{plain[1:]}" if plain.startswith(".") else plain
    return f"logs/{day:%Y/%m/%d}/{plain}/trades_summary_{plain}_{day.isoformat()}_v{version}.csv.gz"


def _summaries(warehouse: Warehouse, days: Days) -> Iterator[tuple[str, date, list[tuple[Any, ...]]]]:
    """Bot, day and rows; a month of trades is held at once."""
    first = days.first
    while first <= days.last:
        last = min(days.last, first + timedelta(days=_AT_ONCE - 1))
        trades = sorted(closed_trades(warehouse, Days(first, last)), key=_bot_and_day)
        for (bot, day), rows in groupby(trades, key=_bot_and_day):
            yield bot, day, [_row(trade) for trade in rows]
        first = last + timedelta(days=1)


def _bot_and_day(trade: Mapping[str, Any]) -> tuple[str, date]:
    return trade["bot"] or "unnamed", trade["time"].astimezone(UTC).date()


def _row(trade: Mapping[str, Any]) -> tuple[Any, ...]:
    amounts = {name: money(trade[name]) for name in ("quantity", "price", "profit_loss", "commission")}
    return (
        trade["time"].astimezone(UTC),
        trade["symbol"],
        trade["action"],
        amounts["quantity"],
        amounts["price"],
        trade["strategy_name"],
        trade["outcome"],
        amounts["profit_loss"],
        amounts["commission"],
        money(trade["net_profit_loss"]),
        trade["hold_duration_seconds"],
        trade["execution_mode"],
        trade["trade_id"],
        trade["exit_reasoning"],
    )


def _write(archive: Archive, bot: str, day: date, content: bytes) -> str:
    """Write a version that says this, unless the newest one does; returns its name, or nothing."""
    digest = hashlib.sha256(content).hexdigest()
    for _ in range(_TRIES):
        version, known = _newest(archive, bot, day)
        if known == digest:
            return ""
        name = summary_name(bot, day, version + 1)
        metadata = {"bot": bot, "day": day.isoformat(), "raw_sha256": digest, "raw_bytes": str(len(content))}
        body = gzip.compress(content, mtime=0)
        try:
            archive.create(BUCKET, name, body, metadata=metadata, content_type="application/gzip")
        except ObjectExists:
            continue  # another writer was faster: look at what it says
        return name
    raise StoreUnavailable(f"others keep writing the summary of {bot} on {day}", "try again when they are done")


def _newest(archive: Archive, bot: str, day: date) -> tuple[int, str]:
    """The highest version there is and the hash of its content; 0 and nothing where there is none."""
    prefix = summary_name(bot, day, 0).removesuffix("0.csv.gz")
    found = [(0, "")]
    for info in archive.list(BUCKET, prefix):
        if version := _VERSION.search(info.name):
            found.append((int(version.group(1)), info.metadata.get("raw_sha256", "")))
    return max(found)
