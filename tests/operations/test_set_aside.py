"""A poisoned object costs one look: it is set aside with a reason, told once, and tried again when somebody asks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.clock import ManualClock, SystemClock
from runner.errors import StoreRejected, StoreUnavailable
from runner.layout import Home
from runner.logging import backlog
from runner.operations.exports import export, state
from runner.operations.schemas import columns
from runner.operations.set_aside import PREFIX, SetAside, SetAsideLedger, record_in_journal
from runner.settings import Settings
from runner.stores.base import Archive, Part
from runner.stores.directory import DirectoryArchive
from runner.stores.duckdb import DuckdbWarehouse
from runner.stores.memory import MemoryArchive
from tests.operations.archived import NOW, put, record


class Counting(MemoryArchive):
    """Knows which objects were read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def read(self, bucket: str, name: str) -> bytes:
        self.reads.append(name)
        return super().read(bucket, name)


@pytest.fixture
def archive() -> Counting:
    return Counting()


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckdbWarehouse:
    return DuckdbWarehouse(tmp_path / "warehouse", columns())


def poison(archive: Archive, first: int = 0) -> str:
    return put(archive, "trades", [record("trades", first, {})], first=first, body=b"no gzip at all")


def test_what_is_set_aside_is_told_once_and_not_read_again(archive: Counting, warehouse: DuckdbWarehouse) -> None:
    bad = poison(archive)
    put(archive, "trades", [record("trades", 1, {})], first=1)
    told: list[SetAside] = []
    first = export(archive, warehouse, on_set_aside=told.append)
    second = export(archive, warehouse, on_set_aside=told.append)
    assert archive.reads.count(bad) == 1
    assert [aside.name for aside in told] == [bad]
    assert (first.records, first.new_aside, second.new_aside) == (1, 1, 0)
    assert [aside.name for aside in second.set_aside] == [bad]
    assert "not gzip" in second.set_aside[0].reason


def test_another_exporter_knows_what_one_has_set_aside(tmp_path: Path, warehouse: DuckdbWarehouse) -> None:
    root = tmp_path / "archive"
    bad = poison(DirectoryArchive(root))
    clock = ManualClock(NOW)
    export(DirectoryArchive(root), warehouse, clock=clock)
    (known,) = SetAsideLedger(DirectoryArchive(root), clock)
    assert (known.bucket, known.name, known.since) == ("trade-logs", bad, "2024-06-03T14:30:00+00:00")
    body = json.loads(DirectoryArchive(root).read("system-logs", f"{PREFIX}trade-logs/{bad}.json"))
    assert body["name"] == bad


def test_a_retry_loads_what_was_repaired_and_leaves_no_trace(archive: Counting, warehouse: DuckdbWarehouse) -> None:
    bad = poison(archive)
    export(archive, warehouse)
    assert export(archive, warehouse, retry=True).new_aside == 1
    archive.delete("trade-logs", bad)
    put(archive, "trades", [record("trades", 0, {})])
    report = export(archive, warehouse, retry=True)
    assert (report.records, report.set_aside) == (1, ())
    assert list(archive.list("system-logs", PREFIX)) == []


def test_an_object_that_was_replaced_is_tried_again_by_itself(archive: Counting, warehouse: DuckdbWarehouse) -> None:
    bad = poison(archive)
    export(archive, warehouse)
    archive.delete("trade-logs", bad)
    put(archive, "trades", [record("trades", 0, {})])
    assert export(archive, warehouse).records == 1
    assert list(SetAsideLedger(archive, SystemClock())) == []


def test_an_object_that_was_deleted_is_forgotten(archive: Counting, warehouse: DuckdbWarehouse) -> None:
    bad = poison(archive)
    export(archive, warehouse)
    archive.delete("trade-logs", bad)
    export(archive, warehouse)
    assert list(archive.list("system-logs", PREFIX)) == []


def test_an_object_that_goes_while_we_look_is_not_poisoned(archive: Counting, warehouse: DuckdbWarehouse) -> None:
    name = put(archive, "trades", [record("trades", 0, {})])

    class Going(Counting):
        list = archive.list

    report = export(Going(), warehouse)
    assert (report.gone, report.set_aside) == (1, ()), name


