"""What the page shows: the newest documents, the newest records, equity, and the day's warnings and errors.

The board is fed by the sources (see `updates`) and answers from memory, so opening the page costs no store a read.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

import msgspec

from runner.clock import Clock
from runner.dashboard.equity import MAX_POINTS, EquityHistory, EquityMark, decimate
from runner.errors import JournalError
from runner.logging.log_types import Kind, Severity
from runner.stores.base import Document

KEPT_DOCUMENTS = {
    "live_trades": 100,
    "live_positions": 500,
    "live_alerts": 100,
    "live_cognitive": 100,
    "live_system_status": 200,
    "daily_summaries": 100,
    "dashboard_metrics": 500,
}
"""The collections on the page, and how many of their documents it keeps: the newest by `ts`."""

KEPT_RECORDS = 300
SHOWN_AT_ONCE = 200
ROUTINE = frozenset({Kind.METRIC, Kind.POSITION, Kind.HEARTBEAT, Kind.SUMMARY, Kind.USAGE, Kind.DEBUG, Kind.SEAL})
"""Kinds of which there are many: the first to be left out of the tail when more arrive than anyone can read."""

_PROBLEMS = {Severity.WARNING: "warnings", Severity.ERROR: "errors", Severity.CRITICAL: "errors"}


class _Head(msgspec.Struct):
    """What the dashboard itself reads of a record; the page gets the whole line."""

    kind: str
    ts: str
    bot: str = ""
    run: str = ""
    at: str = ""
    severity: str = Severity.INFO
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Metric(msgspec.Struct):
    name: str
    value: Decimal


class Arrival(msgspec.Struct, frozen=True):
    """What a batch of records changed: the lines to show (of `seen`), and the equity marks among them."""

    lines: Sequence[bytes]
    seen: int
    marks: Sequence[EquityMark]


class Board:
    """Everything the page shows. Safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._documents: dict[str, dict[str, Document]] = {name: {} for name in KEPT_DOCUMENTS}
        self._recent: deque[bytes] = deque(maxlen=KEPT_RECORDS)
        self._equity = EquityHistory()
        self._problems: Counter[tuple[str, str]] = Counter()
        self._closed: Counter[str] = Counter()
        self._seen = 0
        self._troubles: dict[str, Mapping[str, str]] = {}
        self._head = msgspec.json.Decoder(_Head)
        self._metric = msgspec.json.Decoder(_Metric)

    def take_documents(self, documents: Iterable[Document]) -> list[Document]:
        """Keep the newest state of each document; returns those that stay on the board."""
        with self._lock:
            touched = {}
            for document in documents:
                self._documents[document.collection][document.key] = document
                touched[document.collection, document.key] = document
            for collection in {collection for collection, _ in touched}:
                self._forget_oldest(collection)
            return [one for (collection, key), one in touched.items() if self._documents[collection].get(key) is one]

    def take_records(self, lines: Sequence[bytes]) -> Arrival:
        """Count a batch of raw record lines and keep what the page needs of them. Raises `JournalError`."""
        with self._lock:
            heads = [self._decode(line) for line in lines]
            marks = [mark for head in heads if (mark := self._mark(head)) is not None and self._equity.add(mark)]
            self._seen += len(lines)
            for head in heads:
                self._count(head)
            shown = readable(list(zip(heads, lines, strict=True)), SHOWN_AT_ONCE)
            self._recent.extend(shown)
            return Arrival(shown, len(lines), marks)

    def take_history(self, marks: Iterable[EquityMark]) -> int:
        """Equity of runs whose journal is gone. Returns how many marks were news."""
        news = 0
        for mark in marks:
            with self._lock:
                news += self._equity.add(mark)
        return news

    def forget_records(self) -> None:
        """Before the journal is read again from its start. Equity stays: an older mark is no news to it."""
        with self._lock:
            self._recent.clear()
            self._problems.clear()
            self._closed.clear()
            self._seen = 0

    def set_trouble(self, source: str, trouble: Mapping[str, str] | None) -> bool:
        """Note why a source cannot be read, or that it can (None). Returns whether that is news."""
        with self._lock:
            if self._troubles.get(source) == trouble:
                return False
            if trouble is None:
                del self._troubles[source]
            else:
                self._troubles[source] = trouble
            return True

    @property
    def counts(self) -> dict[str, Any]:
        """`records` read, `warnings` and `errors` of the current UTC day, and `closed` trades by run."""
        day = f"{self._clock.now():%Y-%m-%d}"
        with self._lock:
            problems = {name: self._problems[day, name] for name in ("warnings", "errors")}
            return {"records": self._seen, "closed": dict(self._closed), **problems}

    @property
    def troubles(self) -> list[dict[str, str]]:
        """What cannot be read at present: `source`, `message` and `hint` of each."""
        with self._lock:
            return [{"source": source, **trouble} for source, trouble in sorted(self._troubles.items())]

    @property
    def equity(self) -> dict[str, Any]:
        """All equity curves."""
        with self._lock:
            return self._equity.describe()

    def equity_news(self, marks: Sequence[EquityMark]) -> dict[str, Any]:
        """The page's news of the equity curves, from marks that were just taken."""
        with self._lock:
            return self._equity.news(marks)

    def equity_of(self, run: str) -> dict[str, Any] | None:
        """One run's series with its points, or None when the run is not known."""
        with self._lock:
            series = self._equity.get(run)
            return series.describe(decimate(series.points, MAX_POINTS)) if series else None

    def snapshot(self) -> dict[str, Any]:
        """All of it, ready for JSON. `records` are raw lines, old to new."""
        now = self._clock.now()
        with self._lock:
            return {
                "now": now,
                "documents": [
                    describe(document)
                    for kept in self._documents.values()
                    for document in kept.values()
                    if document.expire_at > now
                ],
                "equity": self._equity.describe(),
                "counts": self.counts,
                "troubles": self.troubles,
                "records": [msgspec.Raw(line) for line in self._recent],
            }

    def _decode(self, line: bytes) -> _Head:
        try:
            return self._head.decode(line)
        except msgspec.DecodeError as error:
            raise JournalError(f"a record cannot be read: {error}", "run `tron verify` to find it") from None

    def _count(self, head: _Head) -> None:
        if head.severity in _PROBLEMS:
            self._problems[head.ts[:10], _PROBLEMS[Severity(head.severity)]] += 1
        if head.kind == Kind.TRADE_EXIT:
            self._closed[head.run] += 1

    def _mark(self, head: _Head) -> EquityMark | None:
        if head.kind != Kind.METRIC:
            return None
        metric = self._metric.decode(head.data)
        if metric.name != "equity":
            return None
        ts = datetime.fromisoformat(head.ts)
        at = datetime.fromisoformat(head.at) if head.at else ts
        return EquityMark(head.bot, head.run, at, ts, metric.value)

    def _forget_oldest(self, collection: str) -> None:
        kept = self._documents[collection]
        surplus = len(kept) - KEPT_DOCUMENTS[collection]
        if surplus > 0:
            for key in sorted(kept, key=lambda key: str(kept[key].fields.get("ts", "")))[:surplus]:
                del kept[key]


def describe(document: Document) -> dict[str, Any]:
    """A document as the page gets it."""
    return {
        "collection": document.collection,
        "key": document.key,
        "record_id": document.record_id,
        "fields": document.fields,
    }


def readable(records: Sequence[tuple[_Head, bytes]], limit: int) -> list[bytes]:
    """At most `limit` lines in their order: the newest of the others before the newest of the routine kinds."""
    if len(records) <= limit:
        return [line for _, line in records]
    numbered = list(enumerate(records))
    routine = [one for one in numbered if one[1][0].kind in ROUTINE]
    others = [one for one in numbered if one[1][0].kind not in ROUTINE]
    chosen = (routine + others)[-limit:]
    return [line for _, (_, line) in sorted(chosen, key=itemgetter(0))]
