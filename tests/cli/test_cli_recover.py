"""`tron recover`: what a drain printed comes back through a file or a pipe."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runner.clock import SystemClock
from runner.logging import TradeLogData, TradingLogger
from runner.logging.follower import Journals
from runner.logging.leftovers import cloud_entry, left_lines
from runner.logging.shipper import Reports
from runner.settings import Settings
from runner.wiring import build_shipper
from tests.cli.inside import Inside
from tests.cli.terminal import Tron

ALONE = {"TRON_SHIPPER": "none"}


def trade(number: int) -> TradeLogData:
    return TradeLogData(
        trade_id=f"T{number}",
        symbol="AAPL",
        strategy="vwap",
        bot_type="stock-trader",
        direction="long",
        quantity=10,
        entry_price=100.5,
        status="open",
    )


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Inside:
    return Inside(tmp_path, monkeypatch, capsys)


@pytest.fixture
def printed(inside: Inside) -> list[str]:
    """The home has lost its journal; what is left of it is in the archive and on these lines."""
    settings = Settings(home=inside.home.path, shipping={"shipper": "none"})  # type: ignore[arg-type]
    logger = TradingLogger(bot="breakout", settings=settings)
    for number in range(5):
        logger.log_trade_entry(trade(number))
    logger.flush()
    inside.succeeds("ship")
    for number in range(5, 8):
        logger.log_trade_entry(trade(number))
    logger.flush()
    shipper = build_shipper(settings, SystemClock(), threading.Event(), Reports())
    archive = next(follower for follower in shipper._followers if follower.pins)
    archive.state(logger.run)  # type: ignore[attr-defined]
    entries = [cloud_entry(line) for line in left_lines(Journals(inside.home, SystemClock()), archive)]
    for follower in shipper._followers:
        follower.close()
    logger.close()
    for name in ("journal", "checkpoints"):
        shutil.rmtree(inside.home.path / name)
    inside.home.create()
    return entries


def test_a_file_of_printed_entries_is_recovered_once_and_verify_is_complete(inside: Inside, printed: list[str]) -> None:
    (inside.folder / "stdout.log").write_text("\n".join(printed))

    said = inside.succeeds("recover", "stdout.log")
    again = json.loads(inside.succeeds("recover", "stdout.log", "--json"))

    assert said.startswith("3 records recovered, 0 were archived before")
    assert (again["recovered"], again["known"], again["complete"]) == (0, 3, True)
    assert "verify: complete" in inside.succeeds("verify")
    assert inside.succeeds("query", "SELECT count(*) AS n FROM trades", "--csv").splitlines()[1] == "8"


def test_entries_are_read_from_a_pipe_and_damage_ends_with_1(tron: Tron, inside: Inside, printed: list[str]) -> None:
    entries = [printed[0], printed[1].replace("100.5", "999.5"), printed[2]]
    done = subprocess.run(
        [sys.executable, "-m", "runner.cli", "recover"],
        input="\n".join(entries),
        cwd=tron.folder,
        env=tron.environ(ALONE),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout.startswith(
        "refused: entry 2: the checksum of the record does not match its content\ngap: trades of"
    )
    assert "1 records recovered" in done.stdout
    assert "verify: complete" in inside.succeeds("verify")


def test_a_file_that_is_not_there_is_told(inside: Inside) -> None:
    assert "nothing.log cannot be read" in inside.fails("recover", "nothing.log")
