"""Deleting from the journal what is archived: nothing else goes, and recovery still finds the same heads."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import checkpoint, lines, sweeping
from runner.logging.journal import Journal, run_folder, segment_path
from runner.logging.reader import Cursor, StreamReader, segments
from runner.logging.recovery import recover
from tests.logging.journal_stage import CRITICAL, body, offsets, open_journal, records

CLOCK = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))


def cursor_at(home: Home, run: str, stream: str, following: int) -> Cursor:
    """The place of a record, as a follower that has shipped everything before it knows it."""
    known = segments(run_folder(home, run), stream)
    reader = StreamReader(run_folder(home, run), stream, Cursor(segment=known[0]))
    prefix = lines.id_prefix(run, stream)
    place = Cursor(segment=known[0])
    while chunk := reader.read():
        position = reader.position - len(chunk)
        for line in lines.split(chunk):
            if lines.offset_of(line, prefix) >= following:
                reader.close()
                return place
            position += len(line)
            place = Cursor(next=lines.offset_of(line, prefix) + 1, segment=reader.segment, position=position)
    reader.close()
    return place


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(0, 3000), st.booleans()), min_size=1, max_size=8),
    st.integers(40, 900),
)
def test_after_any_sweeps_recovery_seals_the_heads_that_the_writer_would_have(
    rounds: list[tuple[int, int, bool]], size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder)).create()
        journal = open_journal(home)
        run, archived = journal.info.run, 0
        for count, shipped, swept in rounds:
            for number in range(count):
                journal.append("system", body(size + number % 300), CRITICAL)
            journal.sync()
            archived = max(archived, min(shipped, journal.offsets()["system"]))
            if swept:
                sweeping.delete_segments(home, run, {"system": cursor_at(home, run, "system", archived)})
                left = offsets(home, run, "system")
                assert left[-1] == journal.offsets()["system"] - 1
                assert left[0] <= archived
        expected = {name: {"last": last, "head": head} for name, (last, head) in journal.heads().items()}
        journal.leave()

        recover(home, run, CLOCK, sweeping.block_starts(home, run))

        (seal,) = records(home, run, "seals")
        assert lines.decode(seal)["data"]["streams"] == expected


def filled(home: Home, count: int = 3000) -> Journal:
    journal = open_journal(home)
    for _ in range(count):
        journal.append("system", body(400), CRITICAL)
    journal.sync()
    return journal


def test_the_newest_two_segments_are_never_deleted(home: Home) -> None:
    journal = filled(home)
    known = segments(journal.folder, "system")

    deleted = sweeping.delete_segments(
        home, journal.info.run, {"system": cursor_at(home, journal.info.run, "system", 3000)}
    )

    assert 0 < deleted <= len(known) - 2
    assert segments(journal.folder, "system")[-2:] == known[-2:]
    journal.close()


def test_what_is_not_archived_is_never_deleted(home: Home) -> None:
    journal = filled(home)

    assert sweeping.delete_segments(home, journal.info.run, {"system": Cursor()}) == 0
    assert offsets(home, journal.info.run, "system") == list(range(3000))
    journal.close()


def test_a_sweep_that_was_killed_before_it_deleted_is_finished_by_the_next(home: Home) -> None:
    journal = filled(home)
    run, archived = journal.info.run, cursor_at(home, journal.info.run, "system", 3000)
    known = segments(journal.folder, "system")
    kept = {first: segment_path(journal.folder, "system", first).read_bytes() for first in known}
    deleted = sweeping.delete_segments(home, run, {"system": archived})
    for first in known[:deleted]:
        segment_path(journal.folder, "system", first).write_bytes(kept[first])

    assert sweeping.delete_segments(home, run, {"system": archived}) == deleted
    journal.close()


def test_a_closed_run_goes_as_a_whole_with_its_checkpoints(home: Home) -> None:
    journal = filled(home, 10)
    journal.close()
    checkpoint.save(home, journal.info.run, sweeping.NAME, sweeping.SweptState())

    sweeping.delete_run(home, journal.info.run)

    assert not journal.folder.exists()
    assert not (home.checkpoints / journal.info.run).exists()


def test_a_deletion_that_was_killed_is_finished(home: Home) -> None:
    journal = filled(home, 10)
    journal.close()
    journal.folder.rename(home.journal / f".trash-{journal.info.run}")

    sweeping.empty_trash(home)

    assert list(home.journal.iterdir()) == []
