"""The archive on Google Cloud Storage, exported to BigQuery: opened by their URLs, as in production."""

from __future__ import annotations

import gzip
import hashlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.layout import ObjectName
from runner.logging.routes import STREAMS
from runner.operations.exports import export, search
from runner.settings import Settings, Stores
from runner.stores.base import Archive, Warehouse
from runner.stores.gcs import GcsArchive
from runner.stores.open import open_archive
from runner.wiring import open_settings_warehouse
from tests.emulators.emulator import Emulator
from tests.stores.bigquery_parts import make_dataset

NOW = datetime(2024, 6, 3, 23, 59, 50, tzinfo=UTC)
RUN = "018fb0a0-0000-7000-8000-0000deadbeef"
KINDS = {"trades": "trade_entry", "metrics": "metric", "system": "heartbeat"}


@pytest.fixture
def settings(tmp_path: Path, demo_project: str, gcs_emulator: Emulator, bigquery_emulator: Emulator) -> Settings:
    make_dataset(demo_project, "tron")
    prefix = f"demo-{uuid.uuid4().hex[:12]}"
    stores = Stores(archive=f"gs://{prefix}", warehouse=f"bigquery://{demo_project}/tron?location=US&max_gib=10")
    return Settings(home=tmp_path, project=demo_project, stores=stores)


@pytest.fixture
def archive(settings: Settings) -> Iterator[Archive]:
    opened = open_archive(settings)
    assert isinstance(opened, GcsArchive)
    opened.ensure({route.bucket for route in STREAMS.values()})
    yield opened
    opened.close()


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    opened = open_settings_warehouse(settings)
    yield opened
    opened.close()


def record(stream: str, offset: int) -> bytes:
    moment = (NOW + timedelta(seconds=offset)).isoformat(timespec="microseconds")
    content = {"id": f"{RUN}:{stream}:{offset:012d}", "seq": offset, "ts": moment, "at": moment, "kind": KINDS[stream]}
    content |= {"severity": "INFO", "bot": "breakout", "run": RUN, "crc": "00000000"}
    return json.dumps(content | {"data": {"symbol": "AAPL", "price": "1.5", "value": "2"}}).encode() + b"\n"


def put(archive: Archive, stream: str, first: int, count: int) -> None:
    raw = b"".join(record(stream, first + number) for number in range(count))
    name = str(ObjectName("breakout", stream, NOW + timedelta(seconds=first), RUN[-8:], first))
    metadata = {"stream": stream, "raw_bytes": str(len(raw)), "raw_sha256": hashlib.sha256(raw).hexdigest()}
    body = gzip.compress(raw, mtime=0)
    archive.create(STREAMS[stream].bucket, name, body, metadata=metadata, content_type="application/gzip")


def test_every_archived_record_is_in_bigquery_once(archive: Archive, warehouse: Warehouse) -> None:
    put(archive, "trades", 0, 20)
    put(archive, "metrics", 0, 5)
    first = export(archive, warehouse)
    assert (first.objects, first.records, first.skipped, first.set_aside) == (2, 25, 0, ())
    put(archive, "trades", 20, 7)
    second = export(archive, warehouse)
    assert (second.objects, second.records, second.skipped) == (1, 7, 2)
    assert export(archive, warehouse).records == 0
    assert warehouse.query("SELECT count(*), count(DISTINCT id), sum(price) FROM trades").rows == ((27, 27, 40.5),)


def test_records_of_both_days_of_one_object_are_found_by_day(archive: Archive, warehouse: Warehouse) -> None:
    put(archive, "trades", 0, 20)
    export(archive, warehouse)
    by_day = "SELECT CAST(ts AS DATE), count(*) FROM trades GROUP BY 1 ORDER BY 1"
    assert [row[1] for row in warehouse.query(by_day).rows] == [10, 10]


def test_an_edited_object_is_set_aside_and_the_others_are_loaded(archive: Archive, warehouse: Warehouse) -> None:
    put(archive, "trades", 0, 2)
    raw = record("trades", 2)
    name = str(ObjectName("breakout", "trades", NOW, RUN[-8:], 2))
    metadata = {"stream": "trades", "raw_bytes": str(len(raw)), "raw_sha256": "0" * 64}
    archive.create("trade-logs", name, gzip.compress(raw), metadata=metadata, content_type="application/gzip")
    report = export(archive, warehouse)
    assert (report.records, [aside.name for aside in report.set_aside]) == (2, [name])


def test_search_finds_what_is_loaded_and_what_is_not_shipped_yet(archive: Archive, warehouse: Warehouse) -> None:
    put(archive, "trades", 0, 2)
    export(archive, warehouse)
    rest = {"trades": record("trades", 1) + record("trades", 2), "system": record("system", 3)}
    found = search(warehouse, "aapl", unshipped=rest).dicts()
    assert [row["id"].removeprefix(f"{RUN}:")[-3:] for row in found] == ["003", "002", "001", "000"]
    assert json.loads(found[0]["data"])["symbol"] == "AAPL"
