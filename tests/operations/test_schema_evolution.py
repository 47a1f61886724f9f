"""Tables grow: what a version does not know is kept, and what a later one knows is read out of old parts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from runner.errors import StoreRejected
from runner.operations.exports import export
from runner.operations.schemas import columns
from runner.stores.base import Part, Warehouse
from runner.stores.columns import Column, ColumnType
from runner.stores.duckdb import DuckdbWarehouse
from runner.stores.memory import MemoryArchive
from tests.operations.archived import put, record
from tests.stores.bigquery_parts import ArchivedParts, open_bigquery

YOUNGER = Column("venue", ColumnType.TEXT)


def part(first: int, lines: Sequence[bytes]) -> Part:
    name = f"logs/2024/06/03/breakout/trades_143000_deadbeef-{first:012d}_v1.json.gz"
    return Part("trade-logs", name, "trades", {}, b"".join(lines))


def with_venue() -> dict[str, tuple[Column, ...]]:
    known = columns()
    return {**known, "trades": (*known["trades"], YOUNGER)}


@pytest.fixture(params=["duckdb", "bigquery"])
def versions(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Warehouse, Warehouse]]:
    """One warehouse, opened by a version that does not know the column and by one that does."""
    older: Warehouse
    younger: Warehouse
    if request.param == "duckdb":
        older, younger = DuckdbWarehouse(tmp_path, columns()), DuckdbWarehouse(tmp_path, with_venue())
    else:
        older = open_bigquery(request, columns())
        project = request.getfixturevalue("demo_project")
        younger = ArchivedParts(project, "tron", with_venue(), archive=older.bucket_prefix)
        younger.bucket_prefix = older.bucket_prefix
    yield older, younger
    older.close()
    younger.close()


def test_a_field_that_is_not_known_yet_is_kept_and_becomes_a_column(versions: tuple[Warehouse, Warehouse]) -> None:
    older, younger = versions
    older.load([part(0, [record("trades", 0, {"symbol": "AAPL"})])])
    older.load([part(1, [record("trades", 1, {"symbol": "MSFT", "venue": "XNAS"})])])
    kept = [json.loads(row[0]) for row in older.query("SELECT data FROM trades ORDER BY seq").rows]
    assert kept[1] == {"symbol": "MSFT", "venue": "XNAS"}
    assert younger.query("SELECT symbol, venue FROM trades ORDER BY seq").rows == (("AAPL", None), ("MSFT", "XNAS"))


def test_records_with_and_without_a_column_lie_side_by_side(versions: tuple[Warehouse, Warehouse]) -> None:
    older, younger = versions
    younger.load([part(0, [record("trades", 0, {"venue": "XNAS"}), record("trades", 1, {})])])
    older.load([part(2, [record("trades", 2, {"venue": "ARCX"})])])
    assert younger.query("SELECT venue FROM trades ORDER BY seq").rows == (("XNAS",), (None,), ("ARCX",))
    assert older.query("SELECT count(*) FROM trades").rows == ((3,),)


def test_a_field_of_the_envelope_that_is_not_known_does_no_harm(versions: tuple[Warehouse, Warehouse]) -> None:
    older, _ = versions
    older.load([part(0, [record("trades", 0, {}, shard="7"), record("trades", 1, {})])])
    assert older.query("SELECT count(*) FROM trades").rows == ((2,),)


@pytest.mark.parametrize("without", [(0,), (1,), (0, 1)])
def test_parts_of_a_version_whose_envelope_lacked_a_column_are_read_as_null(
    tmp_path: Path, without: tuple[int, ...]
) -> None:
    warehouse = DuckdbWarehouse(tmp_path, columns())
    warehouse.load([part(0, [record("trades", 0, {}, actor="me")]), part(1, [record("trades", 1, {}, actor="me")])])
    paths = sorted(tmp_path.rglob("trades_*.parquet"))
    for number in without:
        pq.write_table(pq.read_table(paths[number]).drop_columns(["actor"]), paths[number])
    expected = tuple((None if number in without else "me",) for number in range(2))
    assert warehouse.query("SELECT actor FROM trades ORDER BY seq").rows == expected
    assert warehouse.query("SELECT actor FROM records ORDER BY seq").rows == expected
    rest = {"trades": record("trades", 2, {}, actor="you")}
    assert warehouse.query("SELECT max(actor) FROM trades", unshipped=rest).rows == (("you",),)


def test_a_column_that_nobody_knows_is_still_an_error(tmp_path: Path) -> None:
    warehouse = DuckdbWarehouse(tmp_path, columns())
    warehouse.load([part(0, [record("trades", 0, {})])])
    with pytest.raises(StoreRejected, match="venue"):
        warehouse.query("SELECT venue FROM trades")


def test_queries_over_streams_that_they_do_not_name_find_everything(tmp_path: Path) -> None:
    archive, warehouse = MemoryArchive(), DuckdbWarehouse(tmp_path, columns())
    put(archive, "trades", [record("trades", 0, {"symbol": "AAPL"})])
    put(archive, "errors", [record("errors", 0, {"message": "late"})])
    export(archive, warehouse)
    assert warehouse.query("SELECT count(*) FROM records").rows == ((2,),)
    assert warehouse.query('SELECT count(*) FROM "TRADES"').rows == ((1,),)
    assert ("trades",) in warehouse.query("SHOW TABLES").rows
    assert len(warehouse.query("SELECT view_name FROM duckdb_views() WHERE NOT internal").rows) >= 10
