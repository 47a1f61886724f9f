"""A slow query leaves a record that says which and how slow, and nothing that was in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.clock import ManualClock, SystemClock
from runner.layout import Home
from runner.logging import backlog
from runner.operations import queries
from runner.operations.exports import search
from runner.operations.schemas import columns
from runner.operations.slow_queries import SlowQuery, record_slow_query, skeleton, watched
from runner.operations.tables import shapes
from runner.settings import Settings
from runner.settings import Warehouse as WarehouseSettings
from runner.stores.base import Table
from runner.stores.duckdb import DuckdbWarehouse
from runner.wiring import open_settings_warehouse
from tests.operations.archived import NOW

SECRET = "hunter2-and-then-some"


class Slow(DuckdbWarehouse):
    """Takes as long as its clock is moved, and bills each query."""

    seconds = 2.0

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        super().__init__(folder, columns(), shapes())
        self._clock = clock

    def query(self, sql: str, parameters: Sequence[Any] = (), *, unshipped: Mapping[str, bytes] | None = None) -> Table:
        self._clock.advance(self.seconds)
        self.operations["bytes_billed"] += 10
        return super().query(sql, parameters, unshipped=unshipped)


class SlowGoogle(Slow):
    def google_query(
        self, sql: str, parameters: Mapping[str, Any], *, unshipped: Mapping[str, bytes] | None = None
    ) -> Table:
        self._clock.advance(self.seconds)
        return Table(("one",), ((1,),))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


def test_a_query_is_told_from_the_threshold_on_with_its_rows_and_bytes(tmp_path: Path, clock: ManualClock) -> None:
    told: list[SlowQuery] = []
    slow = Slow(tmp_path, clock)
    warehouse = watched(slow, 2.0, clock, told.append)
    warehouse.query("SELECT * FROM range(3)")
    slow.seconds = 1.9
    warehouse.query("SELECT 2 AS x")
    (one,) = told
    assert (one.milliseconds, one.rows, one.bytes_billed, one.times) == (2000.0, 3, 10, 1)
    assert one.statement == "SELECT * FROM range(?)"


def test_no_value_and_no_parameter_is_told(tmp_path: Path, clock: ManualClock) -> None:
    told: list[SlowQuery] = []
    warehouse = watched(Slow(tmp_path, clock), 1.0, clock, told.append)
    warehouse.query("SELECT ? AS a", [SECRET])
    warehouse.query(f"SELECT '{SECRET}' AS b, 'it''s {SECRET}' /* {SECRET} */ -- {SECRET}")
    warehouse.query(f"SELECT $tag${SECRET}$tag$ AS c, E'\\'{SECRET}'")
    search(warehouse, SECRET)
    assert len(told) == 4
    assert SECRET not in repr(told)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT  1,\n 2.5e3, 0xFF", "SELECT ?, ?, ?"),
        ("SELECT a1 FROM t2 WHERE b = 'x", "SELECT a1 FROM t2 WHERE b = ?"),
        ('SELECT "at" FROM trades', "SELECT ? FROM trades"),
        ("SELECT 1 /* never closed", "SELECT ?"),
        ("SELECT 'a' # google's comment", "SELECT ?"),
        ("SELECT '--' , 5", "SELECT ? , ?"),
    ],
)
def test_a_statement_keeps_its_form_and_loses_its_literals(sql: str, said: str) -> None:
    assert skeleton(sql) == said


def test_queries_that_differ_in_values_only_are_one_statement(tmp_path: Path, clock: ManualClock) -> None:
    told: list[SlowQuery] = []
    warehouse = watched(Slow(tmp_path, clock), 1.0, clock, told.append)
    for number in range(5):
        warehouse.query(f"SELECT {number} AS n")
    assert len(told) == 1
    clock.advance(3600)
    warehouse.query("SELECT 99 AS n")
    assert [one.times for one in told] == [1, 5]
    assert len({one.sql_hash for one in told}) == 1


def test_a_warehouse_that_speaks_google_sql_is_watched_in_it(tmp_path: Path, clock: ManualClock) -> None:
    told: list[SlowQuery] = []
    warehouse = watched(SlowGoogle(tmp_path, clock), 1.0, clock, told.append)
    assert queries.run(warehouse, "daily_report", day=NOW.date()).rows == ((1,),)
    assert len(told) == 1


def test_a_threshold_of_nothing_watches_nothing(tmp_path: Path, clock: ManualClock) -> None:
    slow = Slow(tmp_path, clock)
    assert watched(slow, 0, clock, lambda one: None) is slow


def test_the_record_is_a_row_of_the_warehouse(home: Home, tmp_path: Path) -> None:
    settings = Settings(home=home.path, warehouse=WarehouseSettings(slow_query_seconds=1e-6))
    warehouse = open_settings_warehouse(settings)
    warehouse.query(f"SELECT '{SECRET}' AS x")
    journal = backlog.unshipped(home)
    (row,) = DuckdbWarehouse(tmp_path / "w", columns(), shapes()).query("FROM slowQueries", unshipped=journal).dicts()
    assert (row["statement"], row["rows_returned"], row["bytes_billed"]) == ("SELECT ? AS x", 1, 0)
    assert row["milliseconds"] > 0
    assert SECRET.encode() not in b"".join(backlog.newest(home, 0))
    assert json.loads(backlog.newest(home, 0)[0])["bot_type"] == "warehouse"


def test_a_query_answers_though_its_slowness_cannot_be_recorded(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "journal").write_text("not a folder")
    settings = Settings(home=tmp_path / "home", warehouse=WarehouseSettings(slow_query_seconds=1e-6))
    assert open_settings_warehouse(settings).query("SELECT 1 AS x").rows == ((1,),)


def test_a_question_makes_no_home(tmp_path: Path) -> None:
    tell = record_slow_query(Settings(home=tmp_path / "nowhere"), SystemClock())
    tell(SlowQuery("0", "SELECT ?", 1.0, 1, 0, 1))
    assert not (tmp_path / "nowhere").exists()
