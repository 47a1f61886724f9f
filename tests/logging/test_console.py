"""Records on stdout as Cloud Logging reads them, and a stdout that fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest

from runner.errors import ConfigError
from runner.layout import Home
from runner.logging import AuditData, RiskEventData, Severity, TradingLogger, backlog, lines
from runner.logging.console import LARGEST_ENTRY, Console
from runner.logging.log_types import Kind
from runner.settings import Settings, Shipping

Shown = Callable[[], list[dict[str, Any]]]

GOOGLE = "logging.googleapis.com/"


def run(program: str, home: Home, **environ: str) -> str:
    """What a program of its own process prints."""
    base = {**os.environ, "TRON_HOME": str(home.path), "TRON_SHIPPER": "none", "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=base | environ, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def trading(home: Home) -> Iterator[TradingLogger]:
    settings = Settings(home=home.path, shipping=Shipping(shipper="none"))
    with TradingLogger(settings=settings, bot="ibm-vwap", session_id="monday") as logger:
        yield logger


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """The reading end's descriptor, and the writing end as a stream."""
    reading, writing = os.pipe()
    with open(writing, "w") as stream:
        yield reading, stream
    os.close(reading)


@pytest.fixture
def shown(trading: TradingLogger, tmp_path: Path) -> Iterator[Shown]:
    """What a console of the project `acme` shows of `trading`."""
    path = tmp_path / "stdout"
    with path.open("w") as stream:
        trading.observe(Console(stream, project="acme"))
        yield lambda: [json.loads(line) for line in path.read_text().splitlines()]


def test_an_entry_has_the_fields_that_cloud_logging_reads(trading: TradingLogger, shown: Shown) -> None:
    record = trading.bind(trace="4bf92f3577b34da6").log_warning("late", {"seconds": 3}, "feed")

    (entry,) = shown()
    assert (entry["severity"], entry["message"]) == ("WARNING", "late")
    assert entry["time"].endswith("Z")
    assert entry[GOOGLE + "insertId"] == record
    assert entry[GOOGLE + "trace"] == "projects/acme/traces/4bf92f3577b34da6"
    assert entry[GOOGLE + "labels"] == {
        "bot": "ibm-vwap",
        "bot_type": "stock-trader",
        "environment": "local",
        "kind": "warning",
        "run": trading.run,
        "session_id": "monday",
    }
    assert entry["data"]["context"] == {"seconds": 3}


def test_only_warnings_and_worse_are_shown_unless_more_is_asked_for(
    trading: TradingLogger, shown: Shown, tmp_path: Path
) -> None:
    with (tmp_path / "everything").open("w") as stream:
        trading.observe(Console(stream, at_least=Severity.DEBUG))
        trading.log_debug("tick")
        trading.log_system_event("filled")
        trading.log_warning("late")
        trading.log_error(ValueError("no price"))

    assert [entry["message"] for entry in shown()] == ["late", "ValueError: no price"]
    assert len((tmp_path / "everything").read_text().splitlines()) == 4


def test_an_error_carries_a_stack_trace_for_error_reporting(trading: TradingLogger, shown: Shown) -> None:
    try:
        raise ValueError("no price")
    except ValueError as error:
        trading.log_error(error)

    trace = shown()[0]["stack_trace"]
    assert trace.startswith("Traceback (most recent call last):\n  File ")
    assert trace.endswith("ValueError: no price")


