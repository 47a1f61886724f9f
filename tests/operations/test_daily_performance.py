"""One definition of a metric: what the warehouse says in SQL is what `runner.market.metrics` says in Python."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runner.errors import ObjectExists
from runner.operations.csv_summaries import BUCKET, COLUMNS, summary_name, write_summaries
from runner.operations.daily_performance import daily_performance
from runner.operations.days import Days
from runner.operations.exports import export
from runner.operations.schemas import columns
from runner.operations.tables import shapes
from runner.stores.base import Part, Warehouse
from runner.stores.directory import DirectoryArchive
from runner.stores.duckdb import DuckdbWarehouse
from tests.operations.archived import NOW, put, record
from tests.stores.bigquery_parts import open_bigquery

DAYS = Days(date(2024, 6, 3), date(2024, 6, 5))


def closed(number: int, at: datetime, profit: str | None, **changes: Any) -> bytes:
    said = {
        "trade_id": f"t{number}",
        "symbol": "AAPL",
        "action": "SELL",
        "quantity": "2",
        "price": "101.25",
        "strategy_name": "breakout",
        "exit_timestamp": at.isoformat(),
        "net_profit_loss": profit,
        "outcome": "win",
    }
    return record(
        "trades", number, said | {k: v for k, v in changes.items() if k != "bot"}, bot=changes.get("bot", "b")
    )


def random_trades(count: int) -> list[bytes]:
    """Three days, two symbols and two strategies; some trades break even, and one in ten names no profit."""
    chance = random.Random(11)
    found = []
    for number in range(count):
        at = datetime(2024, 6, 3, tzinfo=UTC) + timedelta(seconds=chance.randrange(3 * 86_400))
        cents = chance.choice((0, None, *(chance.randrange(-10_000, 10_000) for _ in range(8))))
        profit = None if cents is None else str(Decimal(cents) / 100)
        names = {"symbol": chance.choice(("AAPL", "MSFT")), "strategy_name": chance.choice(("a", "b"))}
        found.append(closed(number, at, profit, **names))
    return found


@pytest.fixture(params=["duckdb", "bigquery"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    made: Warehouse
    if request.param == "duckdb":
        made = DuckdbWarehouse(tmp_path, columns(), shapes())
    else:
        made = open_bigquery(request, columns(), shapes=shapes())
    yield made
    made.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Warehouse:
    return DuckdbWarehouse(tmp_path, columns(), shapes())


def load(warehouse: Warehouse, lines: list[bytes]) -> None:
    name = "logs/2024/06/03/b/trades_143000_deadbeef-000000000000_v1.json.gz"
    warehouse.load([Part("trade-logs", name, "trades", {}, b"".join(lines))])


def test_the_view_says_what_the_metrics_say(warehouse: Warehouse) -> None:
    load(warehouse, random_trades(400))
    rows = {(row.day, row.symbol, row.model_name): row for row in daily_performance(warehouse, DAYS)}
    found = warehouse.query("SELECT * FROM daily_performance").dicts()
    assert len(found) == len(rows) == 12
    for said in found:
        row = rows[said["day"], said["symbol"], said["model_name"]]
        exact = ("total_trades", "wins", "total_pnl", "max_win", "max_loss")
        assert {name: said[name] for name in exact} == {name: getattr(row, name) for name in exact}
        for name in ("win_rate", "avg_pnl", "profit_factor", "average_win", "average_loss"):
            assert said[name] == pytest.approx(float(getattr(row, name)), abs=1e-8), name


def test_a_metric_that_is_undefined_is_null_in_both(warehouse: Warehouse) -> None:
    load(warehouse, [closed(0, NOW, "5"), closed(1, NOW, None)])
    (row,) = daily_performance(warehouse, DAYS)
    (said,) = warehouse.query("SELECT * FROM daily_performance").dicts()
    for name in ("profit_factor", "average_loss"):
        assert (said[name], getattr(row, name)) == (None, None)
    assert (said["total_trades"], said["win_rate"], row.win_rate) == (2, 0.5, 0.5)
    assert json.loads(json.dumps(row.as_dict()))["total_pnl"] == "5"


def test_late_trades_are_in_the_view_at_once(embedded: Warehouse) -> None:
    load(embedded, [closed(0, NOW, "5")])
    late = Part(
        "trade-logs",
        "logs/2024/06/04/b/trades_000000_deadbeef-000000000001_v1.json.gz",
        "trades",
        {},
        closed(1, NOW, "-2"),
    )
    embedded.load([late])
    assert embedded.query("SELECT total_trades, total_pnl FROM daily_performance").rows == ((2, 3),)


def test_what_a_bot_said_of_its_day_is_a_row(embedded: Warehouse) -> None:
    said = {"date": "2024-06-03", "metrics": {"equity": "100010.50", "trades": 3, "wins": 2, "net_profit": "10.50"}}
    name = "logs/2024/06/03/b/metrics_143000_deadbeef-000000000000_v1.json.gz"
    embedded.load([Part("analytics-data", name, "metrics", {}, record("metrics", 0, said, kind="summary"))])
    (row,) = embedded.query("SELECT * FROM daily_summaries").dicts()
    assert (row["day"], row["equity"], row["total_trades"], row["wins"]) == (
        date(2024, 6, 3),
        Decimal("100010.5"),
        3,
        2,
    )
    assert row["fees"] is None


class Summaries:
    """An archive of trades and the warehouse that they are exported to."""

    def __init__(self, folder: Path) -> None:
        self.archive = DirectoryArchive(folder / "archive")
        self.warehouse = DuckdbWarehouse(folder / "warehouse", columns(), shapes())
        self.first = 0

    def trade(self, *lines: bytes) -> None:
        put(self.archive, "trades", lines, first=self.first)
        self.first += len(lines)
        export(self.archive, self.warehouse)

    def write(self) -> tuple[str, ...]:
        return write_summaries(self.archive, self.warehouse, DAYS).written

    def read(self, name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(gzip.decompress(self.archive.read(BUCKET, name)).decode())))


@pytest.fixture
def summaries(tmp_path: Path) -> Summaries:
    return Summaries(tmp_path)


def test_a_summary_lists_the_trades_of_a_bot_and_day(summaries: Summaries) -> None:
    summaries.trade(closed(0, NOW, "-5"), closed(1, NOW, "7", bot="c"), closed(2, NOW + timedelta(days=1), "1"))
    written = summaries.write()
    assert written == (
        "logs/2024/06/03/b/trades_summary_b_2024-06-03_v1.csv.gz",
        "logs/2024/06/04/b/trades_summary_b_2024-06-04_v1.csv.gz",
        "logs/2024/06/03/c/trades_summary_c_2024-06-03_v1.csv.gz",
    )
    (row,) = summaries.read(written[0])
    assert tuple(row) == COLUMNS
    assert (row["trade_id"], row["net_profit_loss"], row["price"]) == ("t0", "-5", "101.25")


def test_a_version_is_written_only_when_the_content_changed(summaries: Summaries) -> None:
    summaries.trade(closed(0, NOW, "5"))
    assert [len(summaries.write()) for _ in range(3)] == [1, 0, 0]
    summaries.trade(closed(1, NOW, "7"))
    assert summaries.write() == ("logs/2024/06/03/b/trades_summary_b_2024-06-03_v2.csv.gz",)
    assert summaries.write() == ()
    assert [len(summaries.read(summary_name("b", NOW.date(), version))) for version in (1, 2)] == [1, 2]


def test_the_tenth_version_comes_after_the_ninth(summaries: Summaries) -> None:
    for number in range(11):
        summaries.trade(closed(number, NOW, "5"))
        assert summaries.write() == (summary_name("b", NOW.date(), number + 1),)
    assert summaries.write() == ()


def test_text_in_a_summary_is_no_formula_and_a_bots_name_no_path(summaries: Summaries) -> None:
    summaries.trade(closed(0, NOW, "5", exit_reasoning="=cmd|' /C calc'!A0", bot="../a b"))
    (name,) = summaries.write()
    assert name == "logs/2024/06/03/%2E.%2Fa%20b/trades_summary_%2E.%2Fa%20b_2024-06-03_v1.csv.gz"
    assert summaries.read(name)[0]["exit_reasoning"] == "'=cmd|' /C calc'!A0"


def test_writers_that_race_write_the_same_content_once(summaries: Summaries, monkeypatch: pytest.MonkeyPatch) -> None:
    summaries.trade(closed(0, NOW, "5"))
    create = summaries.archive.create

    def raced(bucket: str, name: str, body: bytes, **said: Any) -> None:
        create(bucket, name, body, **said)
        raise ObjectExists("the other one was faster")

    monkeypatch.setattr(summaries.archive, "create", raced)
    assert summaries.write() == ()
    assert [info.name[-10:] for info in summaries.archive.list(BUCKET, "logs/")] == ["_v1.csv.gz"]


def test_summaries_that_are_stopped_go_on_with_the_next_call(summaries: Summaries) -> None:
    summaries.trade(closed(0, NOW, "5"), closed(1, NOW + timedelta(days=1), "1"))
    looks = iter((False, True))
    first = write_summaries(summaries.archive, summaries.warehouse, DAYS, stop=lambda: next(looks))
    second = write_summaries(summaries.archive, summaries.warehouse, DAYS)
    assert (len(first.written), first.done) == (1, False)
    assert (len(second.written), second.unchanged, second.done) == (1, 1, True)
    assert json.dumps(second.as_dict())
