"""Bridges: what a program says through another logging library becomes a record of its run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.layout import Home
from runner.logging import TradingLogger, backlog, lines
from runner.logging.bridges import LoguruSink, StructlogBridge, TradingHandler
from runner.settings import Settings, Shipping
from runner.testing import CapturingLogger

Records = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def trading(home: Home) -> Iterator[TradingLogger]:
    with TradingLogger(settings=Settings(home=home.path, shipping=Shipping(shipper="none"))) as logger:
        yield logger


@pytest.fixture
def records(home: Home, trading: TradingLogger) -> Records:
    def read() -> list[dict[str, Any]]:
        trading.flush()
        return [lines.decode(line) for line in backlog.newest(home, 0)]

    return read


@pytest.fixture
def program(trading: TradingLogger) -> Iterator[logging.Logger]:
    """A program that logs with the standard library."""
    program = logging.Logger("acme.orders")
    handler = TradingHandler(trading)
    program.addHandler(handler)
    yield program
    handler.close()


class Stubborn:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


class Chatty:
    """Logs whenever it is shown, and shows itself in doing so."""

    def __init__(self, program: logging.Logger) -> None:
        self.program = program

    def __repr__(self) -> str:
        self.program.warning("shown", extra={"again": self})
        return "chatty"


class Unpicklable(Exception):
    """Cannot be handed to another thread by loguru's queue."""

    def __reduce__(self) -> Any:
        raise TypeError("stays here")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    message=st.text(st.characters(exclude_categories=())),
    level=st.integers(0, 60),
    extra=st.dictionaries(st.text(st.characters(exclude_categories=())), ANYTHING, max_size=4),
)
@settings(max_examples=50)
def test_whatever_a_program_says_becomes_exactly_one_record(message: str, level: int, extra: dict[str, Any]) -> None:
    said = logging.makeLogRecord({"name": "acme", "msg": message, "levelno": level, "args": ()})
    extra = {name: value for name, value in extra.items() if name not in vars(said)}
    vars(said).update(extra)
    with CapturingLogger() as trading:
        TradingHandler(trading).emit(said)
        (record,) = trading.captured

    assert len(record["data"]["context"].keys() - {"source"}) == len(extra) + 1


@pytest.mark.parametrize(
    ("level", "kind", "severity"),
    [
        (logging.DEBUG, "debug", "DEBUG"),
        (logging.INFO, "system_event", "INFO"),
        (logging.WARNING, "warning", "WARNING"),
        (logging.ERROR, "error", "ERROR"),
        (logging.CRITICAL, "error", "CRITICAL"),
        (25, "system_event", "INFO"),
    ],
)
def test_a_level_becomes_a_kind(
    level: int, kind: str, severity: str, program: logging.Logger, records: Records
) -> None:
    program.log(level, "filled %d of %d", 3, 4)

    (record,) = records()
    assert (record["kind"], record["severity"], record["data"]["message"]) == (kind, severity, "filled 3 of 4")


def test_a_record_says_where_in_the_program_it_comes_from(program: logging.Logger, records: Records) -> None:
    program.warning("late")
    program.info("early")

    warning, event = records()
    place = "test_bridges.test_a_record_says_where_in_the_program_it_comes_from:"
    assert warning["data"]["source"].startswith(place)
    assert event["data"]["context"]["source"].startswith(place)
    assert warning["data"]["context"]["logger"] == "acme.orders"


def test_extra_fields_arrive_in_the_context_and_secrets_do_not(program: logging.Logger, records: Records) -> None:
    program.warning("order", extra={"symbol": "IBM", "api_key": "k-123456789"})

    (record,) = records()
    assert record["data"]["context"] == {"symbol": "IBM", "api_key": "[redacted]", "logger": "acme.orders"}


def test_names_that_a_logger_uses_itself_are_fit_for_extra_fields(program: logging.Logger, records: Records) -> None:
    program.debug("order", extra={"self": 1, "context": 2, "severity": 3, "source": 4, "logger": 5})

    context = records()[0]["data"]["context"]
    assert context.items() >= {"self": 1, "context": 2, "severity": 3, "source": 4, "logger": 5}.items()
    assert context["logger_"] == "acme.orders"


def test_an_exception_arrives_with_its_stack_its_cause_and_the_words(program: logging.Logger, records: Records) -> None:
    try:
        try:
            raise KeyError("price")
        except KeyError as error:
            raise ValueError("no price") from error
    except ValueError:
        program.exception("order %s failed", "A1")

    data = records()[0]["data"]
    assert (data["type"], data["message"]) == ("ValueError", "no price")
    assert "test_bridges.py" in data["stack"]
    assert [cause["type"] for cause in data["causes"]] == ["KeyError"]
    assert data["context"]["message"] == "order A1 failed"


def test_an_error_without_an_exception_keeps_its_words(program: logging.Logger, records: Records) -> None:
    program.error("exchange is down")

    data = records()[0]["data"]
    assert data["type"].endswith("LoggedError")
    assert data["message"] == "exchange is down"


