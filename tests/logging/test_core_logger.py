"""What a bot may count on when it calls the logger."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runner.clock import ManualClock
from runner.errors import ConfigError, RecordInvalid
from runner.layout import Home
from runner.logging import TradeLogData, TradingLogger, create_trading_logger, lines
from runner.logging.log_types import AuditData, MetricData, OrderData, Severity
from runner.settings import Settings, Shipping, Stores
from runner.testing import CapturingLogger

MOMENT = datetime(2026, 1, 2, 15, 30, tzinfo=UTC)


@pytest.fixture
def logger() -> Iterator[CapturingLogger]:
    with CapturingLogger(clock=ManualClock(MOMENT)) as logger:
        yield logger


def order(**changes: Any) -> OrderData:
    values = {"order_id": "o-1", "symbol": "AAPL", "side": "BUY", "quantity": Decimal(10), "status": "new", **changes}
    return OrderData(**values)


def test_the_answer_is_the_id_of_the_record(logger: CapturingLogger) -> None:
    answers = [logger.log_order(order()), logger.log_system_event("started"), logger.log_order(order())]

    assert [record["id"] for record in logger.captured] == answers
    assert answers[2] == f"{logger.run}:orders:000000000001"
    assert [record["seq"] for record in logger.captured] == [0, 1, 2]


def test_a_bound_logger_is_a_new_one_and_its_context_is_in_every_record_of_it(logger: CapturingLogger) -> None:
    bound = logger.bind(desk="europe", password="hunter2").bind(strategy="vwap")

    logger.log_system_event("plain")
    bound.log_system_event("bound")
    bound.log_order(order())

    plain, *others = logger.captured
    assert "context" not in plain
    for record in others:
        assert record["context"] == {"desk": "europe", "password": "[redacted]", "strategy": "vwap"}


def test_trace_and_actor_are_fields_of_the_record_itself(logger: CapturingLogger) -> None:
    logger.bind(trace="t-1", actor="ann").log_system_event("seen")
    logger.bind(actor="ann").log_audit(AuditData(action="halt", subject="vwap"), actor="bob")

    seen, audit = logger.captured
    assert (seen["trace"], seen["actor"]) == ("t-1", "ann")
    assert audit["actor"] == "bob"
    assert "context" not in seen


def test_bound_values_that_had_to_be_repaired_are_named(logger: CapturingLogger) -> None:
    logger.bind(blob=b"\x00").log_system_event("seen")

    assert logger.captured[0]["_repaired"] == ["context.blob"]


def test_an_audit_without_an_actor_is_refused(logger: CapturingLogger) -> None:
    with pytest.raises(RecordInvalid, match="actor"):
        logger.log_audit(AuditData(action="halt", subject="vwap"), actor="")


def test_a_decision_may_be_a_mapping(logger: CapturingLogger) -> None:
    logger.log_cognitive_decision(
        {
            "decision_id": "d-1",
            "symbol": "AAPL",
            "strategy": "vwap",
            "action": "BUY",
            "outcome": "taken",
            "reason": "below vwap",
        }
    )

    assert logger.of_kind("decision")[0]["reason"] == "below vwap"


@pytest.mark.parametrize(
    ("mapping", "named"), [({"decision_id": "d-1"}, "symbol"), ({"colour": "red"}, "colour"), ("text", "text")]
)
def test_a_mapping_with_a_missing_or_unknown_field_is_refused_by_its_name(
    logger: CapturingLogger, mapping: Any, named: str
) -> None:
    with pytest.raises(RecordInvalid, match=named) as refused:
        logger.log_cognitive_decision(mapping)

    assert "decision_id" in refused.value.hint


def test_a_payload_of_another_kind_is_refused(logger: CapturingLogger) -> None:
    with pytest.raises(RecordInvalid, match="OrderData"):
        logger.log_order(MetricData(name="pnl", value=1))  # type: ignore[arg-type]  # that is the point


def test_a_refused_record_takes_no_number_and_is_counted(logger: CapturingLogger) -> None:
    logger.log_order(order())
    for wrong in (Decimal("NaN"), float("inf"), "10", None, True):
        with pytest.raises(RecordInvalid, match="quantity"):
            logger.log_order(order(quantity=wrong))
    logger.log_order(order())

    assert [record["seq"] for record in logger.captured] == [0, 1]
    assert logger.get_metrics()["errors"] == 5


def test_market_time_is_written_beside_the_wall_clock(logger: CapturingLogger) -> None:
    logger.log_system_event("bar")

    record = logger.captured[0]
    assert record["at"] == "2026-01-02T15:30:00.000000Z"
    assert record["ts"] > record["at"]


def test_a_day_is_that_of_the_market(logger: CapturingLogger) -> None:
    logger.log_daily_summary({"daily_pnl": 1500.0})
    logger.log_daily_reflection("a quiet day")
    logger.log_daily_reflection("the day before", date=date(2026, 1, 1))

    assert logger.of_kind("summary")[0]["date"] == "2026-01-02"
    assert [found["date"] for found in logger.of_kind("reflection")] == ["2026-01-02", "2026-01-01"]


@pytest.mark.parametrize("severity", ["LOUD", 3, None])
def test_a_severity_that_does_not_exist_is_refused(logger: CapturingLogger, severity: Any) -> None:
    with pytest.raises(RecordInvalid, match="severity"):
        logger.log_system_event("seen", severity=severity)


def test_a_severity_may_be_given_by_its_name(logger: CapturingLogger) -> None:
    logger.log_system_event("seen", severity="NOTICE")  # type: ignore[arg-type]  # as people write it

    assert logger.captured[0]["severity"] == "NOTICE"


def test_a_context_that_is_no_mapping_is_kept(logger: CapturingLogger) -> None:
    logger.log_system_event("seen", context=["a", "b"], more=1)  # type: ignore[arg-type]  # that is the point
    logger.log_warning("seen", context=7)  # type: ignore[arg-type]  # likewise

    assert logger.of_kind("system_event")[0]["context"] == {"context": ["a", "b"], "more": 1}
    assert logger.of_kind("warning")[0]["context"] == {"context": 7}


def test_leaving_the_context_of_a_logger_with_an_error_records_it() -> None:
    logger = CapturingLogger()
    with pytest.raises(ZeroDivisionError), logger:
        _ = 1 // 0

    record = logger.captured[-1]
    assert (record["kind"], record["severity"], record["data"]["source"]) == ("error", "CRITICAL", "uncaught")


def test_threads_get_numbers_without_a_gap_and_keep_their_own_order(logger: CapturingLogger) -> None:
    def write(name: str) -> None:
        for number in range(500):
            logger.log_system_event("step", thread=name, number=number)

    threads = [threading.Thread(target=write, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    records = logger.captured
    assert [record["seq"] for record in records] == list(range(2000))
    for thread in threads:
        name = f"t{threads.index(thread)}"
        own = [found["data"]["context"]["number"] for found in records if found["data"]["context"]["thread"] == name]
        assert own == list(range(500))


def test_every_number_that_a_fleet_watches_is_in_the_metrics(logger: CapturingLogger) -> None:
    logger.log_system_event("seen")
    metrics = logger.get_metrics()

    assert set(metrics) >= {
        "records",
        "firestore_writes",
        "gcs_writes",
        "errors",
        "uptime",
        "buffer_sizes",
        "shipper_lag",
        "shipper_running",
        "delivery_rate",
        "dropped",
        "recovered",
    }
    assert (metrics["records"], metrics["shipper_lag"], metrics["delivery_rate"]) == (1, 1, 0.0)


def test_a_store_that_makes_no_sense_does_not_stop_the_bot(home: Home) -> None:
    stores = Stores(live="nonsense://?", archive="gs://", stream="pubsub://")
    settings = Settings(home=home.path, stores=stores, shipping=Shipping(shipper="none"))

    with TradingLogger(settings=settings) as logger:
        logger.log_system_event("started")
        assert logger.records == 1


@pytest.mark.parametrize("name", ["../bot", "a/b", "", ".", "x" * 65, "naïve", "a\nb", "a\x00b"])
def test_a_bot_name_that_is_no_file_name_is_refused(home: Home, name: str) -> None:
    settings = Settings(home=home.path, shipping=Shipping(shipper="none"))
    with pytest.raises(ConfigError, match="name"):
        TradingLogger(bot_type=name, settings=settings)


@pytest.mark.parametrize("label", ["\ud800", "a\nb", "x" * 201])
def test_a_session_that_is_no_label_is_refused(home: Home, label: str) -> None:
    with pytest.raises(ConfigError, match="session"):
        TradingLogger(label, settings=Settings(home=home.path, shipping=Shipping(shipper="none")))


def test_a_session_may_hold_quotes_and_dots(home: Home) -> None:
    with TradingLogger('../"x"', settings=Settings(home=home.path, shipping=Shipping(shipper="none"))) as logger:
        logger.log_system_event("seen")
        assert logger.session_id == '../"x"'


def test_the_code_of_the_source_documents_runs_as_it_stands(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRON_SHIPPER", "none")
    logger = create_trading_logger(session_id=f"stock_trader_{int(time.time())}", bot_type="stock-trader")
    trade_data = TradeLogData(
        trade_id="TRADE_001",
        symbol="RELIANCE",
        strategy="vwap",
        bot_type="stock-trader",
        direction="long",
        quantity=10,
        entry_price=2500.0,
        status="open",
    )
    logger.log_trade_entry(trade_data, urgent=True)
    try:
        _ = 1 // 0
    except Exception as e:
        logger.log_error(e, context={"symbol": "RELIANCE"}, source="strategy")
    metrics = {"daily_pnl": 1500.0, "win_rate": 0.75, "total_trades": 12}
    logger.log_performance_metric("daily_pnl", 1500.0)
    logger.log_daily_summary(metrics)
    logger.log_system_event("Bot started")
    logger.log_daily_reflection("reflection_text")
    metrics = logger.get_metrics()
    logger.close()

    assert metrics["records"] == 6
    assert _kinds(home) == [
        "trade_entry",
        "error",
        "metric",
        "summary",
        "system_event",
        "reflection",
    ]


def test_severities_have_an_order() -> None:
    assert [str(severity) for severity in Severity] == ["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"]


def _kinds(home: Home) -> list[str]:
    paths: list[Path] = sorted(home.journal.glob("*/*/*.ndjson"))
    records = [record for path in paths for record in lines.decode_all(path.read_bytes())]
    return [record["kind"] for record in sorted(records, key=lambda record: record["seq"]) if record["kind"] != "seal"]
