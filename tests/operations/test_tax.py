"""Closed lots of a year: exact, split without loss, by the rule that was asked for, and safe in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ConfigError
from runner.operations.cells import amount, cell, csv_text
from runner.operations.exports import export
from runner.operations.lots import Execution, Method, dispose, exactly
from runner.operations.schemas import columns
from runner.operations.tables import shapes
from runner.operations.tax import COMPUTED, UNKNOWN, anniversary, check_year, tax_report, zone
from runner.stores.duckdb import DuckdbWarehouse
from runner.stores.memory import MemoryArchive
from tests.operations.archived import put, record

Trade = dict[str, Any]


def trade(kind: str, at: str, trade_id: str, **changes: Any) -> tuple[str, datetime, Trade]:
    """An entry or an exit of ten shares of AAPL at 100, as a bot records it; `changes` replace fields."""
    is_entry = kind == "trade_entry"
    is_short = changes.pop("short", False)
    said = {
        "trade_id": trade_id,
        "symbol": "AAPL",
        "action": "BUY" if is_entry is not is_short else "SELL",
        "quantity": "10",
        "price": "100",
        "commission": "1" if is_entry else "3",
        "execution_mode": "LIVE",
        "account_id": "a1",
    }
    return kind, datetime.fromisoformat(at).replace(tzinfo=UTC), said | changes


def entry(at: str, trade_id: str = "t1", **changes: Any) -> tuple[str, datetime, Trade]:
    return trade("trade_entry", at, trade_id, **changes)


def exit_(at: str, trade_id: str = "t1", **changes: Any) -> tuple[str, datetime, Trade]:
    return trade("trade_exit", at, trade_id, **changes)


def rows_of(folder: Path, trades: Sequence[tuple[str, datetime, Trade]], year: int = 2025, **options: Any) -> list[Any]:
    """The CSV's rows for trades that lie in a warehouse."""
    archive, warehouse = MemoryArchive(), DuckdbWarehouse(folder, columns(), shapes())
    put(archive, "trades", [_line(number, *one) for number, one in enumerate(trades)])
    export(archive, warehouse)
    report = tax_report(warehouse, year, **options)
    return list(csv.DictReader(io.StringIO(report.csv())))


def _line(number: int, kind: str, at: datetime, said: Trade) -> bytes:
    content = json.loads(record("trades", number, said))
    return json.dumps(content | {"kind": kind, "at": at.isoformat()}).encode() + b"\n"


def test_a_closed_trade_is_a_lot_with_its_fees_and_gain(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, [entry("2025-03-01T15:00"), exit_("2025-03-11T15:00", price="110.5")])
    assert (row["symbol"], row["side"], row["term"], row["days_held"]) == ("AAPL", "long", "short", "10")
    assert (row["proceeds"], row["cost_basis"], row["fees"], row["gain"]) == ("1105.0", "1000", "3", "102.0")
    assert (row["acquired"], row["disposed"], row["note"]) == ("2025-03-01", "2025-03-11", "")


def test_the_oldest_lots_go_first_also_those_of_another_bot_and_year(tmp_path: Path) -> None:
    trades = [
        entry("2024-01-10T15:00", "old", price="50"),
        entry("2025-02-01T15:00", "new", price="80"),
        exit_("2025-03-01T15:00", "new", price="100"),
    ]
    (fifo,) = rows_of(tmp_path / "fifo", trades)
    (lifo,) = rows_of(tmp_path / "lifo", trades, method=Method.LIFO)
    (own,) = rows_of(tmp_path / "own", trades, method=Method.TRADE)
    assert (fifo["acquired"], fifo["term"], fifo["cost_basis"]) == ("2024-01-10", "long", "500")
    assert (lifo["acquired"], lifo["term"], lifo["cost_basis"]) == ("2025-02-01", "short", "800")
    assert (own["acquired"], own["cost_basis"]) == ("2025-02-01", "800")


def test_a_close_that_uses_up_several_lots_is_several_rows_and_loses_nothing(tmp_path: Path) -> None:
    trades = [
        entry("2025-01-01T15:00", "a", quantity="3", commission="1"),
        entry("2025-01-02T15:00", "b", quantity="7", commission="1"),
        exit_("2025-01-03T15:00", "b", quantity="7", commission="2", price="110"),
        exit_("2025-01-04T15:00", "a", quantity="3", commission="2", price="120"),
    ]
    rows = rows_of(tmp_path, trades)
    assert [(row["quantity"], row["acquired"][-2:], row["disposed"][-2:]) for row in rows] == [
        ("3", "01", "03"),
        ("4", "02", "03"),
        ("3", "02", "04"),
    ]
    assert sum(Decimal(row["fees"]) for row in rows) == 4
    assert sum(Decimal(row["gain"]) for row in rows) == 7 * 110 + 3 * 120 - 1000 - 4


def test_a_short_sale_gains_when_the_price_falls_and_is_always_short_term(tmp_path: Path) -> None:
    trades = [entry("2023-01-02T15:00", short=True, price="100"), exit_("2025-01-02T15:00", short=True, price="90")]
    (row,) = rows_of(tmp_path, trades)
    assert (row["side"], row["term"], row["proceeds"], row["cost_basis"]) == ("short", "short", "1000", "900")
    assert row["gain"] == "97"