def test_metadata_that_promises_more_than_an_object_holds_is_not_believed(
    archive: Counting, warehouse: DuckdbWarehouse
) -> None:
    name = put(archive, "trades", [record("trades", 0, {})], metadata={"raw_bytes": str(1 << 40)})
    (aside,) = export(archive, warehouse).set_aside
    assert "more than any object has" in aside.reason
    assert name not in archive.reads


class Refusing(DuckdbWarehouse):
    """Refuses parts whose first record has one of these offsets, or all."""

    refused: frozenset[int] | None = None

    def load(self, parts: Sequence[Part]) -> int:
        for part in parts:
            if self.refused is None or json.loads(part.lines.split(b"\n")[0])["seq"] in self.refused:
                raise StoreRejected("this dataset takes nothing", "ask its owner")
        return super().load(parts)


def test_what_a_warehouse_refuses_altogether_is_not_held_against_the_objects(archive: Counting, tmp_path: Path) -> None:
    for first in range(3):
        put(archive, "trades", [record("trades", first, {})], first=first)
    warehouse = Refusing(tmp_path, columns())
    assert len(export(archive, warehouse).set_aside) == 3
    assert list(SetAsideLedger(archive, SystemClock())) == []
    warehouse.refused = frozenset()
    assert export(archive, warehouse).records == 3


def test_what_a_warehouse_refuses_among_others_is_set_aside(archive: Counting, tmp_path: Path) -> None:
    for first in range(3):
        put(archive, "trades", [record("trades", first, {})], first=first)
    warehouse = Refusing(tmp_path, columns())
    warehouse.refused = frozenset({1})
    report = export(archive, warehouse)
    assert (report.records, len(report.set_aside)) == (2, 1)
    assert len(list(SetAsideLedger(archive, SystemClock()))) == 1


def test_who_may_only_read_the_archive_can_export_all_the_same(warehouse: DuckdbWarehouse) -> None:
    class ReadOnly(MemoryArchive):
        is_open = True

        def create(
            self, bucket: str, name: str, body: bytes, *, metadata: Mapping[str, str], content_type: str
        ) -> None:
            if not self.is_open:
                raise StoreUnavailable("no permission to create objects")
            super().create(bucket, name, body, metadata=metadata, content_type=content_type)

    archive = ReadOnly()
    poison(archive)
    put(archive, "trades", [record("trades", 1, {})], first=1)
    archive.is_open = False
    assert [export(archive, warehouse).new_aside for _ in range(2)] == [1, 1]
    assert warehouse.query("SELECT count(*) FROM trades").rows == ((1,),)


def test_the_state_tells_what_is_loaded_waiting_and_set_aside(archive: Counting, warehouse: DuckdbWarehouse) -> None:
    poison(archive)
    put(archive, "trades", [record("trades", 1, {})], first=1)
    export(archive, warehouse)
    put(archive, "trades", [record("trades", 2, {})], first=2)
    states, aside = state(archive, warehouse)
    (trades,) = (one for one in states if one.stream == "trades")
    assert (trades.objects, trades.loaded, trades.waiting, trades.set_aside) == (3, 1, 1, 1)
    assert len(aside) == 1


def test_an_object_that_is_set_aside_leaves_an_error_record(home: Home, archive: Counting, tmp_path: Path) -> None:
    tell = record_in_journal(Settings(home=home.path), SystemClock())
    tell(SetAside("trade-logs", "logs/x", "it is damaged"))
    (line,) = (line for line in backlog.newest(home, 0) if b'"kind":"error"' in line)
    said: dict[str, Any] = json.loads(line)
    assert said["severity"] == "ERROR"
    assert said["data"]["context"]["object"] == "logs/x"
    assert "it is damaged" in said["data"]["message"]


def test_telling_makes_no_home_where_there_is_none(tmp_path: Path) -> None:
    record_in_journal(Settings(home=tmp_path / "nowhere"), SystemClock())(SetAside("trade-logs", "logs/x", "damaged"))
    assert not (tmp_path / "nowhere").exists()
