from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from msgspec import structs

from runner.errors import ConfigError
from runner.logging.log_types import PAYLOADS, Number
from runner.logging.routes import KINDS, STREAMS
from runner.operations.schemas import column_type, columns
from runner.stores.columns import ColumnType
from runner.stores.duckdb import DuckdbWarehouse


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str, ColumnType.TEXT),
        (str | None, ColumnType.TEXT),
        (Number, ColumnType.DECIMAL),
        (Number | None, ColumnType.DECIMAL),
        (Decimal, ColumnType.DECIMAL),
        (int | None, ColumnType.INTEGER),
        (float | None, ColumnType.FLOAT),
        (bool, ColumnType.BOOLEAN),
        (datetime | None, ColumnType.TIMESTAMP),
        (date, ColumnType.DATE),
        (list[str], ColumnType.JSON),
        (dict[str, Any], ColumnType.JSON),
        (Annotated[str, "symbol"], ColumnType.TEXT),
        (Annotated[str, "id"] | None, ColumnType.TEXT),
        (Literal["long", "short"], ColumnType.TEXT),
    ],
)
def test_a_fields_type_decides_its_column(annotation: Any, expected: ColumnType) -> None:
    assert column_type(annotation) is expected


@pytest.mark.parametrize("annotation", [str | int, bytes, complex | None])
def test_a_type_that_no_column_holds_is_refused(annotation: Any) -> None:
    with pytest.raises(ConfigError, match="no column type"):
        column_type(annotation)


def test_what_is_said_in_words_is_text() -> None:
    types = {column.name: column.type for column in columns()["trades"]}
    words = ("trade_id", "symbol", "action", "order_id", "execution_mode", "strategy_name", "decision_reasoning")
    assert {types[name] for name in words} == {ColumnType.TEXT}


def test_every_field_of_every_kind_is_a_column_of_its_stream() -> None:
    found = columns()
    assert list(found) == list(STREAMS)
    for kind, route in KINDS.items():
        names = {column.name for column in found[route.stream]}
        assert {field.encode_name for field in structs.fields(PAYLOADS[kind])} <= names


def test_every_column_can_be_asked_for_by_its_name(tmp_path: Path) -> None:
    found = columns()
    warehouse = DuckdbWarehouse(tmp_path, found)
    for stream, own in found.items():
        names = ", ".join(f'"{column.name}"' for column in own)
        assert warehouse.query(f'SELECT {names} FROM "{stream}"').columns == tuple(column.name for column in own)
