"""A full disk and a reached quota: refused before acceptance, never after."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.errors import JournalError, JournalFull
from runner.layout import Home
from runner.logging import TradingLogger, disk, lines
from runner.logging.journal import Admission, Journal, read_info
from runner.logging.log_types import RiskEventData
from runner.logging.quota import RESERVE, used
from runner.settings import KIB, MIB
from tests.logging.journal_stage import (
    CRITICAL,
    DROPPABLE,
    PLAIN,
    RESERVED,
    body,
    open_journal,
    records,
    recovered,
    seqs,
    settings,
)

SIZE = 24 * MIB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Home]:
    """A home on a disk of its own, of 24 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount the small disk that this test fills")
    yield Home(place / "home").create()
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(home: Home, *, leave: int = 0) -> Path:
    """Take what is free on the disk, but for `leave` bytes."""
    path = home.path / "ballast"
    status = os.statvfs(home.path)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - leave)
    return path


def append_until_full(
    journal: Journal, stream: str = "system", size: int = 2000, admission: Admission = CRITICAL
) -> list[bytes]:
    """What was accepted before the journal refused."""
    found: list[bytes] = []

    def append_forever() -> None:
        while True:
            found.append(journal.append(stream, body(size), admission))

    with pytest.raises(JournalFull) as caught:
        append_forever()
    assert caught.value.hint
    return found


def try_again(action: Callable[[], bytes]) -> bytes:
    """What the action returns once the journal has noticed that there is space again."""
    for _ in range(100):
        try:
            return action()
        except JournalFull:
            time.sleep(0.1)
    return action()


def test_a_full_disk_refuses_before_acceptance_and_keeps_all_that_was_accepted(small_disk: Home) -> None:
    journal = open_journal(small_disk)
    accepted = [journal.append("system", body(), CRITICAL)]
    fill(small_disk)
    accepted += append_until_full(journal)
    journal.sync()

    assert records(small_disk, journal.info.run, "system") == accepted
    assert journal.seq == len(accepted)
    journal.close()
    assert records(small_disk, journal.info.run, "system") == accepted


def test_exits_and_risk_events_get_in_through_the_reserve_when_the_disk_is_full(small_disk: Home) -> None:
    journal = open_journal(small_disk)
    for stream in ("system", "trades", "risk"):
        journal.append(stream, body(), CRITICAL)
    fill(small_disk)
    append_until_full(journal)

    exits = [journal.append("trades", body(1000), RESERVED) for _ in range(400)]
    exits += [journal.append("risk", body(1000), RESERVED) for _ in range(400)]
    journal.close()

    kept = records(small_disk, journal.info.run, "trades") + records(small_disk, journal.info.run, "risk")
    assert set(exits) <= set(kept)
    assert seqs(small_disk, journal.info.run) == list(range(journal.seq))


def test_the_reserve_ends_too_and_nothing_accepted_is_lost(small_disk: Home) -> None:
    journal = open_journal(small_disk)
    accepted = [journal.append("trades", body(), CRITICAL)]
    fill(small_disk)
    accepted += append_until_full(journal, "trades", size=100_000)
    accepted += append_until_full(journal, "trades", size=100_000, admission=RESERVED)
    journal.close()

    assert records(small_disk, journal.info.run, "trades") == accepted


def test_a_full_disk_that_is_freed_takes_records_again(small_disk: Home) -> None:
    journal = open_journal(small_disk)
    journal.append("system", body(), CRITICAL)
    ballast = fill(small_disk)
    append_until_full(journal)
    ballast.unlink()

    line = try_again(lambda: journal.append("system", body(), CRITICAL))
    journal.close()
    assert records(small_disk, journal.info.run, "system")[-1] == line


def test_a_stream_that_could_not_be_opened_on_a_full_disk_can_be_opened_later(small_disk: Home) -> None:
    journal = open_journal(small_disk)
    journal.append("system", body(), CRITICAL)
    ballast = fill(small_disk, leave=300 * KIB)
    with pytest.raises(JournalFull):
        journal.append("trades", body(), CRITICAL)
    assert not (journal.folder / "trades.front").exists()
    ballast.unlink()

    line = journal.append("trades", body(), CRITICAL)
    journal.close()
    assert records(small_disk, journal.info.run, "trades") == [line]


def test_a_run_cannot_be_opened_on_a_full_disk_and_leaves_nothing(small_disk: Home) -> None:
    fill(small_disk)
    with pytest.raises(JournalError, match="cannot be opened"):
        open_journal(small_disk)

    assert list(small_disk.journal.iterdir()) == []


