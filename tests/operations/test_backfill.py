"""Old days: late objects are loaded whenever they appear, a year is loaded and resumed day by day, nonsense refused."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from runner.clock import ManualClock
from runner.errors import ConfigError
from runner.operations.backfill import BackfillProgress, backfill
from runner.operations.days import Days, parse_days
from runner.operations.exports import export
from runner.operations.regular_export import RegularExport
from runner.operations.schemas import columns
from runner.stores.duckdb import DuckdbWarehouse
from runner.stores.memory import MemoryArchive
from tests.operations.archived import NOW, put, put_days, record

TODAY = NOW.date()


@pytest.fixture
def archive() -> MemoryArchive:
    return MemoryArchive()


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckdbWarehouse:
    return DuckdbWarehouse(tmp_path / "warehouse", columns())


def test_an_object_that_appears_for_an_old_day_is_loaded(archive: MemoryArchive, warehouse: DuckdbWarehouse) -> None:
    put_days(archive, 3)
    first = export(archive, warehouse)
    long_ago = NOW - timedelta(days=400)
    put(archive, "trades", [record("trades", 7, {}, at=long_ago)], first=7, at=long_ago)
    late = export(archive, warehouse)
    assert (first.late, late.late, late.records) == (0, 1, 1)
    assert late.days == (long_ago.date(),)


def test_a_report_is_ready_for_json(archive: MemoryArchive, warehouse: DuckdbWarehouse) -> None:
    put_days(archive, 2)
    put(archive, "system", [record("system", 0, {})], body=b"")
    said = json.loads(json.dumps(export(archive, warehouse).as_dict()))
    assert said["days"] == ["2024-06-03", "2024-06-04"]
    assert (said["objects"], said["new_aside"], said["done"]) == (2, 1, True)
    assert said["set_aside"][0]["bucket"] == "system-logs"


def test_only_the_days_that_are_asked_for_are_loaded_and_listed(
    archive: MemoryArchive, warehouse: DuckdbWarehouse
) -> None:
    put_days(archive, 10)
    before = archive.operations["class_a"]
    report = export(archive, warehouse, days=Days(TODAY + timedelta(days=2), TODAY + timedelta(days=4)))
    assert (report.records, report.skipped) == (3, 0)
    assert archive.operations["class_a"] - before <= 3 * 4 + 1


def test_an_export_that_is_stopped_loads_what_it_has_read_and_the_next_one_goes_on(
    archive: MemoryArchive, warehouse: DuckdbWarehouse
) -> None:
    put_days(archive, 10)
    for expected in (4, 4, 2):
        looks = iter([False] * 4 + [True] * 100)
        report = export(archive, warehouse, stop=lambda looks=looks: next(looks))  # type: ignore[misc]
        assert (report.records, report.done) == (expected, expected == 2)
    assert export(archive, warehouse, stop=lambda: True).done


def test_a_year_is_loaded_day_by_day_and_resumed_where_it_was_stopped(
    archive: MemoryArchive, warehouse: DuckdbWarehouse
) -> None:
    put_days(archive, 366, start=datetime(2024, 1, 1, 12, tzinfo=NOW.tzinfo))
    year = Days(date(2024, 1, 1), date(2024, 12, 31))
    told: list[BackfillProgress] = []
    first = backfill(archive, warehouse, year, stop=lambda: len(told) >= 100, on_day=told.append)
    assert (first.done, first.records) == (False, 100)
    told.clear()
    second = backfill(archive, warehouse, year, on_day=told.append)
    assert (second.done, second.records, second.skipped) == (True, 266, 100)
    assert [progress.done for progress in told] == list(range(1, 367))
    assert told[-1].total == 366
    assert backfill(archive, warehouse, year).records == 0


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ("2024-06-04", "", "in the future"),
        ("", "2025-01-01", "in the future"),
        ("2024-06-03", "2024-06-01", "before it begins"),
        ("2014-06-03", "2024-06-03", "at most"),
        ("yesterday", "", "not a day"),
        ("2024-6-3", "", "not a day"),
        ("20240603", "", "not a day"),
        ("2024-02-30", "", "not a day"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_with_a_hint(since: str, until: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_days(since, until, today=TODAY)
    assert caught.value.hint


def test_a_range_without_an_end_ends_today_and_without_a_beginning_is_one_day() -> None:
    assert parse_days("2024-06-01", "", today=TODAY) == Days(date(2024, 6, 1), TODAY)
    assert parse_days("", "2024-05-31", today=TODAY) == Days(date(2024, 5, 31), date(2024, 5, 31))
    assert parse_days("", "", today=TODAY) is None


def test_the_regular_export_looks_at_these_days_and_once_an_hour_at_everything(
    archive: MemoryArchive, warehouse: DuckdbWarehouse
) -> None:
    clock = ManualClock(NOW)
    chore = RegularExport(archive, warehouse, 30.0, clock, lambda aside: None)
    chore.run()
    put_days(archive, 1)
    put_days(archive, 1, start=NOW - timedelta(days=90), stream="system")

    def counts() -> tuple[object, ...]:
        return warehouse.query("SELECT (SELECT count(*) FROM trades), (SELECT count(*) FROM system)").rows[0]

    clock.advance(30)
    chore.run()
    assert counts() == (1, 0)
    clock.advance(3600)
    chore.run()
    assert counts() == (1, 1)
