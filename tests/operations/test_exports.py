from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.errors import StoreUnavailable
from runner.layout import ObjectName
from runner.logging.routes import STREAMS
from runner.operations.exports import export, search
from runner.operations.schemas import columns
from runner.stores.base import Archive, Part, Warehouse
from runner.stores.directory import DirectoryArchive
from runner.stores.duckdb import DuckdbWarehouse
from runner.stores.memory import MemoryArchive

NOW = datetime(2024, 6, 3, 14, 30, tzinfo=UTC)
RUN = "018fb0a0-0000-7000-8000-0000deadbeef"
KINDS = {"trades": "trade_entry", "system": "system_event", "errors": "error", "seals": "seal"}


def record(stream: str, offset: int, **payload: Any) -> bytes:
    moment = (NOW + timedelta(seconds=offset)).isoformat(timespec="microseconds")
    content = {"id": f"{RUN}:{stream}:{offset:012d}", "seq": offset, "ts": moment, "at": moment, "kind": KINDS[stream]}
    content |= {"severity": "INFO", "bot": "breakout", "run": RUN, "data": payload, "crc": "00000000"}
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


def put(archive: Archive, stream: str, lines: Sequence[bytes], first: int = 0, **changes: Any) -> str:
    """Archive lines as the follower does; `changes` replace body, metadata or bucket."""
    raw = b"".join(lines)
    name = changes.get("name") or str(ObjectName("breakout", stream, NOW, RUN[-8:], first))
    metadata = {"stream": stream, "raw_bytes": str(len(raw)), "raw_sha256": hashlib.sha256(raw).hexdigest()}
    metadata |= changes.get("metadata", {})
    body = changes.get("body", gzip.compress(raw))
    bucket = changes.get("bucket", STREAMS[stream].bucket)
    archive.create(bucket, name, body, metadata=metadata, content_type="application/gzip")
    return name


@pytest.fixture
def archive() -> MemoryArchive:
    return MemoryArchive()


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckdbWarehouse:
    return DuckdbWarehouse(tmp_path / "warehouse", columns())


def test_every_archived_record_is_in_the_warehouse_once(tmp_path: Path, warehouse: Warehouse) -> None:
    archive = DirectoryArchive(tmp_path / "archive")
    trades = [record("trades", offset, symbol="AAPL", price="1.5") for offset in range(100)]
    put(archive, "trades", trades[:60])
    put(archive, "trades", trades[60:], first=60)
    put(archive, "trades", trades[:60], bucket="compliance-logs")
    put(archive, "system", [record("system", 0, message="started")])
    put(archive, "seals", [record("seals", 0, reason="close", streams={})])
    report = export(archive, warehouse)
    assert (report.objects, report.records, report.skipped, report.set_aside) == (4, 102, 0, ())
    assert warehouse.query("SELECT count(DISTINCT id), sum(price) FROM trades").dicts() == [
        {"count(DISTINCT id)": 100, "sum(price)": 150}
    ]
    assert warehouse.query("SELECT count(*) FROM records").rows == ((102,),)


def test_a_second_export_loads_only_what_is_new(archive: Archive, warehouse: Warehouse) -> None:
    put(archive, "trades", [record("trades", 0)])
    export(archive, warehouse)
    put(archive, "trades", [record("trades", 1)], first=1)
    report = export(archive, warehouse)
    assert (report.objects, report.records, report.skipped) == (1, 1, 1)
    again = export(archive, warehouse)
    assert (again.objects, again.records, again.skipped) == (0, 0, 2)


def test_members_of_a_compacted_object_are_all_loaded(archive: Archive, warehouse: Warehouse) -> None:
    lines = [record("trades", offset) for offset in range(3)]
    put(archive, "trades", lines, body=b"".join(gzip.compress(line) for line in lines))
    assert export(archive, warehouse).records == 3


def test_objects_that_hold_no_records_are_left_alone(archive: Archive, warehouse: Warehouse) -> None:
    put(archive, "trades", [b"a,b\n"], name="logs/2024/06/03/breakout/daily_v1.csv")
    put(archive, "trades", [b"{}"], name="seals/anchor.json")
    report = export(archive, warehouse)
    assert (report.objects, report.skipped, report.set_aside) == (0, 0, ())


