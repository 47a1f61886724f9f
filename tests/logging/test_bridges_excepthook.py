"""Uncaught exceptions are recorded before the program ends, and then do what they always did."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from runner.layout import Home
from runner.logging import TradingLogger, backlog, lines
from runner.logging.bridges import install_excepthook
from runner.settings import Settings, Shipping

OPEN = """
import os, signal, sys, threading
from runner.logging import create_trading_logger
from runner.logging.bridges import install_excepthook
sys.excepthook = lambda *caught: print("the hook before", file=sys.stderr)
logger = create_trading_logger()
hook = install_excepthook(logger)
"""


def run(home: Home, program: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """Run a program and read what it recorded, without the seals."""
    environ = {**os.environ, "TRON_HOME": str(home.path), "TRON_SHIPPER": "none", "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", OPEN + program], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    records = [lines.decode(line) for line in backlog.newest(home, 0)]
    return done, [record for record in records if record["kind"] != "seal"]


def test_an_uncaught_exception_is_recorded_and_the_earlier_hook_still_runs(home: Home) -> None:
    done, (record,) = run(home, "raise ValueError('no price')")

    assert (record["kind"], record["severity"], record["data"]["source"]) == ("error", "CRITICAL", "uncaught")
    assert (record["data"]["type"], record["data"]["message"]) == ("ValueError", "no price")
    assert done.stderr == "the hook before\n"
    assert done.returncode == 1


def test_an_uncaught_exception_of_a_thread_is_recorded_with_the_thread_s_name(home: Home) -> None:
    done, (record,) = run(
        home,
        "thread = threading.Thread(target=lambda: 1 / 0, name='feed')\nthread.start()\nthread.join()",
    )

    assert record["severity"] == "CRITICAL"
    assert record["data"]["type"] == "ZeroDivisionError"
    assert record["data"]["context"] == {"thread": "feed"}
    assert "Exception in thread feed" in done.stderr


def test_an_exception_that_python_cannot_raise_is_recorded_as_an_error(home: Home) -> None:
    done, (record,) = run(home, "class Late:\n    def __del__(self):\n        raise ValueError('late')\nLate()")

    assert (record["severity"], record["data"]["source"]) == ("ERROR", "unraisable")
    assert record["data"]["context"]["object"] == "Late.__del__"
    assert "ValueError: late" in done.stderr


@pytest.mark.parametrize("ending", ["raise KeyboardInterrupt", "sys.exit(3)"])
def test_a_program_that_is_told_to_end_ends_without_an_error(home: Home, ending: str) -> None:
    _, records = run(home, ending)

    assert records == []


def test_the_record_is_synced_before_the_program_can_be_killed(home: Home) -> None:
    kill = (
        "sys.excepthook, ours = lambda *caught: (ours(*caught), os.kill(os.getpid(), signal.SIGKILL)), sys.excepthook"
    )
    done, records = run(home, f"{kill}\nlogger.log_debug('earlier')\nraise ValueError('no price')")

    assert done.returncode < 0
    assert [record["kind"] for record in records] == ["debug", "error"]


def test_a_record_that_cannot_be_written_does_not_hide_the_exception(home: Home) -> None:
    failing = "logger.log_error = lambda *a, **k: 1 / 0\nraise ValueError('no price')"
    done, records = run(home, failing)

    assert records == []
    assert done.stderr == ("tron: ValueError was not recorded: ZeroDivisionError: division by zero\nthe hook before\n")


def test_a_hook_that_ends_before_its_logger_leaves_the_record_to_it(home: Home) -> None:
    block = "with create_trading_logger(bot='inner') as inner, install_excepthook(inner):\n    1 / 0"
    _, records = run(home, f"hook.remove()\n{block}")

    assert [record["data"]["type"] for record in records] == ["ZeroDivisionError"]


def test_removing_the_hooks_puts_the_earlier_ones_back(home: Home) -> None:
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    with (
        TradingLogger(settings=Settings(home=home.path, shipping=Shipping(shipper="none"))) as logger,
        install_excepthook(logger),
    ):
        assert sys.excepthook is not before[0]

    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before


def test_a_hook_that_was_set_since_is_left_alone_and_reaches_the_earlier_ones(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda *caught: seen.append("earlier"))
    with TradingLogger(settings=Settings(home=home.path, shipping=Shipping(shipper="none"))) as logger:
        hook = install_excepthook(logger)
        ours = sys.excepthook
        sys.excepthook = later = lambda *caught: ours(*caught)
        hook.remove()

        assert sys.excepthook is later
        later(ValueError, ValueError("x"), None)
        assert (seen, logger.records) == (["earlier"], 0)


def test_what_the_with_block_of_the_logger_has_recorded_is_not_told_as_unrecorded(home: Home) -> None:
    block = "def work():\n  with create_trading_logger(bot='inner') as inner:\n    install_excepthook(inner)\n    1 / 0"
    done, records = run(home, f"hook.remove()\n{block}\nwork()")

    assert [record["data"]["type"] for record in records] == ["ZeroDivisionError"]
    assert done.stderr == "the hook before\n"