def test_a_writer_killed_on_a_full_disk_is_recovered_there(small_disk: Home) -> None:
    journal = open_journal(small_disk)
    accepted = [journal.append("system", body(), CRITICAL)]
    fill(small_disk, leave=64 * KIB)
    accepted += append_until_full(journal)
    journal.leave()

    recovered(small_disk, journal.info.run)
    assert records(small_disk, journal.info.run, "system") == accepted


def test_replacing_a_file_on_a_full_disk_raises_and_leaves_it_as_it_was(small_disk: Home) -> None:
    path = small_disk.state / "checkpoint"
    disk.replace(path, b"old")
    fill(small_disk)
    with pytest.raises(JournalFull):
        disk.replace(path, b"new" * 100_000)

    assert path.read_bytes() == b"old"
    assert list(small_disk.state.iterdir()) == [path]


def test_at_the_quota_critical_records_are_refused_at_once(home: Home) -> None:
    journal = open_journal(home, quota=200 * KIB)
    accepted = append_until_full(journal)
    journal.close()

    assert sum(map(len, accepted)) <= 200 * KIB + 2200
    assert records(home, journal.info.run, "system") == accepted


def test_at_the_quota_the_reserve_is_for_exits_and_risk_events_and_ends(home: Home) -> None:
    journal = open_journal(home, quota=200 * KIB)
    accepted = append_until_full(journal)
    exits = append_until_full(journal, "trades", admission=RESERVED)
    journal.close()

    assert accepted
    assert RESERVE - 10_000 <= sum(map(len, exits)) <= RESERVE + 10_000


def test_at_the_quota_other_records_wait_for_space_and_get_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal(home, quota=200 * KIB)
    append_until_full(journal)
    with pytest.raises(JournalFull):
        journal.append("system", body(), PLAIN)

    def freed(seconds: float) -> None:
        monkeypatch.setattr("runner.logging.quota.used", lambda home: 0)

    monkeypatch.setattr("runner.logging.quota.time.sleep", freed)
    assert journal.append("system", body(), PLAIN)
    monkeypatch.undo()
    journal.close()


def test_at_the_quota_droppable_records_never_wait(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal(home, quota=200 * KIB)
    append_until_full(journal)
    waited: list[float] = []
    with monkeypatch.context() as patched:
        patched.setattr("runner.logging.quota.time.sleep", waited.append)
        with pytest.raises(JournalFull):
            journal.append("system", body(), DROPPABLE)
    journal.close()

    assert waited == []


def fill_with_events(logger: TradingLogger) -> None:
    with contextlib.suppress(JournalFull):
        while True:
            logger.log_system_event("x" * 500)


def test_what_was_dropped_is_counted_in_a_record_and_the_run_closes_whole(home: Home) -> None:
    with TradingLogger(settings=settings(home, quota=64 * KIB)) as logger:
        fill_with_events(logger)
        assert [logger.log_debug("gone") for _ in range(7)] == [""] * 7
        assert logger.log_performance_metric("equity", 1) == ""
        assert logger.log_risk_event(RiskEventData(event_type="halt", action_taken="trading_paused"))

    found = [lines.decode(line) for line in records(home, logger.run, "system")]
    counts = [record["data"]["counts"] for record in found if record["kind"] == "dropped"]
    assert sum(count.get("debug", 0) for count in counts) == 7
    assert sum(count.get("metric", 0) for count in counts) == 1
    ended = read_info(home.journal / logger.run)
    assert ended is not None
    assert ended.closed == "close"


def test_a_logger_that_cannot_be_sealed_is_left_to_recovery(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = TradingLogger(settings=settings(home, quota=64 * KIB))
    logger.log_system_event("kept")
    monkeypatch.setattr("runner.logging.quota.used", lambda home: 1 << 40)
    time.sleep(1.2)
    with pytest.raises(JournalFull):
        logger.close()
    monkeypatch.undo()

    assert recovered(home, logger.run).records == 2


def test_the_quota_counts_all_runs_and_survives_that_they_are_deleted_meanwhile(home: Home) -> None:
    first, second = open_journal(home), open_journal(home)
    for journal in (first, second):
        journal.append("system", body(5000), CRITICAL)
        journal.close()

    assert used(home) == 2 * len(records(home, first.info.run, "system")[0])
    second.folder.rename(home.journal / ".trash-it")
    assert used(home) == len(records(home, first.info.run, "system")[0])
