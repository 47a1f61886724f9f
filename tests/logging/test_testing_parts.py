"""What bot authors test with does what it promises."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from runner.errors import RecordInvalid, StoreUnavailable
from runner.logging import TradeLogData
from runner.testing import (
    CapturingLogger,
    Fault,
    FaultyArchive,
    FaultyLiveStore,
    ManualClock,
    MemoryArchive,
    MemoryLiveStore,
    Outage,
    in_turn,
)
from tests.logging.journeys import START


def trade(**changes: object) -> TradeLogData:
    fields = {
        "trade_id": "t1",
        "symbol": "AAPL",
        "strategy": "vwap",
        "bot_type": "stock-trader",
        "direction": "long",
        "quantity": Decimal(10),
        "entry_price": Decimal("101.25"),
        "status": "open",
    }
    return TradeLogData(**{**fields, **changes})  # type: ignore[arg-type]  # the fields are those of a trade


def test_a_capturing_logger_remembers_what_was_logged_in_order() -> None:
    with CapturingLogger(clock=ManualClock(START)) as logger:
        logger.log_trade_entry(trade())
        logger.log_warning("slow")
        logger.bind(symbol="AAPL").log_system_event("started")

        assert [record["kind"] for record in logger.captured] == ["trade_entry", "warning", "system_event"]
        assert logger.of_kind("trade_entry")[0]["price"] == "101.25"
        assert logger.captured[0]["at"] == "2030-06-03T14:30:00.000000Z"
        assert logger.captured[2]["context"] == {"symbol": "AAPL"}


def test_it_refuses_what_the_real_logger_refuses() -> None:
    with CapturingLogger() as logger:
        with pytest.raises(RecordInvalid):
            logger.log_trade_entry(trade(symbol="no symbol"))

        assert logger.captured == []


def test_its_records_outlive_it_and_its_folder_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    logger = CapturingLogger()
    logger.log_warning("slow")
    logger.close()
    logger.close()

    assert [data["message"] for data in logger.of_kind("warning")] == ["slow"]
    assert list(tmp_path.glob("tron-capture-*")) == []


def test_a_fault_may_come_before_or_after_the_effect() -> None:
    inner = MemoryArchive()
    archive = FaultyArchive(inner, in_turn(Fault(), Fault(after=True)))

    for name in ("before", "after"):
        with pytest.raises(StoreUnavailable):
            archive.create("b", name, b"x", metadata={}, content_type="text/plain")

    assert [info.name for info in inner.list("b")] == ["after"]
    archive.create("b", "healthy", b"x", metadata={}, content_type="text/plain")
    assert archive.read("b", "healthy") == b"x"


def test_an_outage_lasts_until_it_is_over() -> None:
    outage = Outage()
    live = FaultyLiveStore(MemoryLiveStore(), outage)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            live.get("live_trades", "t1")

    outage.down = False

    assert live.get("live_trades", "t1") is None
