"""The page on logging is true: every block runs, and its table lists what there is."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from runner.layout import Home
from runner.logging import TradingLogger, backlog
from runner.logging.log_types import Kind
from runner.logging.routes import KINDS
from runner.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "logging.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `(log_\w+)` +\| .*? \| `(\w+)` +\| (\w+)", re.MULTILINE)
KIND_OF = {
    "log_cognitive_decision": Kind.DECISION,
    "log_daily_reflection": Kind.REFLECTION,
    "log_daily_summary": Kind.SUMMARY,
    "log_performance_metric": Kind.METRIC,
}


def blocks(language: str) -> list[str]:
    return [code for name, code in BLOCK.findall(PAGE.read_text()) if name == language]


def test_every_block_of_the_page_runs(home: Home, tmp_path: Path) -> None:
    for library in ("structlog", "loguru"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    environ = {**os.environ, "TRON_HOME": str(home.path), "TRON_SHIPPER": "none", "PYTHONPATH": str(ROOT)}
    tron = f"tron() {{ '{sys.executable}' -m runner.cli \"$@\"; }}\n"
    programs = [
        [sys.executable, "-W", "error", "-c", "\n".join(blocks("python"))],
        ["bash", "-euc", tron + "\n".join(blocks("sh"))],
    ]
    for program in programs:
        done = subprocess.run(program, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for settings in blocks("toml"):
        Settings.model_validate(tomllib.loads(settings))

    journal = b"".join(backlog.newest(home, 0))
    assert journal.count(b"order is late") == 3
    assert journal.count(b"order A1 is late") == 1
    assert b"hunter2" not in journal
    assert b"k-1234567" not in journal
    assert (tmp_path / "logs" / "errors").exists()


def test_every_block_is_of_a_language_that_is_run() -> None:
    assert {language for language, _ in BLOCK.findall(PAGE.read_text())} == {"python", "sh", "toml"}


def test_the_table_lists_every_method_with_its_stream_and_severity() -> None:
    methods = [name for name, _ in inspect.getmembers(TradingLogger) if name.startswith("log_")]
    routes = {name: KINDS[KIND_OF.get(name) or Kind(name.removeprefix("log_"))] for name in methods}

    found = {name: (stream, severity) for name, stream, severity in ROW.findall(PAGE.read_text())}
    assert found == {name: (route.stream, route.severity.value) for name, route in routes.items()}
