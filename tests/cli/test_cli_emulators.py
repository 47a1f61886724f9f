"""The main job on all four emulators: `make run STACK=emulators ONCE=1` is this command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from runner.dashboard.queries import KEPT_DOCUMENTS
from tests.cli.terminal import ROOT, equal_count, until
from tests.emulators.emulator import Emulator

STACK = [sys.executable, "-m", "tests.emulators", sys.executable, "-m", "runner.cli"]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "TRON_PORT": "0"}
    return subprocess.Popen(
        [*STACK, *arguments], cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def dashboard_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.match(r"dashboard: (\S+)", line)
        if found:
            return found[1]
    raise AssertionError("there is no dashboard")


def snapshot(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/api/snapshot").raise_for_status().json()
    return found


def collections(url: str) -> set[str]:
    return {document["collection"] for document in snapshot(url)["documents"]}


def left_by(process: subprocess.Popen[str], before: set[int]) -> list[str]:
    """Commands of emulators and shippers that were started meanwhile and still run."""
    signs = ("emulator", "fake-gcs-server", "ship")
    found = []
    for one in psutil.process_iter(["pid", "cmdline"]):
        command = " ".join(one.info["cmdline"] or ())
        if one.pid not in before and f" {process.pid} " in command and any(sign in command for sign in signs):
            found.append(command)
    return found


@pytest.mark.slow
def test_the_main_job_ends_with_the_same_equalities_on_emulators(
    all_emulators: dict[str, Emulator], tmp_path: Path
) -> None:
    before = {one.pid for one in psutil.process_iter()}
    process = start(tmp_path, "run", "--once")
    url = dashboard_of(process)
    until(lambda: collections(url) >= {"live_trades", "live_positions", "live_system_status"})
    assert collections(url) <= KEPT_DOCUMENTS.keys()
    assert snapshot(url)["troubles"] == []
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 0, output
    assert equal_count(output) > 40_000
    assert "verify: complete" in output
    assert re.search(r"demo-\w+, its home and its emulators are gone now", output)
    assert left_by(process, before) == []


@pytest.mark.slow
def test_ctrl_c_ends_a_run_on_emulators_with_its_summary(all_emulators: dict[str, Emulator], tmp_path: Path) -> None:
    process = start(tmp_path, "run", "--speed", "200", "--symbols", "IBM", "--strategy", "vwap")
    url = dashboard_of(process)
    until(lambda: "live_positions" in collections(url))
    for one in (process, *psutil.Process(process.pid).children()):
        if "guard.py" not in " ".join(psutil.Process(one.pid).cmdline()):
            os.kill(one.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 0, output
    assert equal_count(output) > 0
    assert "Traceback" not in output