def test_other_kinds_are_told_in_words_too(trading: TradingLogger, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        trading.observe(Console(stream, at_least=Severity.INFO))
        trading.log_risk_event(RiskEventData(event_type="daily_loss", action_taken="halted", message="5.1 %"))
        trading.log_risk_event(RiskEventData(event_type="drawdown", action_taken="halted"))
        trading.log_audit(AuditData(action="resume", subject="ibm-vwap"), actor="ann")
        trading.log_performance_metric("equity", 5)

    entries = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    said = ["daily_loss: halted, 5.1 %", "drawdown: halted", "resume ibm-vwap", "metric"]
    assert [entry["message"] for entry in entries] == said
    assert entries[2]["actor"] == "ann"


def test_a_trace_without_a_project_stays_as_it_is(trading: TradingLogger, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        trading.observe(Console(stream))
        trading.bind(trace="4bf92f").log_warning("late")
        trading.bind(trace="projects/acme/traces/4bf92f").log_warning("later")

    entries = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [entry[GOOGLE + "trace"] for entry in entries] == ["4bf92f", "projects/acme/traces/4bf92f"]


def test_an_entry_that_is_too_large_for_cloud_logging_is_shown_without_its_payload(tmp_path: Path) -> None:
    record = {"id": "r:errors:0", "ts": "t", "kind": "warning", "severity": "WARNING"}
    line = json.dumps({**record, "data": {"message": "late", "context": {"why": "x" * LARGEST_ENTRY}}}).encode()
    with (tmp_path / "out").open("w") as stream:
        Console(stream)(Kind.WARNING, Severity.WARNING, line)

    entry = json.loads((tmp_path / "out").read_text())
    assert (entry["message"], entry[GOOGLE + "insertId"]) == ("late", "r:errors:0")
    assert "data" not in entry
    assert "the journal has them" in entry["left_out"]


def test_a_full_pipe_never_stops_the_bot_and_is_told_once(
    trading: TradingLogger, home: Home, pipe: tuple[int, TextIO]
) -> None:
    console = Console(pipe[1], warn=trading.log_warning)
    trading.observe(console)
    for number in range(150):
        trading.log_warning(f"late {number}", {"why": "x" * 1000})
    trading.flush()

    messages = [lines.decode(line)["data"]["message"] for line in backlog.newest(home, 0)]
    assert console.left_out > 0
    assert [message for message in messages if message.startswith("stdout is full")] == [
        "stdout is full: records are left out there, the journal has them"
    ]


def test_what_a_full_pipe_took_by_half_is_completed_before_anything_else(
    trading: TradingLogger, pipe: tuple[int, TextIO]
) -> None:
    trading.observe(Console(pipe[1]))
    shown = b""
    for number in range(400):
        trading.log_warning(f"late {number}", {"why": "x" * 5000})
        if number % 20 == 19:
            shown += os.read(pipe[0], 1 << 20)
    pipe[1].close()
    while rest := os.read(pipe[0], 1 << 20):
        shown += rest

    whole = shown[: shown.rfind(b"\n") + 1].splitlines()
    numbers = [int(json.loads(line)["message"].removeprefix("late ")) for line in whole]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 20


@pytest.mark.parametrize("who", ["its reader", "the program"])
def test_a_closed_stdout_never_stops_the_bot_and_is_told_once(trading: TradingLogger, home: Home, who: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stream:
        trading.observe(Console(stream, warn=trading.log_warning))
        if who == "the program":
            stream.close()
        for number in range(3):
            trading.log_warning(f"late {number}")
    trading.flush()

    messages = [lines.decode(line)["data"]["message"] for line in backlog.newest(home, 0)]
    assert messages[1] == "stdout is closed: records are left out there, the journal has them"
    assert len(messages) == 4


def test_a_process_without_stdout_logs_all_the_same(trading: TradingLogger) -> None:
    console = Console(None)
    trading.observe(console)
    trading.log_warning("late")

    assert console.left_out == 1


def test_loggers_that_were_bound_before_are_shown_too(trading: TradingLogger, shown: Shown) -> None:
    trading.bind(symbol="IBM").log_warning("late")

    assert shown()[0]["context"] == {"symbol": "IBM"}


def test_a_forked_child_shows_its_records_even_if_a_thread_was_showing_one(home: Home) -> None:
    program = """
import os, sys
from runner.logging.console import Console
from runner.logging.log_types import Kind, Severity
console = Console(sys.stdout)
with console._lock:
    if os.fork() == 0:
        line = b'{"id":"r:errors:0","ts":"t","kind":"warning","severity":"WARNING","data":{"message":"child"}}'
        console(Kind.WARNING, Severity.WARNING, line)
        os._exit(0)
os.wait()
"""
    assert json.loads(run(program, home))["message"] == "child"


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({}, []),
        ({"K_SERVICE": "bots"}, ["late"]),
        ({"CLOUD_RUN_JOB": "bots"}, ["late"]),
        ({"K_SERVICE": "bots", "TRON_CONSOLE": "INFO"}, ["filled", "late"]),
        ({"K_SERVICE": "bots", "TRON_CONSOLE": "off"}, []),
        ({"TRON_CONSOLE": "WARNING"}, ["late"]),
    ],
)
def test_a_bot_on_cloud_run_shows_warnings_without_being_told(
    home: Home, environ: dict[str, str], shown: list[str]
) -> None:
    program = (
        "from runner.logging import create_trading_logger\n"
        "with create_trading_logger() as logger:\n"
        "    logger.log_system_event('filled')\n"
        "    logger.log_warning('late')\n"
    )

    assert [json.loads(line)["message"] for line in run(program, home, **environ).splitlines()] == shown


def test_a_severity_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="console"):
        Settings.load({"TRON_CONSOLE": "LOUD"}, tmp_path)