POISON: dict[str, tuple[Callable[[bytes], dict[str, Any]], str]] = {
    "not gzip": (lambda raw: {"body": b"no gzip at all, " * 4}, "not gzip"),
    "cut off": (lambda raw: {"body": gzip.compress(raw)[:-9]}, "cut off"),
    "junk after it": (lambda raw: {"body": gzip.compress(raw) + b"junk after the last member"}, "not gzip"),
    "empty": (lambda raw: {"body": b""}, "raw_sha256"),
    "edited": (lambda raw: {"body": gzip.compress(raw.replace(b"AAPL", b"GOOG"))}, "raw_sha256"),
    "a bomb": (lambda raw: {"body": gzip.compress(raw + bytes(100_000_000))}, "more than the raw_bytes"),
    "no hash": (lambda raw: {"metadata": {"raw_sha256": ""}}, "raw_sha256"),
    "no size": (lambda raw: {"metadata": {"raw_bytes": "many"}}, "raw_bytes"),
    "no record": (
        lambda raw: {
            "body": gzip.compress(raw + b"{}\n"),
            "metadata": {
                "raw_bytes": str(len(raw) + 3),
                "raw_sha256": hashlib.sha256(raw + b"{}\n").hexdigest(),
            },
        },
        "line 2 is not a record",
    ),
}


@pytest.mark.parametrize("poison", POISON)
def test_a_poisoned_object_is_set_aside_with_its_reason_and_the_others_go_on(
    archive: Archive, warehouse: Warehouse, poison: str
) -> None:
    spoil, reason = POISON[poison]
    lines = [record("trades", offset, symbol="AAPL") for offset in range(3)]
    put(archive, "trades", lines[:1])
    bad = put(archive, "trades", lines[1:2], first=1, **spoil(lines[1]))
    put(archive, "trades", lines[2:], first=2)
    report = export(archive, warehouse)
    assert (report.objects, report.records) == (2, 2)
    assert [(aside.bucket, aside.name) for aside in report.set_aside] == [("trade-logs", bad)]
    assert reason in report.set_aside[0].reason
    assert warehouse.query('SELECT "offset" FROM trades ORDER BY seq').rows == ((0,), (2,))
    assert len(export(archive, warehouse).set_aside) == 1


def test_an_archive_that_is_unavailable_stops_the_export(archive: MemoryArchive, warehouse: Warehouse) -> None:
    put(archive, "trades", [record("trades", 0)])

    class Down(MemoryArchive):
        list = archive.list

        def read(self, bucket: str, name: str) -> bytes:
            raise StoreUnavailable("the archive is down")

    with pytest.raises(StoreUnavailable):
        export(Down(), warehouse)
    assert export(archive, warehouse).records == 1


def test_progress_reaches_the_number_of_objects(archive: Archive, warehouse: Warehouse) -> None:
    for first in range(5):
        put(archive, "trades", [record("trades", first)], first=first, **({"body": b""} if first == 2 else {}))
    told: list[tuple[int, int]] = []
    export(archive, warehouse, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (5, 5)
    assert told == sorted(told)


def test_search_finds_text_in_any_case_newest_first(archive: Archive, warehouse: Warehouse) -> None:
    put(archive, "trades", [record("trades", offset, symbol="AAPL", reason="Über 100%_") for offset in range(3)])
    put(archive, "errors", [record("errors", 7, message="aapl feed 100x broke")])
    export(archive, warehouse)
    rest = {"errors": record("errors", 9, message="lost the feed of aapl")}

    def found(text: str, limit: int = 50) -> list[str]:
        rows = search(warehouse, text, limit=limit, unshipped=rest).dicts()
        return [row["id"].removeprefix(f"{RUN}:") for row in rows]

    assert found("aapl", limit=3) == ["errors:000000000009", "errors:000000000007", "trades:000000000002"]
    assert len(found("AAPL")) == 5
    assert found("100%_") == ["trades:000000000002", "trades:000000000001", "trades:000000000000"]
    assert found("über", limit=1) == ["trades:000000000002"]
    assert found("trade_entry", limit=1) == ["trades:000000000002"]
    assert found("errors:000000000007") == ["errors:000000000007"]
    assert found("'; DROP VIEW trades; --") == []


def test_a_batch_that_is_rejected_is_loaded_part_by_part(archive: Archive, tmp_path: Path) -> None:
    class Strict(DuckdbWarehouse):
        calls: list[int]

        def load(self, parts: Sequence[Part]) -> int:
            self.calls.append(len(parts))
            return super().load(parts)

    warehouse = Strict(tmp_path, columns())
    warehouse.calls = []
    for first in range(3):
        put(archive, "trades", [b"{}\n" if first == 1 else record("trades", first)], first=first)
    assert export(archive, warehouse).records == 2
    assert warehouse.calls == [3, 1, 1, 1]
