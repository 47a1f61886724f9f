"""The named queries give the committed answers, on every warehouse; `pytest -m real_cloud` asks the real BigQuery."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery

from runner.errors import ConfigError
from runner.operations import queries
from runner.operations.schemas import columns
from runner.operations.tables import shapes
from runner.stores.base import Table, Warehouse
from runner.stores.duckdb import DuckdbWarehouse
from tests.operations.trading_days import PARAMETERS, features, parts
from tests.stores.bigquery_parts import client_of, open_bigquery

EXPECTED = Path(__file__).parent / "expected"
WAREHOUSES = ["duckdb", "bigquery"]


def duckdb_with_features(folder: Path) -> Warehouse:
    place = folder / "tables" / "features"
    place.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(features()), place / "bars.parquet")
    return DuckdbWarehouse(folder, columns(), shapes())


def insert_features(client: bigquery.Client, dataset: str) -> None:
    """By SQL, with parameters: the emulator takes no rows any other way."""
    for row in features():
        types = {"time": "TIMESTAMP", "symbol": "STRING", "freq": "STRING", "vol_regime": "INT64"}
        values = [bigquery.ScalarQueryParameter(name, types.get(name, "FLOAT64"), row[name]) for name in row]
        sql = f"INSERT INTO `{dataset}.features` ({', '.join(row)}) VALUES ({', '.join(f'@{name}' for name in row)})"
        client.query_and_wait(sql, job_config=bigquery.QueryJobConfig(query_parameters=values))


def bigquery_with_features(request: pytest.FixtureRequest) -> Warehouse:
    warehouse = open_bigquery(request, columns(), shapes=shapes())
    warehouse.loaded("trades")
    insert_features(client_of(request.getfixturevalue("demo_project")), warehouse.dataset)
    return warehouse


@pytest.fixture(params=WAREHOUSES)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    made = duckdb_with_features(tmp_path) if request.param == "duckdb" else bigquery_with_features(request)
    made.load(parts())
    yield made
    made.close()


def as_json(answer: Table) -> list[dict[str, Any]]:
    return [{name: plain(name, value) for name, value in row.items()} for row in answer.dicts()]


def plain(name: str, value: Any) -> Any:
    """A value as the committed files have it: exact, and of a type of its own."""
    if name == "data":
        return json.loads(value)
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def test_every_named_query_gives_the_committed_answer(warehouse: Warehouse) -> None:
    for name in queries.names():
        answer = as_json(queries.run(warehouse, name, **PARAMETERS[name]))
        assert answer == json.loads((EXPECTED / f"{name}.json").read_text()), name


def test_every_table_and_view_has_the_columns_that_it_is_said_to_have(warehouse: Warehouse) -> None:
    for shape in (*shapes().tables, *shapes().views):
        answer = warehouse.query(f"SELECT * FROM {shape.name}")
        assert answer.columns == tuple(column.name for column in shape.columns)
        assert shape.name in {row[0] for row in warehouse.query("SHOW TABLES").rows}


def test_a_search_also_finds_what_is_not_shipped_yet(warehouse: Warehouse) -> None:
    rest = {"errors": parts()[1].lines.replace(b":000000000000", b":000000000001")}
    found = queries.run(warehouse, "record_search", text='LOST the \\"feed', limit=9, unshipped=rest)
    assert [row[0][-1] for row in found.rows] == ["1", "0"]


@pytest.mark.parametrize("name", queries.names())
def test_a_query_says_at_its_top_which_parameters_it_takes(name: str) -> None:
    (said,) = re.findall(r"^-- Parameters: (.*)$", queries.text(name), re.MULTILINE)
    assert {one.split()[0] for one in said.split(", ")} == set(queries.parameters_of(name)) == PARAMETERS[name].keys()


def test_a_query_that_does_not_exist_is_refused_and_the_hint_lists_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no query 'nothing'") as caught:
        queries.run(DuckdbWarehouse(tmp_path, columns(), shapes()), "nothing")
    assert "record_search" in caught.value.hint


@pytest.mark.parametrize("given", [{}, {"day": 1, "days": 2}, {"date": 1}])
def test_parameters_that_a_query_does_not_take_are_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        queries.run(DuckdbWarehouse(tmp_path, columns(), shapes()), "daily_report", **given)
    assert caught.value.hint == "it takes day"