@pytest.mark.parametrize(
    ("acquired", "disposed", "term"),
    [
        ("2024-01-15", "2025-01-15", "short"),
        ("2024-01-15", "2025-01-16", "long"),
        ("2024-02-29", "2025-02-28", "short"),
        ("2024-02-29", "2025-03-01", "long"),
    ],
)
def test_more_than_a_year_is_long_term(tmp_path: Path, acquired: str, disposed: str, term: str) -> None:
    (row,) = rows_of(tmp_path, [entry(f"{acquired}T15:00"), exit_(f"{disposed}T15:00")])
    assert row["term"] == term
    assert anniversary(date.fromisoformat(acquired)).year == 2025


def test_a_lot_belongs_to_the_year_of_its_close_in_the_zone_that_is_named(tmp_path: Path) -> None:
    trades = [entry("2025-12-01T15:00"), exit_("2026-01-01T03:00")]
    assert rows_of(tmp_path / "utc", trades) == []
    (row,) = rows_of(tmp_path / "there", trades, where=ZoneInfo("America/New_York"))
    assert row["disposed"] == "2025-12-31"


def test_trades_of_other_modes_accounts_and_symbols_are_kept_apart(tmp_path: Path) -> None:
    trades = [
        entry("2025-01-01T15:00", "paper", execution_mode="PAPER", price="1"),
        entry("2025-01-02T15:00", "other", account_id="a2", price="2"),
        entry("2025-01-03T15:00", "coin", symbol="BTC/USDT", price="3"),
        entry("2025-01-04T15:00", "mine", price="100"),
        exit_("2025-01-05T15:00", "mine", price="100"),
    ]
    (row,) = rows_of(tmp_path, trades)
    assert row["cost_basis"] == "1000"


def test_an_exit_without_an_entry_computes_it_from_its_profit_and_says_so(tmp_path: Path) -> None:
    known = exit_("2025-01-05T15:00", "a", price="110", profit_loss="100", hold_duration_seconds=86400, commission="2")
    unknown = exit_("2025-02-05T15:00", "b", price="110", commission=None)
    first, second = rows_of(tmp_path, [known, unknown])
    assert (first["acquired"], first["cost_basis"], first["gain"]) == ("2025-01-04", "1000", "98")
    assert (first["note"], second["note"]) == (COMPUTED, UNKNOWN)
    assert second["gain"] == "0"


def test_amounts_beyond_twenty_eight_digits_stay_exact(tmp_path: Path) -> None:
    price, quantity = "98765432109876.123456789012", "12345678901234.123456789012"
    trades = [
        entry("2025-01-01T15:00", price="1", quantity=quantity, commission="0"),
        exit_("2025-01-02T15:00", price=price, quantity=quantity, commission="0"),
    ]
    (row,) = rows_of(tmp_path, trades)
    with exactly():
        assert Decimal(row["proceeds"]) == Decimal(price) * Decimal(quantity)
        assert Decimal(row["gain"]) == Decimal(price) * Decimal(quantity) - Decimal(quantity)


@given(
    quantities=st.lists(st.decimals("0.001", "1000", places=3), min_size=1, max_size=8),
    method=st.sampled_from(Method),
    fee=st.decimals("0", "10", places=5),
)
def test_no_share_and_no_cent_is_lost_however_lots_are_split(
    quantities: list[Decimal], method: Method, fee: Decimal
) -> None:
    at = datetime(2025, 1, 1, tzinfo=UTC)
    price, total = Decimal("7.77"), sum(quantities, Decimal(0))
    opened = [Execution(at, "", "X", True, True, one, price, fee, f"t{n}") for n, one in enumerate(quantities)]
    third = (total / 3).quantize(Decimal("0.000001"))
    thirds = [third, third, total - 2 * third]
    closes = [Execution(at, "", "X", True, False, one, price, fee, f"t{n}") for n, one in enumerate(thirds) if one]
    lots = list(dispose([*opened, *closes], method))
    with exactly():
        assert sum((lot.quantity for lot in lots), Decimal(0)) == total
        assert sum((lot.fees for lot in lots), Decimal(0)) == fee * (len(opened) + len(closes))
        assert sum((lot.gain for lot in lots), Decimal(0)) == -fee * (len(opened) + len(closes))


@pytest.mark.parametrize("year", [2031, 99, -1])
def test_a_year_without_trades_is_refused(year: int) -> None:
    with pytest.raises(ConfigError, match="no trades of"):
        check_year(year, today=date(2026, 1, 1))


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "America"])
def test_a_zone_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no time zone"):
        zone(name)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "|x", "%x", "\r=1"])
def test_a_text_that_a_spreadsheet_would_run_is_only_text(text: str) -> None:
    assert cell(text) == f"'{text}"
    ((read,),) = list(csv.reader(io.StringIO(csv_text(("a",), [(text,)]), newline="")))[1:]
    assert read == f"'{text}"


def test_numbers_are_left_as_they_are() -> None:
    assert [cell(value) for value in (Decimal("-1.50"), Decimal("1E+3"), -2, None, "AAPL", date(2025, 1, 2))] == [
        "-1.50",
        "1000",
        "-2",
        "",
        "AAPL",
        "2025-01-02",
    ]
    assert amount(Decimal("1.230000000000")) == "1.23"
    assert amount(Decimal("1E-12")) == "0.000000000001"
