"""SIGKILL at random moments: every acknowledged record is archived exactly once and in order.

`CRASH_KILLS` says how many kills (ten by default); `CRASH_SEED` repeats a sequence of them.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.layout import Home
from runner.logging import lines, objects
from runner.logging.audit import Auditor
from runner.stores.open import open_archive
from runner.wiring import open_settings_warehouse
from tests.crash.acknowledged import Acknowledged
from tests.crash.nursery import crash_settings

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]


class Nursery:
    """One bot and one shipper at a time, each killed and replaced on demand."""

    def __init__(self, home: Home, acknowledged: Path, dice: random.Random) -> None:
        command = [sys.executable, "-m", "tests.crash.nursery", str(home.path)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )
        self._acknowledged = acknowledged
        self._dice = dice
        self._children: dict[str, str] = {}
        self._bots = 0

    def start(self, who: str) -> None:
        if who in self._children:
            return
        self._bots += who == "bot"
        place = self._acknowledged / f"{self._bots:06d}"
        seed = self._dice.randrange(1 << 30)
        self._children[who] = self.ask(f"write {place} {seed}" if who == "bot" else f"ship {seed}")

    def kill(self, who: str) -> None:
        assert self.ask(f"kill {self._children.pop(who)}") == "killed", f"the {who} ended by itself"

    def ask(self, command: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer, "the nursery ended"
        return answer

    def kill_all(self) -> None:
        for who in list(self._children):
            self.kill(who)

    def close(self) -> None:
        self.kill_all()
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def dice() -> random.Random:
    return random.Random(int(os.environ.get("CRASH_SEED") or time.time_ns()))


@pytest.fixture
def nursery(home: Home, tmp_path: Path, dice: random.Random) -> Iterator[Nursery]:
    acknowledged = tmp_path / "acknowledged"
    acknowledged.mkdir()
    nursery = Nursery(home, acknowledged, dice)
    yield nursery
    nursery.close()


def kill_at_random(nursery: Nursery, dice: random.Random, kills: int) -> None:
    while kills > 0:
        for who in ("bot", "shipper"):
            nursery.start(who)
        time.sleep(dice.choice((0.01, 0.05, 0.2, 0.5)) * dice.random() + 0.02)
        doomed = dice.choice((("bot",), ("shipper",), ("bot", "shipper"), ("shipper", "bot")))
        for who in doomed:
            nursery.kill(who)
        kills -= len(doomed)


def acknowledged_ids(folder: Path) -> list[str]:
    found: list[str] = []
    for path in sorted(folder.iterdir()):
        one = Acknowledged(path)
        found += one.ids()
        one.close()
    return found


def archived_ids(home: Home) -> list[str]:
    """Every id in the archive, stream by stream in the order of its objects."""
    archive = open_archive(crash_settings(home.path))
    found: list[str] = []
    for streams in objects.index(archive).values():
        for batches in streams.values():
            for batch in batches:
                raw = objects.raw_lines(archive, batch)
                found += [line[7 : line.index(b'"', 7)].decode() for line in lines.split(raw)]
    archive.close()
    return found


def assert_in_order(ids: list[str]) -> None:
    following: Counter[str] = Counter()
    for identity in ids:
        stream, _, offset = identity.rpartition(":")
        assert int(offset) == following[stream], f"{identity} stands where {following[stream]} belongs"
        following[stream] += 1


def test_no_acknowledged_record_is_lost_or_doubled_whenever_bots_and_shippers_are_killed(
    home: Home, nursery: Nursery, dice: random.Random, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kills = int(os.environ.get("CRASH_KILLS") or 10)
    kill_at_random(nursery, dice, kills)
    nursery.kill_all()
    assert nursery.ask("finish") == "complete"

    acknowledged, archived = acknowledged_ids(tmp_path / "acknowledged"), archived_ids(home)
    lost = set(acknowledged) - set(archived)
    doubled = len(archived) - len(set(archived))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{kills} kills, {len({identity[:36] for identity in archived})} runs: "
            f"{len(acknowledged):,} records acknowledged, {len(archived):,} archived, "
            f"lost {len(lost)}, doubled {doubled}\n"
        )
    assert acknowledged
    assert (lost, doubled) == (set(), 0)
    assert_in_order(archived)
    archive = open_archive(crash_settings(home.path))
    assert Auditor(archive, home).verify().findings == []
    assert Auditor(archive).verify().findings == []
    warehouse = open_settings_warehouse(crash_settings(home.path))
    assert warehouse.query("SELECT count(*), count(DISTINCT id) FROM records").rows == ((len(archived), len(archived)),)
    warehouse.close()
