"""The page about Google Cloud can fail the build: its listener runs, and it names every role that a hint asks for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.stores.base import Message
from tests.stores.emulated import open_pubsub

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "google-cloud.md").read_text()
RECORD = {
    "id": "018fb0a0-0000-7000-8000-0000deadbeef:risk:000000000000",
    "seq": 0,
    "ts": "2024-06-03T14:30:00.000000Z",
    "kind": "risk_event",
    "severity": "WARNING",
    "bot": "breakout",
    "run": "018fb0a0-0000-7000-8000-0000deadbeef",
    "data": {"rule": "daily loss"},
    "crc": "00000000",
}


def test_the_listener_of_the_page_handles_a_record(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    stream = open_pubsub(request, "alerts")
    stream.publish([Message("breakout:risk", json.dumps(RECORD).encode())])
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "GOOGLE_CLOUD_PROJECT": stream.project}
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    stream.close()
    assert done.stdout == "breakout {'rule': 'daily loss'}\n", done.stderr
    assert (tmp_path / "seen.json").exists()


def test_the_page_names_every_role_that_a_hint_asks_for() -> None:
    sources = (path.read_text() for path in (ROOT / "runner" / "stores").glob("*.py"))
    asked = {role for source in sources for role in re.findall(r"roles/[a-z]+\.[A-Za-z]+", source)}
    assert asked
    assert {role for role in asked if f"`{role}`" not in PAGE} == set()
