"""The page on retention is true: its blocks run, and its table is the table."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from runner.layout import Home
from runner.logging.retention import BUCKETS, LIVE, LOCAL, VERSIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "retention.md").read_text()
ROW = re.compile(r"^\| `([a-z]+-[a-z]+)` +\| (\d+) +\| ([A-Z0-9, ]+?) +\| (.*?) *\| *(.*?) *\|$", re.MULTILINE)


def test_the_table_of_the_page_is_the_table() -> None:
    rows = ROW.findall(PAGE)
    moves = {name: dict(step.split() for step in steps.split(", ")) for name, _, steps, _, _ in rows}
    assert {name: int(days) for name, days, *_ in rows} == {name: bucket.days for name, bucket in BUCKETS.items()}
    assert moves == {name: {kind: str(days) for kind, days in bucket.moves.items()} for name, bucket in BUCKETS.items()}
    told = {name: period for *_, names, period in rows for name in re.findall(r"`(\w+)`", names)}
    periods = {"7 d": 7 * 24, "14 d": 14 * 24, "30 d": 30 * 24, "1 h": 1}
    assert {name: periods[period] for name, period in told.items()} == {
        name: period.total_seconds() / 3600 for name, period in LIVE.items()
    }


def test_what_the_page_says_of_the_journal_and_of_versions_is_so() -> None:
    assert "keeps a closed run for an hour" in PAGE
    assert LOCAL["journal"].total_seconds() == 3600
    assert "five versions" in PAGE
    assert VERSIONS == 5


def test_every_block_of_the_page_runs(home: Home, tmp_path: Path) -> None:
    environ = {**os.environ, "TRON_HOME": str(home.path), "TRON_SHIPPER": "none", "PYTHONPATH": str(ROOT)}
    tron = f"tron() {{ '{sys.executable}' -m runner.cli \"$@\"; }}\n"
    python = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
    for program in ([sys.executable, "-W", "error", "-c", python], ["bash", "-euc", tron + shell]):
        done = subprocess.run(program, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
