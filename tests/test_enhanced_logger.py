"""The older logging surface still works, and what it takes are ordinary records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from runner.enhanced_logger import EnhancedLogger
from runner.errors import RecordInvalid
from runner.layout import Home
from runner.logging import TradeLogData, backlog, lines
from runner.settings import Settings, Shipping

TRADE: dict[str, Any] = {
    "trade_id": "TRADE_001",
    "symbol": "RELIANCE",
    "strategy": "vwap",
    "direction": "long",
    "quantity": 10,
    "entry_price": 2500.0,
}


@pytest.fixture
def settings(home: Home) -> Settings:
    return Settings(home=home.path, shipping=Shipping(shipper="none"))


@pytest.fixture
def enhanced(settings: Settings) -> Iterator[EnhancedLogger]:
    with EnhancedLogger(bot_type="options-trader", session_id="monday", settings=settings) as logger:
        yield logger


def records(home: Home) -> list[dict[str, Any]]:
    found = [lines.decode(line) for line in backlog.newest(home, 0)]
    return [record for record in found if record["kind"] != "seal"]


def test_a_bot_type_is_all_that_is_needed(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    monkeypatch.setenv("TRON_SHIPPER", "none")
    logger = EnhancedLogger(bot_type="stock-trader")
    logger.log_event("System started")
    logger.close()

    (record,) = records(home)
    assert (record["bot_type"], record["data"]["message"]) == ("stock-trader", "System started")


@pytest.mark.parametrize(
    ("level", "kind", "severity"),
    [
        ("DEBUG", "debug", "DEBUG"),
        ("info", "system_event", "INFO"),
        ("Warning", "warning", "WARNING"),
        ("ERROR", "error", "ERROR"),
        ("CRITICAL", "error", "CRITICAL"),
    ],
)
def test_the_level_of_an_event_decides_its_kind(
    enhanced: EnhancedLogger, home: Home, level: str, kind: str, severity: str
) -> None:
    record_id = enhanced.log_event("order sent", level=level, symbol="IBM")
    enhanced.flush()

    (record,) = records(home)
    assert (record["id"], record["kind"], record["severity"]) == (record_id, kind, severity)
    assert (record["bot_type"], record["session_id"]) == ("options-trader", "monday")
    assert record["data"]["context"] == {"symbol": "IBM"}


def test_a_level_that_does_not_exist_is_refused_with_those_that_do(enhanced: EnhancedLogger) -> None:
    with pytest.raises(RecordInvalid, match="level is 'LOUD'") as refused:
        enhanced.log_event("order sent", level="LOUD")
    assert "WARNING" in refused.value.hint


def test_a_trade_is_an_entry_while_it_is_open_and_an_exit_when_it_is_closed(
    enhanced: EnhancedLogger, home: Home
) -> None:
    enhanced.log_trade(TRADE, status="open")
    enhanced.log_trade(**TRADE, status="closed", exit_price=2550, outcome="win", urgent=True)
    enhanced.log_trade(TradeLogData(**TRADE, bot_type="options-trader", status="open"))
    enhanced.flush()

    assert [record["kind"] for record in records(home)] == ["trade_entry", "trade_exit", "trade_entry"]
    assert records(home)[0]["data"]["price"] == "2500.0"


def test_a_trade_that_lacks_a_field_is_refused_with_its_name(enhanced: EnhancedLogger) -> None:
    with pytest.raises(RecordInvalid, match="status"):
        enhanced.log_trade(TRADE)
    with pytest.raises(RecordInvalid, match="colour"):
        enhanced.log_trade(TRADE, status="open", colour="red")


def test_a_decision_gets_an_id_where_it_has_none(enhanced: EnhancedLogger, home: Home) -> None:
    fields = {"symbol": "IBM", "strategy": "vwap", "action": "buy", "outcome": "taken", "reason": "below vwap"}
    enhanced.log_decision(fields)
    enhanced.log_decision(decision_id="d1", **fields)
    enhanced.flush()

    first, second = (record["data"]["decision_id"] for record in records(home))
    assert len(first) == 36
    assert second == "d1"


def test_an_error_may_be_an_exception_or_words(enhanced: EnhancedLogger, home: Home) -> None:
    enhanced.log_error(ValueError("no price"), context={"symbol": "IBM"}, source="strategy")
    enhanced.log_error("exchange is down")
    enhanced.flush()

    caught, told = (record["data"] for record in records(home))
    assert (caught["type"], caught["source"], caught["context"]) == ("ValueError", "strategy", {"symbol": "IBM"})
    assert told["message"] == "exchange is down"


def test_what_ends_a_with_block_is_recorded(settings: Settings, home: Home) -> None:
    with pytest.raises(ZeroDivisionError), EnhancedLogger(settings=settings):
        _ = 1 / 0

    (record,) = records(home)
    assert (record["severity"], record["data"]["type"]) == ("CRITICAL", "ZeroDivisionError")
