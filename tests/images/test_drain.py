"""A bot and its shipper as two containers of one instance: one home in memory, one SIGTERM for both, ten seconds left.

What the platform does after ten seconds is SIGKILL, so a process that does not end by itself fails here.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.layout import Home
from runner.logging import backlog, disk
from runner.logging.housekeeping import SHIPPER as SHIPS
from runner.logging.journal import runs
from tests.cli import evidence
from tests.cli.terminal import Tron, until
from tests.images.dockerfile import environment, parse

Process = subprocess.Popen[str]

ROOT = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")
GRACE = 10.0
BOT = ("run", "--no-dashboard", "--strategy", "vwap")
SHIPPER = ("ship", "--follow")
QUIET, BUSY = (5, 12), (300, 200)
"""Bars a second, and records after which it is told to end: between two bars of a quiet bot, everything is shipped; a
busy one has traded."""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Tron]:
    """A user whose home lies in memory, where this machine has such a place."""
    user = Tron(tmp_path)
    folder = tempfile.mkdtemp(prefix="tron-drain-", dir=MEMORY if MEMORY.is_dir() else tmp_path)
    user.home = Home(Path(folder) / "home")
    yield user
    user.kill_shippers()
    shutil.rmtree(folder)


@pytest.fixture
def told() -> Mapping[str, str]:
    """What the image and Terraform tell both containers."""
    image = environment(parse((ROOT / "Dockerfile").read_text())[-1], {})
    return {"TRON_LINGER": image["TRON_LINGER"], "TRON_HOST": image["TRON_HOST"], "TRON_SHIPPER": "none"}


@contextmanager
def containers(user: Tron, told: Mapping[str, str], pace: tuple[int, int]) -> Iterator[tuple[Process, Process]]:
    """Bot and shipper, once the bot is at work. What is left of them at the end is killed."""
    speed, records = pace
    shipper, bot = user.start(*SHIPPER, **told), user.start(*BOT, "--speed", str(speed), **told)
    try:
        until(lambda: _journaled(user.home) > records)
        yield bot, shipper
    finally:
        for process in (bot, shipper):
            process.kill()
            process.communicate()


def end_both(bot: Process, shipper: Process) -> tuple[str, str]:
    """End both, as the platform does; returns what they said. The bot is the later one: it has a bar to finish."""
    shipper.send_signal(signal.SIGTERM)
    time.sleep(1.0)
    bot.send_signal(signal.SIGTERM)
    said = bot.communicate(timeout=GRACE)[0], shipper.communicate(timeout=GRACE)[0]
    return said


def _journaled(home: Home) -> int:
    ids = evidence.journaled_ids(home.path, evidence.runs(home.path))
    return len(ids)


def test_the_last_word_of_a_bot_is_shipped_when_both_are_told_to_end(instance: Tron, told: Mapping[str, str]) -> None:
    with containers(instance, told, QUIET) as (bot, shipper):
        _, shipped = end_both(bot, shipper)

    assert (bot.returncode, shipper.returncode) == (0, 0), shipped
    (info,) = [info for info in runs(instance.home) if info.bot_type != SHIPS]
    assert info.closed
    assert backlog.measure(instance.home, [info.run]).total == 0
    assert "verify: complete" in instance.succeeds("verify", "--archive-only")
    evidence.assert_each_once(instance.home.path)


def test_what_cannot_be_shipped_in_time_is_said_to_the_log(instance: Tron, told: Mapping[str, str]) -> None:
    blocked = instance.folder / "blocked"
    blocked.write_text("a file where the archive's folder should be")
    with containers(instance, {**told, "TRON_ARCHIVE": f"file://{blocked}/archive"}, BUSY) as (bot, shipper):
        _, said = end_both(bot, shipper)

    entries = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert shipper.returncode == 1
    assert {"severity", "message", "record"} <= entries[0].keys()
    assert all(json.loads(entry["record"])["id"] for entry in entries)


def test_a_shipper_stays_though_no_bot_is_there_yet(instance: Tron, told: Mapping[str, str]) -> None:
    shipper = instance.start(*SHIPPER, **told)
    until(lambda: disk.is_locked(instance.home.shipper_lock))
    with pytest.raises(subprocess.TimeoutExpired):
        shipper.wait(2.0)
    shipper.send_signal(signal.SIGTERM)
    shipper.communicate(timeout=GRACE)

    assert shipper.returncode == 0
