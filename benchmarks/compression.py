"""How much gzip saves of the records of real-bar runs, by stream and batch, and how large naive documents are.

The shares of the traffic, the bytes of a record and the ratios are those that `runner.logging.costs.fleet` works with.
Documents are sized by Google's rule: names, fields and values, and two automatic index entries for every field.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from isal import igzip
from rich.console import Console
from rich.table import Table

from benchmarks.real_bars import records
from benchmarks.table import Row, show
from runner.logging import lines as journal_lines

BATCHES = (10, 50, 150, 1000, 10_000)
_SAMPLE = 500
_COLLECTION = "tron_logs"


def measure() -> None:
    with records() as found:
        _show_streams(found)
        overall = _saved([line for lines in found.values() for line in _whole(lines, 1000)], 1000)
        rows = [_row("all streams, batches of 1,000", overall, 0.75)]
        rows.append(_row("trades, batches of 1,000", _saved(found["trades"], 1000), 0.80))
        show("gzip, level 1: bytes saved", rows)


def _row(name: str, saved: float, must: float) -> Row:
    return Row(name, f"{saved:.1%}", "", saved, must, more_is_better=True)


def _show_streams(found: dict[str, list[bytes]]) -> None:
    table = Table(title="records of real-bar runs", title_justify="left")
    for name in ("stream", "records", "share", "bytes", *(f"saved at {size:,}" for size in BATCHES), "naive document"):
        table.add_column(name, justify="right")
    count = sum(map(len, found.values()))
    for stream, lines in sorted(found.items(), key=lambda one: -len(one[1])):
        saved = [f"{_saved(lines, size):.1%}" if len(lines) >= size else "" for size in BATCHES]
        size = sum(map(len, lines)) / len(lines)
        table.add_row(stream, f"{len(lines):,}", f"{len(lines) / count:.1%}", f"{size:.0f}", *saved, _document(lines))
    Console(width=150).print(table)


def _whole(lines: list[bytes], size: int) -> list[bytes]:
    return lines[: len(lines) // size * size]


def _saved(lines: list[bytes], size: int) -> float:
    whole = _whole(lines, size)
    batches = [b"".join(whole[start : start + size]) for start in range(0, len(whole), size)]
    raw = sum(map(len, batches))
    return 1 - sum(len(igzip.compress(batch, 1)) for batch in batches) / raw if raw else 0.0


def _document(lines: list[bytes]) -> str:
    sizes = [document_bytes(journal_lines.decode(line)) for line in lines[:: max(1, len(lines) // _SAMPLE)]]
    return f"{sum(sizes) / len(sizes):,.0f}"


def document_bytes(record: dict[str, Any]) -> int:
    """Of a record as a Firestore document in a collection at the root, with its automatic indexes."""
    name = 16 + len(_COLLECTION) + 1 + len(record["id"]) + 1
    entries = sum(2 * (name + 16 + len(field) + 1 + min(1500, _size(value)) + 32) for field, value in _fields(record))
    return name + _size(record) + 32 + entries


def _fields(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field, value in record.items():
        if isinstance(value, dict):
            yield from _fields(value, f"{prefix}{field}.")
        else:
            yield f"{prefix}{field}", value


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode()) + 1
    if isinstance(value, bool) or value is None:
        return 1
    if isinstance(value, dict):
        return sum(len(field) + 1 + _size(inner) for field, inner in value.items())
    return sum(map(_size, value)) if isinstance(value, list) else 8
