"""Group commit: what it syncs, and when it need not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from runner.errors import JournalError
from runner.layout import Home
from runner.logging import disk
from runner.logging.commit import GroupCommit, StreamCommit
from runner.logging.journal import Journal
from runner.logging.reader import segments
from tests.logging.journal_stage import CRITICAL, body, open_journal


@pytest.fixture
def stopped(home: Home) -> Iterator[Journal]:
    """A writer whose copying stands still, as in a process that was stopped."""
    journal = open_journal(home)
    journal.append("system", body(), CRITICAL)
    journal.sync()
    journal._stop.set()
    journal._copier.join()
    yield journal
    journal.close()


def commit_of(journal: Journal) -> StreamCommit:
    return StreamCommit(journal.folder, "system")


def test_the_front_of_a_stopped_writer_is_synced_where_its_bytes_wait_a_second_cycle(stopped: Journal) -> None:
    commit = commit_of(stopped)
    commit.cycle()
    stopped.append("system", body(), CRITICAL)
    commit.cycle()
    assert commit.fronts == 0

    commit.cycle()
    assert commit.fronts == 1
    commit.close()


def test_a_front_is_synced_once_for_the_same_bytes_and_again_for_new_ones(stopped: Journal) -> None:
    commit = commit_of(stopped)
    stopped.append("system", body(), CRITICAL)
    for _ in range(5):
        commit.cycle()
    assert commit.fronts == 1

    stopped.append("system", body(), CRITICAL)
    for _ in range(5):
        commit.cycle()
    assert commit.fronts == 2
    commit.close()


def test_what_was_copied_is_synced_in_its_segment_and_the_front_is_left_alone(stopped: Journal) -> None:
    commit = commit_of(stopped)
    for _ in range(3):
        stopped.append("system", body(), CRITICAL)
        stopped.sync()
        commit.cycle()
    commit.cycle()

    assert (commit.segments, commit.fronts) == (3, 0)
    commit.close()


def test_every_segment_that_was_passed_between_two_cycles_is_synced(stopped: Journal) -> None:
    commit = commit_of(stopped)
    commit.cycle()
    before = commit.segments
    for _ in range(400):
        stopped.append("system", body(1000), CRITICAL)
        stopped.sync()
    commit.cycle()

    assert len(segments(stopped.folder, "system")) > 4
    assert commit.segments - before == len(segments(stopped.folder, "system"))
    commit.close()


def test_a_new_run_and_a_new_stream_are_found_by_the_next_cycle(home: Home) -> None:
    commit = GroupCommit(home)
    commit.cycle()
    time.sleep(0.02)
    journal = open_journal(home)
    journal.append("system", body(), CRITICAL)
    commit.cycle()
    assert set(commit.streams) == {(journal.info.run, "system")}

    time.sleep(0.02)
    journal.append("trades", body(), CRITICAL)
    commit.cycle()
    assert set(commit.streams) == {(journal.info.run, "system"), (journal.info.run, "trades")}
    journal.close()
    time.sleep(0.02)
    commit.cycle()
    assert commit.streams == {}


def test_a_failing_disk_is_told_once_and_stops_no_other_stream(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal(home)
    for stream in ("system", "trades"):
        journal.append(stream, body(), CRITICAL)
    journal.sync()
    told: list[JournalError] = []
    commit = GroupCommit(home, told.append)
    synced: list[str] = []

    def sync_data(descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        if "/trades/" in name:
            raise JournalError("the disk failed")
        synced.append(name)

    with monkeypatch.context() as patched:
        patched.setattr(disk, "sync_data", sync_data)
        commit.cycle()
        commit.cycle()

    assert [str(error) for error in told] == ["the disk failed"]
    assert len(synced) == 1
    journal.close()
    time.sleep(0.02)
    commit.cycle()


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def test_it_runs_beside_writers_until_it_is_stopped(home: Home) -> None:
    commit = GroupCommit(home)
    commit.start()
    journal = open_journal(home)
    journal.append("system", body(), CRITICAL)

    assert wait_until(lambda: any(stream.segments for stream in commit.streams.values()))
    commit.stop()
    journal.close()