def test_an_exception_told_as_a_warning_is_kept_as_text(program: logging.Logger, records: Records) -> None:
    program.warning("retrying", exc_info=TimeoutError("5 s"))

    assert "TimeoutError: 5 s" in records()[0]["data"]["context"]["exception"]


def test_a_message_that_cannot_be_formatted_never_reaches_the_program(
    program: logging.Logger, records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    program.info("%s", Stubborn())
    program.info("%d and %d", 1)

    assert records() == []
    assert capsys.readouterr().err.count("--- Logging error ---") == 2


def test_a_closed_run_never_breaks_the_program(
    trading: TradingLogger, program: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    program.warning("before")
    trading.close()
    program.warning("after")


def test_an_object_that_logs_when_it_is_shown_does_not_log_for_ever(program: logging.Logger, records: Records) -> None:
    program.info("tick", extra={"by": Chatty(program)})

    (record,) = records()
    assert (record["data"]["message"], record["data"]["context"]["by"]) == ("tick", "chatty")


def test_structlog_events_become_records_and_are_passed_on(trading: TradingLogger, records: Records) -> None:
    structlog = pytest.importorskip("structlog", reason="structlog is not installed")
    passed: list[dict[str, Any]] = []

    def keep(wrapped: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        passed.append(dict(event))
        raise structlog.DropEvent

    log = structlog.wrap_logger(None, processors=[structlog.stdlib.add_log_level, StructlogBridge(trading), keep])
    log.bind(symbol="IBM").warning("spread", width=0.2)
    log.info("filled", event_id=7)
    log.debug("tick")

    assert [(record["kind"], record["data"]["message"]) for record in records()] == [
        ("warning", "spread"),
        ("system_event", "filled"),
        ("debug", "tick"),
    ]
    assert records()[0]["data"]["context"] == {"symbol": "IBM", "width": 0.2}
    assert passed[0] == {"symbol": "IBM", "width": 0.2, "event": "spread", "level": "warning"}


def test_the_structlog_bridge_can_be_the_last_step(trading: TradingLogger, records: Records) -> None:
    structlog = pytest.importorskip("structlog", reason="structlog is not installed")
    callsite = structlog.processors.CallsiteParameterAdder(
        [
            structlog.processors.CallsiteParameter.MODULE,
            structlog.processors.CallsiteParameter.FUNC_NAME,
            structlog.processors.CallsiteParameter.LINENO,
        ]
    )
    log = structlog.wrap_logger(None, processors=[callsite, StructlogBridge(trading, then=structlog.DropEvent)])
    try:
        raise ValueError("no price")
    except ValueError:
        log.exception("failed", symbol="IBM")
    log.critical("halted", exc_info=TimeoutError("broker"))

    failed, halted = (record["data"] for record in records())
    assert (failed["type"], failed["context"]) == ("ValueError", {"symbol": "IBM", "message": "failed"})
    assert failed["source"].startswith("test_bridges.test_the_structlog_bridge_can_be_the_last_step:")
    assert halted["type"] == "TimeoutError"
    assert records()[1]["severity"] == "CRITICAL"


def test_a_structlog_event_that_cannot_be_written_is_told_on_stderr(
    trading: TradingLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    event = {"event": Stubborn()}

    assert StructlogBridge(trading)(None, "info", event) is event
    assert capsys.readouterr().err == "tron: an event of structlog (info) was not recorded: RuntimeError: no\n"


def test_loguru_messages_become_records(trading: TradingLogger, records: Records) -> None:
    loguru = pytest.importorskip("loguru", reason="loguru is not installed")
    number = loguru.logger.add(LoguruSink(trading), level="TRACE", format="{message}")
    try:
        loguru.logger.bind(symbol="IBM").success("filled {}", 3)
        loguru.logger.trace("tick")
        loguru.logger.warning("late", message="a field of that name")
        try:
            raise ValueError("no price")
        except ValueError:
            loguru.logger.opt(exception=True).critical("failed")
    finally:
        loguru.logger.remove(number)

    filled, tick, late, failed = records()
    assert (filled["kind"], filled["data"]["message"]) == ("system_event", "filled 3")
    assert filled["data"]["context"]["symbol"] == "IBM"
    assert tick["kind"] == "debug"
    assert late["data"]["context"] == {"message": "a field of that name"}
    assert late["data"]["source"].startswith("test_bridges.test_loguru_messages_become_records:")
    assert (failed["severity"], failed["data"]["type"]) == ("CRITICAL", "ValueError")
    assert failed["data"]["context"]["message"] == "failed"


def test_an_exception_that_could_not_be_handed_to_the_sink_is_named(trading: TradingLogger, records: Records) -> None:
    loguru = pytest.importorskip("loguru", reason="loguru is not installed")
    number = loguru.logger.add(LoguruSink(trading), enqueue=True)
    loguru.logger.opt(exception=Unpicklable("x")).error("failed")
    loguru.logger.remove(number)

    data = records()[0]["data"]
    assert data["message"] == "failed"
    assert data["context"]["exception"] == "Unpicklable"
