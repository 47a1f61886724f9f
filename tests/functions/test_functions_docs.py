"""The page about functions can fail the build: its commands work, its keys and variables are those of the code."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from functions.bodies import Body, CleanupBody, CompactBody, CostBody, ExportBody
from functions.options import _VARIABLES
from main import FUNCTIONS
from tests.emulators.emulator import free_host

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "functions.md").read_text()
COMMANDS = dict(re.findall(r"^(functions-framework --target=(?P<name>\w+).*)$", PAGE, re.MULTILINE))
BODIES: dict[str, type[Body]] = {
    "bigquery_export": ExportBody,
    "compact_archive": CompactBody,
    "cost_report": CostBody,
    "daily_cleanup": CleanupBody,
}


def test_every_function_has_one_command() -> None:
    assert sorted(COMMANDS.values()) == sorted(FUNCTIONS)


@pytest.mark.parametrize("command", COMMANDS, ids=COMMANDS.values())
def test_the_command_serves_the_function(command: str, tmp_path: Path) -> None:
    _, port = free_host().split(":")
    words = shlex.split(re.sub(r"--port=\d+", f"--port={port}", command))
    words[0] = str(Path(sys.executable).with_name(words[0]))
    environ = {**os.environ, "TRON_HOME": str(tmp_path / "home")}
    with (tmp_path / "output").open("wb") as output:
        server = subprocess.Popen(words, cwd=ROOT, env=environ, stdout=output, stderr=output, start_new_session=True)
    try:
        status = ask(f"http://127.0.0.1:{port}")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
    assert status == (400 if "on_trading_record" in command else 200), (tmp_path / "output").read_text()


def ask(url: str) -> int:
    """The status of a request without a body, once somebody listens."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return httpx.post(url, headers={"Content-Type": "application/json"}, timeout=60, verify=False).status_code
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize("name", BODIES)
def test_the_page_names_every_key_of_a_request(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` +\| (`(?:dry_run|since|month).*)\|$", PAGE, re.MULTILINE)
    named = set(re.findall(r"`([a-z_]+)`", row))
    assert named == set(BODIES[name].model_fields) - {"deadline_seconds"}


def test_the_page_names_every_variable() -> None:
    variables = {name for name in _VARIABLES.values() if name.startswith("TRON_")}
    assert set(re.findall(r"^\| `(TRON_\w+)`", PAGE, re.MULTILINE)) == variables
