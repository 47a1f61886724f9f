"""The README can fail the build: its code is what the example runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def python(*arguments: str, home: Path, code: int = 0) -> str:
    """Run Python with this project on its path and a home of its own; the answer is what it printed."""
    environ = {**os.environ, "TRON_HOME": str(home), "PYTHONPATH": str(ROOT), "TRON_SHIPPER": "none"}
    done = subprocess.run(
        [sys.executable, *arguments], env=environ, capture_output=True, text=True, timeout=120, cwd=home.parent
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_ten_lines_are_those_of_the_example() -> None:
    ten_lines = next(block for block in blocks("python") if block.startswith("class "))
    assert ten_lines in (ROOT / "examples" / "momentum.py").read_text()


def test_the_example_trades_when_it_is_run(tmp_path: Path) -> None:
    said = python("-m", "examples.momentum", home=tmp_path / "home")
    assert re.fullmatch(r"\d+ trades, [+-]\d+\.\d\d after fees\n", said)
    assert int(said.split()[0]) > 10


def test_the_logging_example_runs_as_it_stands(tmp_path: Path) -> None:
    example = next(block for block in blocks("python") if "create_trading_logger" in block)
    python("-W", "error", "-c", example, home=tmp_path / "home")
    (segment,) = (tmp_path / "home" / "journal").glob("*/trades/*.ndjson")
    assert '"trade_id":"TRADE_001"' in segment.read_text()


def test_every_verb_of_the_table_exists_and_every_verb_is_in_the_table(tmp_path: Path) -> None:
    table = set(re.findall(r"^\| `([a-z]+)` +\|", README, re.MULTILINE)) - {"tron"}
    said = python("-m", "runner.cli", "--help", home=tmp_path / "home")
    known = re.findall(r"^│ ([a-z]+) ", said, re.MULTILINE)
    assert table == set(known)


@pytest.mark.parametrize("page", ["README.md", *(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))])
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    for target in LINK.findall((ROOT / page).read_text()):
        assert (ROOT / page).parent.joinpath(target).exists(), f"{page} links to {target}"
