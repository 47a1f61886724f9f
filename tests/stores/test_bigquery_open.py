from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.errors import ConfigError, StoreRejected
from runner.settings import Settings, Stores
from runner.stores.bigquery import BigqueryWarehouse
from runner.stores.columns import Column, ColumnType
from runner.stores.dialects import from_duckdb, to_duckdb, with_common
from runner.stores.open import check_urls, open_warehouse
from runner.stores.shapes import Shapes, TableShape, ViewShape
from tests.emulators.emulator import Emulator

URL = "bigquery://demo-project/tron"
DAY = Column("day", ColumnType.DATE)


def settings(home: Path, warehouse: str, archive: str = "gs://demo", **others: Any) -> Settings:
    return Settings(home=home, stores=Stores(warehouse=warehouse, archive=archive), **others)


@pytest.mark.parametrize("options", ["", "?location=EU", "?max_gib=5", "?location=asia-south1&max_gib=100"])
def test_a_bigquery_url_opens_the_warehouse_without_asking_google(
    tmp_path: Path, bigquery_emulator: Emulator, options: str
) -> None:
    warehouse = open_warehouse(settings(tmp_path, URL + options), {"trades": ()})
    assert isinstance(warehouse, BigqueryWarehouse)
    assert warehouse.query("SHOW TABLES").rows == (("loads",), ("records",), ("trades",))
    warehouse.close()


@pytest.mark.parametrize(
    "url",
    [
        "bigquery://",
        "bigquery://demo-project",
        "bigquery:///tron",
        "bigquery://demo-project/a-b",
        "bigquery://demo-project/tron/more",
        f"{URL}?max_gib=0",
        f"{URL}?max_gib=1&",
        f"{URL}?region=EU",
        f"{URL}?",
    ],
)
def test_a_url_that_names_no_dataset_is_refused_with_an_example(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="TRON_WAREHOUSE") as caught:
        check_urls(settings(tmp_path, url))
    assert "bigquery://project/dataset" in caught.value.hint


@pytest.mark.parametrize("archive", ["", "file:///var/tron", "memory:"])
def test_a_warehouse_that_cannot_reach_its_archive_is_refused(tmp_path: Path, archive: str) -> None:
    with pytest.raises(ConfigError, match="filled from gs:// objects") as caught:
        open_warehouse(settings(tmp_path, URL, archive), {})
    assert "TRON_ARCHIVE=gs://prefix" in caught.value.hint


def test_production_never_asks_an_emulator(tmp_path: Path, bigquery_emulator: Emulator) -> None:
    with pytest.raises(ConfigError, match="BIGQUERY_EMULATOR_HOST names an emulator"):
        open_warehouse(settings(tmp_path, URL, environment="prod"), {})


def test_missing_credentials_say_how_to_sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))
    with pytest.raises(ConfigError, match="no Google Cloud credentials") as caught:
        open_warehouse(settings(tmp_path, URL), {})
    assert "gcloud auth application-default login" in caught.value.hint


def test_the_embedded_warehouse_needs_neither_google_nor_a_translator() -> None:
    code = (
        "import sys, pathlib\n"
        "before = set(sys.modules)\n"
        "from runner.stores.duckdb import DuckdbWarehouse\n"
        "DuckdbWarehouse(pathlib.Path('nowhere'), {'trades': ()}).query('SELECT count(*) FROM trades')\n"
        "assert not {'google', 'sqlglot'} & {name.partition('.')[0] for name in set(sys.modules) - before}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_question_mark_in_a_text_is_no_parameter() -> None:
    statement = from_duckdb("SELECT '?', ? /* ? */, ? FROM TRADES t WHERE t.symbol = ?", ["trades"])
    assert statement.sql.startswith("SELECT '?', @p1")
    assert statement.sql.endswith("@p2 FROM trades AS t WHERE t.symbol = @p3")
    assert statement.tables == {"trades"}


@pytest.mark.parametrize(
    "sql", ["SELECT concat_ws(' ', 'a', 'b')", "SUMMARIZE trades", "PIVOT trades ON symbol", "\x00"]
)
def test_what_bigquery_cannot_be_asked_is_rejected_with_a_hint(sql: str) -> None:
    with pytest.raises(StoreRejected) as caught:
        from_duckdb(sql, ["trades"])
    assert caught.value.hint


def test_parameters_are_found_by_their_names_wherever_they_stand() -> None:
    assert to_duckdb("SELECT @b AS x, @a AS y, @b AS z", ["a", "b"]) == "SELECT $2 AS x, $1 AS y, $2 AS z"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", "WITH `a` AS (\nSELECT 2\n)\nSELECT 1"),
        (
            "-- why\nWITH b AS (SELECT 1) SELECT * FROM b",
            "WITH `a` AS (\nSELECT 2\n),\nb AS (SELECT 1) SELECT * FROM b",
        ),
    ],
)
def test_common_tables_come_before_those_of_the_query(sql: str, expected: str) -> None:
    assert with_common({"`a`": "SELECT 2"}, sql) == expected
    assert with_common({}, sql) == sql


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a-b"},
        {"day": "n"},
        {"day": "nothing"},
        {"cluster": ("nothing",)},
        {"key": ("x",)},
        {"cluster": ("n",) * 5},
    ],
)
def test_a_table_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        TableShape(**{"name": "t", "columns": (DAY, Column("n", ColumnType.INTEGER)), "day": "day"} | change)


def test_a_view_has_a_plain_name() -> None:
    with pytest.raises(ConfigError):
        Shapes(views=[ViewShape("a b", (DAY,), "SELECT 1")])
