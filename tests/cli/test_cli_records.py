"""What a run leaves on record: every kind, with what its reader needs."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from runner.clock import SystemClock
from runner.logging.lines import moment
from tests.cli import evidence
from tests.cli.terminal import ONCE, Tron

KINDS = {
    "order",
    "fill",
    "position",
    "trade_entry",
    "trade_exit",
    "decision",
    "risk_event",
    "system_event",
    "heartbeat",
    "error",
    "metric",
    "summary",
    "usage",
    "seal",
}
MONEY = ("quantity", "price", "total_value", "stop_loss", "target", "profit_loss", "slippage", "commission")
TEXTS = ("trade_id", "symbol", "action", "order_id", "strategy_name", "entry_type", "decision_reasoning", "outcome")
TRADE_FIELDS = {
    *MONEY,
    *TEXTS,
    "net_profit_loss",
    "timestamp",
    "account_id",
    "indicators_used",
    "risk_reward_ratio",
    "hold_duration_seconds",
    "exit_timestamp",
    "exit_reasoning",
    "execution_mode",
    "session_id",
    "bot_version",
    "config_hash",
}
SETTINGS = """
[[bots]]
name = "breakout"
strategy = "breakout"
[bots.risk]
max_position_pct = 90
max_drawdown_pct = 1

[[bots]]
name = "careful"
strategy = "vwap"

[[bots]]
name = "fails"
strategy = "fails:Fails"
"""
STRATEGY = """
from runner.strategies.base import Strategy

class Fails(Strategy):
    def on_bar(self, bar, position):
        raise ZeroDivisionError("no idea")
"""

Records = dict[str, list[evidence.Record]]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    """Records by kind, after a run of a bot that trades, one that crosses a tight limit and one that fails."""
    tron = Tron(tmp_path_factory.mktemp("records"))
    tron.write_settings(SETTINGS)
    (tron.folder / "fails.py").write_text(STRATEGY)
    tron.succeeds(*ONCE, "--symbols", "IBM")
    tron.rest()
    found: Records = {}
    for record in evidence.archived(tron.home.path):
        found.setdefault(record["kind"], []).append(record)
    return found


def test_every_kind_that_a_run_can_write_is_there(records: Records) -> None:
    assert set(records) >= KINDS


def test_a_trade_has_its_27_fields_and_its_id(records: Records) -> None:
    for record in records["trade_entry"] + records["trade_exit"]:
        assert set(record["data"]) == TRADE_FIELDS
    assert len(TRADE_FIELDS) == 28


def test_money_is_written_as_exact_text(records: Records) -> None:
    for record in records["trade_exit"]:
        data = record["data"]
        amounts = {name: data[name] for name in (*MONEY, "net_profit_loss") if data[name] is not None}
        assert all(isinstance(amount, str) for amount in amounts.values())
        assert Decimal(data["profit_loss"]) - Decimal(data["commission"]) == Decimal(data["net_profit_loss"])


def test_fields_of_a_trade_have_their_documented_types(records: Records) -> None:
    for record in records["trade_entry"] + records["trade_exit"]:
        data = record["data"]
        assert all(isinstance(data[name], str) and data[name] for name in TEXTS)
        assert data["action"] in ("BUY", "SELL")
        assert data["execution_mode"] == "PAPER"
        assert isinstance(data["indicators_used"], list)
        assert moment(data["timestamp"]) == moment(record["at"])
    assert all(isinstance(record["data"]["hold_duration_seconds"], int) for record in records["trade_exit"])


def test_every_exit_belongs_to_an_entry(records: Records) -> None:
    entered = {record["data"]["trade_id"] for record in records["trade_entry"]}

    assert {record["data"]["trade_id"] for record in records["trade_exit"]} <= entered


def test_decisions_say_why_with_indicators_also_when_nothing_was_done(records: Records) -> None:
    decisions = [record["data"] for record in records["decision"]]

    assert {"taken", "vetoed"} <= {decision["outcome"] for decision in decisions}
    assert len({decision["outcome"] for decision in decisions}) > 2
    assert all(decision["reason"] for decision in decisions)
    assert all(decision["indicators"] for decision in decisions if decision["outcome"] != "silent")


def test_crossing_a_limit_is_a_critical_risk_event_that_names_the_limits(records: Records) -> None:
    (event,) = [record for record in records["risk_event"] if record["bot"] == "breakout"]

    assert event["severity"] == "CRITICAL"
    assert event["data"]["action_taken"] == "trading_paused"
    assert event["data"]["config_snapshot"]["crossed"] == "max_drawdown_pct"
    assert Decimal(event["data"]["drawdown_pct"]) <= -1


def test_a_strategy_that_fails_is_an_error_on_record_and_halts_its_bot(records: Records) -> None:
    (error,) = records["error"]

    assert error["data"]["type"] == "ZeroDivisionError"
    assert error["data"]["context"]["symbol"] == "IBM"
    assert [record["bot"] for record in records["risk_event"] if record["bot"] == "fails"] == ["fails"]


def test_usage_says_what_the_stores_were_asked_for(records: Records) -> None:
    services = {record["data"]["service"] for record in records["usage"]}

    assert {"live", "archive", "compliance", "stream", "coalescing"} <= services


def test_records_carry_wall_time_and_market_time(records: Records) -> None:
    record = records["trade_entry"][0]

    assert (SystemClock().now() - moment(record["ts"])).days == 0
    assert moment(record["at"]).year < 2014
