from __future__ import annotations

import json
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import ConfigError, StoreRejected
from runner.layout import ObjectName
from runner.stores.base import Part
from runner.stores.duckdb import DuckdbWarehouse
from runner.stores.parquet import Parts, table, without_loaded

NOW = datetime(2024, 6, 3, 14, 30, tzinfo=UTC)


def line(offset: int, data: str = "{}") -> bytes:
    moment = (NOW + timedelta(seconds=offset)).isoformat()
    envelope = f'"id":"r:trades:{offset:012d}","seq":{offset},"ts":"{moment}","kind":"trade_entry"'
    return f'{{{envelope},"data":{data}}}\n'.encode()


def part(first: int, count: int = 1) -> Part:
    name = str(ObjectName("breakout", "trades", NOW, "deadbeef", first))
    return Part("trade-logs", name, "trades", {}, b"".join(line(first + number) for number in range(count)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(payload=st.dictionaries(st.text(), json_values, max_size=4), compact=st.booleans())
def test_a_payload_keeps_every_byte_that_was_written(payload: dict[str, object], compact: bool) -> None:
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":") if compact else (" , ", " : "))
    text = text.encode(errors="replace").decode()
    assert table("trades", line(0, text), "object")["data"].to_pylist() == [text]


def test_a_part_is_a_private_file_named_after_its_object(tmp_path: Path) -> None:
    DuckdbWarehouse(tmp_path / "warehouse", {"trades": ()}).load([part(7)])
    path = tmp_path / "warehouse/trades/2024-06-03/breakout/trades_143000_deadbeef-000000000007_v1.parquet"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "warehouse").stat().st_mode) == 0o700
    assert list((tmp_path / "warehouse" / ".partial").iterdir()) == []


def test_a_folder_whose_name_is_a_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pattern"):
        DuckdbWarehouse(tmp_path / "a[1]", {})


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{}'",
        "WITH a AS (COPY (SELECT 1) TO '{}') SELECT * FROM a",
        "SELECT 'é' AS \"☃\" UNION ALL (WITH a AS (/* é */cOpY (SELECT 1) TO '{}') SELECT * FROM a)",
        "EXPLAIN ANALYZE WITH a AS (COPY (SELECT 1) TO '{}') SELECT * FROM a",
        "EXPLAIN ANALYZE ATTACH '{}' AS other",
        "EXPLAIN ANALYZE EXPORT DATABASE '{}'",
    ],
)
def test_no_statement_writes_into_the_warehouse_folder(tmp_path: Path, sql: str) -> None:
    warehouse = DuckdbWarehouse(tmp_path, {"trades": ()})
    warehouse.load([part(0)])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreRejected):
        warehouse.query(sql.format(tmp_path / "written"))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["at", "offset"])
def test_a_column_that_is_a_keyword_is_told_to_be_quoted(tmp_path: Path, name: str) -> None:
    warehouse = DuckdbWarehouse(tmp_path, {"trades": ()})
    with pytest.raises(StoreRejected) as caught:
        warehouse.query(f"SELECT {name} FROM trades")
    assert "double quotes" in caught.value.hint
    assert warehouse.query(f'SELECT "{name}" FROM trades').columns == (name,)


def test_the_word_copy_may_be_searched_for(tmp_path: Path) -> None:
    sql = """SELECT count(*) AS "copy" FROM trades WHERE data LIKE '%copy%' -- copy"""
    assert DuckdbWarehouse(tmp_path, {"trades": ()}).query(sql).rows == ((0,),)


def test_a_folder_with_quotes_and_spaces_holds_a_warehouse(tmp_path: Path) -> None:
    warehouse = DuckdbWarehouse(tmp_path / 'it\'s "mine"', {"trades": ()})
    warehouse.load([part(0)])
    assert warehouse.query("SELECT count(*) FROM trades").rows == ((1,),)


def test_what_a_dead_loader_left_is_no_part_and_is_overwritten(tmp_path: Path) -> None:
    partial = tmp_path / ".partial"
    partial.mkdir()
    (partial / "part").write_bytes(b"half a part")
    warehouse = DuckdbWarehouse(tmp_path, {"trades": ()})
    assert warehouse.loaded("trades") == frozenset()
    assert warehouse.load([part(0)]) == 1
    assert list(partial.iterdir()) == []


def test_loaders_that_race_for_the_same_objects_double_nothing(tmp_path: Path) -> None:
    parts = [part(first * 10, 10) for first in range(20)]
    loaders = [threading.Thread(target=DuckdbWarehouse(tmp_path, {"trades": ()}).load, args=(parts,)) for _ in range(4)]
    for loader in loaders:
        loader.start()
    for loader in loaders:
        loader.join()
    rows = DuckdbWarehouse(tmp_path, {"trades": ()}).query("SELECT count(*), count(DISTINCT id) FROM trades").rows
    assert rows == ((200, 200),)


def test_a_query_answers_while_parts_are_loaded(tmp_path: Path) -> None:
    warehouse = DuckdbWarehouse(tmp_path, {"trades": ()})
    loader = threading.Thread(target=lambda: [warehouse.load([part(first * 10, 10)]) for first in range(30)])
    loader.start()
    seen = [0]
    while loader.is_alive():
        ((count,),) = DuckdbWarehouse(tmp_path, {"trades": ()}).query("SELECT count(*) FROM trades").rows
        assert count % 10 == 0
        assert count >= seen[-1]
        seen.append(count)
    loader.join()
    assert warehouse.query("SELECT count(*) FROM trades").rows == ((300,),)


def test_unshipped_lines_that_are_loaded_meanwhile_are_never_seen_twice(tmp_path: Path) -> None:
    warehouse = DuckdbWarehouse(tmp_path, {"trades": ()})
    unshipped = {"trades": part(0, 300).lines}
    loader = threading.Thread(target=lambda: [warehouse.load([part(first * 10, 10)]) for first in range(30)])
    loader.start()
    while loader.is_alive():
        assert warehouse.query("SELECT count(*) FROM trades", unshipped=unshipped).rows == ((300,),)
    loader.join()
    assert warehouse.query("SELECT count(*) FROM trades", unshipped=unshipped).rows == ((300,),)


def test_rows_that_a_part_holds_are_taken_out_of_a_table(tmp_path: Path) -> None:
    DuckdbWarehouse(tmp_path, {"trades": ()}).load([part(0, 5), part(5, 5)])
    rest = table("trades", b"".join(line(offset) for offset in range(3, 15)), "the journal")
    assert without_loaded(rest, Parts(tmp_path).paths("trades"))["offset"].to_pylist() == [10, 11, 12, 13, 14]
