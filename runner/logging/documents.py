"""Records folded into live documents.

A document is the state that the records of its key leave behind, in order. Folding is pure: the same records give the
same documents, whoever folds them and when. Expiry is the last record's `ts` and the collection's time to live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from runner.logging import lines
from runner.logging.log_types import Kind
from runner.logging.retention import LIVE
from runner.stores.base import Document

Record = Mapping[str, Any]
Fields = dict[str, Any]

STREAMS = ("trades", "positions", "risk", "decisions", "errors", "system", "metrics")
"""The streams whose records become documents."""

_ENVELOPE = ("bot", "bot_type", "run", "kind", "severity", "ts", "at", "environment", "actor")


def address(record: Record) -> tuple[str, str] | None:
    """Collection and key of the document that a record changes, or None. Keys are percent-encoded."""
    rule = _RULES.get(record["kind"])
    if rule is None:
        return None
    collection, key = rule
    name = key(record)
    return None if name is None else (collection, quote(name, safe=":"))


def fold(previous: Document | None, record: Record, epoch: int) -> Document | None:
    """The document after a record, or None when the record changes none. `previous` is the document before it."""
    place = address(record)
    if place is None:
        return None
    collection, key = place
    fields = {name: record[name] for name in _ENVELOPE if name in record}
    fields |= _MERGES.get(record["kind"], _replace)(previous.fields if previous else {}, record["data"])
    fields["record_id"] = record["id"]
    expire_at = lines.moment(record["ts"]) + LIVE[collection]
    return Document(collection, key, fields, epoch, record["seq"], record["id"], expire_at)


def _replace(previous: Mapping[str, Any], data: Record) -> Fields:
    return dict(data)


def _enter(previous: Mapping[str, Any], data: Record) -> Fields:
    entry = {"side": data["action"], "entry_price": data["price"], "entry_timestamp": data["timestamp"]}
    return {**data, **entry, "status": "open", "exit_price": None}


def _leave(previous: Mapping[str, Any], data: Record) -> Fields:
    """A closed trade keeps how it was entered: the exit's own action, price and time say how it ended."""
    entry = {name: previous.get(name) for name in ("side", "entry_price", "entry_timestamp")}
    return {**data, **entry, "status": "closed", "exit_price": data["price"]}


def _by_id(record: Record) -> str:
    return str(record["id"])


def _notable(record: Record) -> str | None:
    """Decisions that were taken, vetoed or nearly taken; the others are in the archive only."""
    return _by_id(record) if record["data"]["outcome"] in ("taken", "vetoed", "near") else None


def _per_day(record: Record) -> str:
    return f"{record['bot']}_{record['data']['date']}"


def _per_symbol(record: Record) -> str:
    return f"{record['bot']}:{record['data']['symbol']}"


def _per_metric(record: Record) -> str:
    return f"{record['bot']}:{record['data']['name']}"


_Key = Callable[[Record], str | None]
Place = tuple[str, str]
"""Collection and key of a document."""

_RULES: Mapping[str, tuple[str, _Key]] = {
    Kind.TRADE_ENTRY: ("live_trades", lambda record: record["data"]["trade_id"]),
    Kind.TRADE_EXIT: ("live_trades", lambda record: record["data"]["trade_id"]),
    Kind.POSITION: ("live_positions", _per_symbol),
    Kind.RISK_EVENT: ("live_alerts", _by_id),
    Kind.AUDIT: ("live_alerts", _by_id),
    Kind.ERROR: ("live_alerts", _by_id),
    Kind.WARNING: ("live_alerts", _by_id),
    Kind.DECISION: ("live_cognitive", _notable),
    Kind.REFLECTION: ("daily_reflections", _per_day),
    Kind.HEARTBEAT: ("live_system_status", lambda record: record["bot"]),
    Kind.METRIC: ("dashboard_metrics", _per_metric),
    Kind.SUMMARY: ("daily_summaries", _per_day),
}

_MERGES: Mapping[str, Callable[[Mapping[str, Any], Record], Fields]] = {
    Kind.TRADE_ENTRY: _enter,
    Kind.TRADE_EXIT: _leave,
}
ONE_EACH = frozenset({Kind.TRADE_ENTRY, Kind.RISK_EVENT, Kind.AUDIT, Kind.ERROR, Kind.WARNING, Kind.DECISION})
"""Kinds whose every record makes a document of its own."""
NEEDS_PREVIOUS = frozenset({Kind.TRADE_EXIT})
"""Kinds whose fold looks at the document before it."""


class Folding:
    """Documents that records have changed and that no store has yet. `get` reads a document of the store."""

    def __init__(self, get: Callable[[str, str], Document | None]) -> None:
        self._get = get
        self.pending: dict[tuple[str, str], Document] = {}

    def add(self, record: Record, epoch: int) -> Place | None:
        """Fold one record; returns the document that it changed. An older record never replaces a newer state."""
        place = address(record)
        if place is None:
            return None
        known = self.pending.get(place)
        if known is not None and (known.epoch, known.seq) >= (epoch, record["seq"]):
            return None
        if known is None and record["kind"] in NEEDS_PREVIOUS:
            known = self._get(*place)
        document = fold(known, record, epoch)
        assert document is not None
        self.pending[place] = document
        return place

    def forget(self, written: Iterable[Document]) -> None:
        """These are in the store now."""
        for document in written:
            del self.pending[document.collection, document.key]

    def clear(self) -> None:
        self.pending.clear()
