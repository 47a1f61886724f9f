"""`tron sweep`: what it says, what it does, and that it can be killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from runner.clock import ManualClock, SystemClock
from runner.layout import is_batch_object
from runner.stores.directory import DirectoryArchive
from tests.cli.terminal import ONCE, Tron
from tests.logging.compacting import Past


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home whose records are ten days old."""
    user = Tron(tmp_path_factory.mktemp("old"))
    clock = ManualClock(SystemClock().now() - timedelta(days=10))
    Past(user.home.create(), DirectoryArchive(user.home.archive), clock)
    return user.folder


@pytest.fixture
def user(old: Path, tmp_path: Path) -> Iterator[Tron]:
    """A copy of it for one test."""
    folder = tmp_path / "user"
    shutil.copytree(old, folder)
    user = Tron(folder)
    yield user
    user.kill_shippers()


def tree(user: Tron) -> dict[str, bytes]:
    """Every file of the archive."""
    return {
        str(path.relative_to(user.home.archive)): path.read_bytes()
        for path in user.home.archive.rglob("*")
        if path.is_file()
    }


def visible(found: dict[str, bytes]) -> dict[str, bytes]:
    """What readers see: a delete that was killed may leave metadata without an object to the next writer."""
    objects = {name for name in found if "/." not in name}
    described = {name: name.replace("/.metadata/", "/").removesuffix(".json") for name in found}
    return {name: body for name, body in found.items() if name in objects or described[name] in objects}


def is_part(name: str) -> bool:
    return (
        not name.startswith("tron-compliance") and "/.metadata/" not in name and is_batch_object(name.partition("/")[2])
    )


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(user: Tron) -> None:
    before = tree(user)
    said = user.succeeds("sweep", "--dry-run")
    assert "sweep: would delete 0 expired documents" in said
    assert "compaction: would join 64 archive objects into 16" in said
    assert tree(user) == before


def test_a_sweep_joins_what_is_over_and_everything_can_still_be_proven(user: Tron) -> None:
    report = json.loads(user.succeeds("sweep", "--json"))
    assert (report["done"], report["compaction"]["parts"], report["compaction"]["deleted"]) == (True, 64, 64)
    assert not [name for name in tree(user) if is_part(name)]
    assert "verify: complete" in user.succeeds("verify", "--archive-only")
    assert json.loads(user.succeeds("sweep", "--json"))["compaction"]["parts"] == 0


def test_what_time_did_not_allow_is_left_to_the_next_sweep(user: Tron) -> None:
    said = user.succeeds("sweep", "--seconds", "0")
    assert "not finished: trade-logs: " in said
    assert "not finished" not in user.succeeds("sweep")


@pytest.mark.slow
def test_killed_at_any_moment_and_run_again_the_end_is_that_of_one_clean_sweep(old: Path, tmp_path: Path) -> None:
    seed = os.environ.get("CRASH_SEED") or str(random.randrange(1 << 30))
    print(f"CRASH_SEED={seed}")
    dice, ends = random.Random(seed), []
    for number in range(3):
        shutil.copytree(old, tmp_path / str(number))
        user = Tron(tmp_path / str(number))
        if number:
            process = user.start("sweep")
            while "compacted" not in "".join(tree(user)) and process.poll() is None:
                time.sleep(0.01)
            time.sleep(dice.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
            process.communicate()
        user.succeeds("sweep")
        ends.append(visible(tree(user)))
    assert all(end == ends[0] for end in ends)


def test_rules_are_changed_by_somebody_only(user: Tron) -> None:
    assert "needs an actor" in user.fails("sweep", "--apply-rules")
    assert "leave one of them out" in user.fails("sweep", "--apply-rules", "--actor", "ada", "--dry-run")
    said = user.succeeds("sweep", "--apply-rules", "--actor", "ada")
    assert "rules: trade-logs: added: delete after 365 days" in said
    assert "rules: compliance-logs: added: delete after 2555 days" in said
    assert "added" not in user.succeeds("sweep", "--apply-rules", "--actor", "ada")
    assert '"actor":"ada"' in "".join(path.read_text() for path in user.home.journal.glob("*/risk/*.ndjson"))


def test_a_negative_time_and_a_missing_home_are_refused_in_a_sentence(tron: Tron) -> None:
    assert "there is no home" in tron.fails("sweep")
    done = tron("sweep", "--seconds", "-1")
    assert (done.returncode, "seconds" in done.stderr) == (2, True)


def test_a_damaged_part_is_told_and_fails_nothing(user: Tron) -> None:
    name = next(name for name in tree(user) if is_part(name))
    (user.home.archive / name).write_bytes(b"no gzip")
    said = user.succeeds("sweep")
    assert "left alone: " in said
    assert (user.home.archive / name).read_bytes() == b"no gzip"


def test_an_archive_that_cannot_be_used_fails_with_one_line(user: Tron) -> None:
    shutil.rmtree(user.home.archive / "tron-trade-logs")
    (user.home.archive / "tron-trade-logs").write_text("a file")
    assert "error: " in user.fails("sweep")


@pytest.mark.slow
def test_the_shipper_sweeps_by_itself_once_a_day(user: Tron) -> None:
    user.succeeds(*ONCE, "--symbols", "IBM")
    user.rest()
    assert (user.home.state / ".sweep.json").exists()
    today = f"{SystemClock().now():%Y/%m/%d}"
    assert not [name for name in tree(user) if is_part(name) and today not in name]
    assert "verify: complete" in user.succeeds("verify")
