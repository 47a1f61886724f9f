"""Ctrl-C, SIGTERM and SIGKILL in the middle of a run: nothing is lost, nothing is doubled.

`CRASH_KILLS` says how many random moments are tried (ten by default); `CRASH_SEED` repeats them.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.cli import evidence
from tests.cli.terminal import Tron, end, equal_count, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shippers are found in /proc, which Linux has")

PACED = ("run", "--no-dashboard", "--speed", "1500")
SLOW = ("run", "--no-dashboard", "--speed", "300", "--strategy", "vwap")


@pytest.fixture
def dice() -> Iterator[random.Random]:
    seed = os.environ.get("CRASH_SEED") or str(random.randrange(1 << 30))
    print(f"CRASH_SEED={seed}")
    return random.Random(seed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_stop_ships_and_proves_everything(tron: Tron, number: signal.Signals) -> None:
    process = tron.start(*SLOW)
    _await_records(tron)

    process.send_signal(number)
    output = end(process)

    assert equal_count(output) > 0
    assert "verify: complete" in output
    tron.rest()
    evidence.assert_each_once(tron.home.path)


def test_a_shipper_that_is_killed_is_replaced_while_the_run_waits_for_it(tron: Tron) -> None:
    process = tron.start(*SLOW)
    _await_records(tron)
    assert tron.kill_shippers() == 1

    process.send_signal(signal.SIGINT)

    assert "verify: complete" in end(process)
    tron.rest()
    evidence.assert_each_once(tron.home.path)


@pytest.mark.parametrize("victims", ["bots", "shipper"])
def test_what_is_killed_in_the_middle_is_recovered_complete(tron: Tron, dice: random.Random, victims: str) -> None:
    for _ in range(3):
        _kill_once(tron, dice, victims)


@pytest.mark.crash
def test_killing_bots_and_shipper_at_random_moments_loses_and_doubles_nothing(tron: Tron, dice: random.Random) -> None:
    for _ in range(10):
        _kill_once(tron, dice, "both")


def test_a_store_that_does_not_answer_keeps_no_run_waiting_that_is_told_to_stop(tron: Tron) -> None:
    blocked = tron.folder / "blocked"
    blocked.write_text("a file where the archive's folder should be")
    (tron.folder / "tron.toml").write_text(
        f'[stores]\narchive = "file://{blocked}/archive"\n[shipping]\nlinger_seconds = 0.2\ndrain_seconds = 1\n'
    )
    process = tron.start(*SLOW)
    _await_records(tron)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate()
    assert process.returncode == 1
    assert re.search(r"error: [\d,]+ bytes are not shipped: .+ \(nothing is lost: run `tron ship` later; .+\)", output)
    tron.kill_shippers()

    blocked.unlink()

    tron.succeeds("ship")
    assert "verify: complete" in tron.succeeds("verify")


def _kill_once(tron: Tron, dice: random.Random, victims: str) -> None:
    """Start a run, kill at a random moment, ship; then every record that was seen before the kill is there once."""
    before = evidence.runs(tron.home.path)
    process = tron.start(*PACED)
    until(lambda: evidence.runs(tron.home.path) > before)
    time.sleep(dice.uniform(0.0, 1.5))
    seen = evidence.journaled_ids(tron.home.path, evidence.runs(tron.home.path) - before)
    if victims != "bots":
        tron.kill_shippers()
    if victims == "shipper":
        process.send_signal(signal.SIGINT)
        end(process)
    else:
        _kill(process)
    tron.succeeds("ship", "--quiet")
    assert "verify: complete" in tron.succeeds("verify")
    kept = evidence.assert_each_once(tron.home.path)
    assert seen <= kept, f"{len(seen - kept)} records are lost"
    assert evidence.accepted(tron.home.path) <= len(kept)
    tron.rest()


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def _await_records(tron: Tron) -> None:
    until(lambda: len(evidence.runs(tron.home.path)) > 0 and bool(tron.shippers()))
