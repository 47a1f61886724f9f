"""The journal's invariants, as the head of `runner.logging.journal` states them."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.clock import ManualClock
from runner.errors import JournalError
from runner.layout import Home
from runner.logging import lines
from runner.logging.heads import BLOCK, Head
from runner.logging.journal import FORMAT, is_alive, read_info, run_folder, runs, segment_path, write_info
from runner.logging.reader import segments
from tests.logging.journal_stage import CRITICAL, RING, body, dead_copy, offsets, open_journal, records, recovered, seqs

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_line_is_in_the_front_with_its_checksum_before_append_returns(home: Home, tmp_path: Path) -> None:
    journal = open_journal(home)

    line = journal.append("system", body(), CRITICAL)
    dead = dead_copy(journal, home, tmp_path / "dead")
    journal.close()

    recovered(dead, journal.info.run)
    assert records(dead, journal.info.run, "system") == [line]


def test_four_threads_give_contiguous_offsets_and_seq_and_no_torn_line(home: Home) -> None:
    journal = open_journal(home)

    def write(number: int) -> None:
        for count in range(1500):
            journal.append(("system", "trades")[count % 2], body(60 + number * 37 + count % 50), CRITICAL)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()

    assert offsets(home, journal.info.run, "system") == list(range(3000))
    assert offsets(home, journal.info.run, "trades") == list(range(3000))
    assert seqs(home, journal.info.run) == list(range(6000))


def test_seq_follows_the_order_of_the_calls_over_all_streams(home: Home) -> None:
    journal = open_journal(home)

    found = [journal.append(stream, body(), CRITICAL) for stream in ("trades", "system", "trades", "risk", "system")]
    journal.close()

    assert [lines.head(line)[0] for line in found] == [0, 1, 2, 3, 4]


def test_records_of_every_size_up_to_the_largest_come_back_as_they_were(home: Home) -> None:
    journal = open_journal(home)

    sizes = [1, 100, 4095, 4096, 4097, 65_536, lines.MAX_LINE - 256, 50, lines.MAX_LINE - 256, lines.MAX_LINE - 256]
    found = [journal.append("system", body(size), CRITICAL) for size in sizes]
    journal.close()

    assert records(home, journal.info.run, "system") == found


@settings(max_examples=25)
@given(st.integers(1, 200), st.lists(st.integers(1, 3000), min_size=1, max_size=10))
def test_the_ring_wraps_around_at_every_alignment(before: int, sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder)).create()
        journal = open_journal(home)
        written = [journal.append("system", body(size), CRITICAL) for size in (100_000, 250_000, 150_000 + before)]
        written += [journal.append("system", body(size), CRITICAL) for size in sizes * (1 + 80_000 // sum(sizes))]
        dead = dead_copy(journal, home, Path(folder) / "dead")
        journal.close()

        assert sum(map(len, written)) > RING
        assert records(home, journal.info.run, "system") == written
        recovered(dead, journal.info.run)
        assert records(dead, journal.info.run, "system") == written


def test_segments_rotate_by_size_and_are_named_after_their_first_offset(home: Home) -> None:
    journal = open_journal(home)

    for _ in range(3000):
        journal.append("system", body(1000), CRITICAL)
    journal.close()

    folder = run_folder(home, journal.info.run)
    known = segments(folder, "system")
    assert len(known) > 3
    for first in known:
        content = segment_path(folder, "system", first).read_bytes()
        assert lines.offset_of(content, lines.id_prefix(journal.info.run, "system")) == first
    assert offsets(home, journal.info.run, "system") == list(range(3000))


def test_segments_rotate_by_age(home: Home) -> None:
    clock = ManualClock(NOON)
    journal = open_journal(home, clock, segment_hours=24)

    for _ in range(3):
        journal.append("system", body(), CRITICAL)
        journal.sync()
        clock.advance(23 * 3600)
    journal.close()

    assert segments(run_folder(home, journal.info.run), "system") == [0, 2]


def test_a_segment_holds_whole_lines_and_nothing_else(home: Home) -> None:
    journal = open_journal(home)
    for _ in range(700):
        journal.append("system", body(500), CRITICAL)
    journal.close()

    folder = run_folder(home, journal.info.run)
    content = [segment_path(folder, "system", first).read_bytes() for first in segments(folder, "system")]
    assert all(lines.is_intact(line) for piece in content for line in lines.split(piece))
    assert all(piece.endswith(b"\n") for piece in content)


def test_space_that_was_reserved_is_given_back_when_a_run_is_closed(home: Home) -> None:
    journal = open_journal(home)
    journal.append("system", body(), CRITICAL)
    journal.close()

    status = segment_path(run_folder(home, journal.info.run), "system", 0).stat()
    assert status.st_blocks * 512 <= status.st_size + 8192


def test_a_clock_that_jumps_backwards_changes_times_and_never_the_order(home: Home) -> None:
    clock = ManualClock(NOON)
    journal = open_journal(home, clock)

    first = journal.append("system", body(), CRITICAL)
    clock.set(datetime(2020, 1, 1, tzinfo=UTC))
    second = journal.append("system", body(), CRITICAL)
    journal.close()

    assert lines.head(first) == (0, "2026-03-01T12:00:00.000000Z")
    assert lines.head(second) == (1, "2020-01-01T00:00:00.000000Z")
    assert records(home, journal.info.run, "system") == [first, second]


def test_midnight_and_the_last_microsecond_before_it_are_written_exactly(home: Home) -> None:
    clock = ManualClock(datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
    journal = open_journal(home, clock)

    before = journal.append("system", body(), CRITICAL)
    clock.advance(0.000001)
    after = journal.append("system", body(), CRITICAL)
    journal.close()

    assert lines.head(before)[1] == "2026-12-31T23:59:59.999999Z"
    assert lines.head(after)[1] == "2027-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7])
def test_heads_are_those_of_the_lines_that_were_accepted(home: Home, count: int) -> None:
    journal = open_journal(home)
    written = [journal.append("system", body(), CRITICAL) for _ in range(count)]
    found = journal.heads()
    assert journal.heads() == found
    journal.close()

    expected = Head(journal.info.run, "system")
    expected.feed_lines(0, written)
    assert found == {"system": (count - 1, expected.hexdigest())}


def test_folders_and_files_are_private(home: Home) -> None:
    journal = open_journal(home)
    for _ in range(200):
        journal.append("system", body(1000), CRITICAL)
    journal.sync()

    for folder, _, names in os.walk(home.path):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        assert {stat.S_IMODE(os.stat(Path(folder) / name).st_mode) for name in names} <= {0o600}
    journal.close()


def test_a_writer_holds_its_run_while_it_lives(home: Home) -> None:
    journal = open_journal(home)
    assert is_alive(home, journal.info.run)

    journal.close()
    assert not is_alive(home, journal.info.run)


def test_a_closed_run_says_so_and_has_no_fronts(home: Home) -> None:
    journal = open_journal(home)
    journal.append("system", body(), CRITICAL)
    journal.close()

    closed = read_info(journal.folder)
    assert closed is not None
    assert (closed.closed, closed.records) == ("close", 1)
    assert list(journal.folder.glob("*.front")) == []


def test_a_closed_journal_refuses_records_with_one_line_and_a_hint(home: Home) -> None:
    journal = open_journal(home)
    journal.append("system", body(), CRITICAL)
    journal.close()

    for stream in ("system", "trades"):
        with pytest.raises(JournalError, match="closed") as caught:
            journal.append(stream, body(), CRITICAL)
        assert caught.value.hint
    assert seqs(home, journal.info.run) == [0]
    assert list(journal.folder.glob("*.front")) == []


def test_two_journals_on_one_home_never_touch_each_other(home: Home) -> None:
    first, second = open_journal(home), open_journal(home)
    for _ in range(100):
        first.append("system", body(), CRITICAL)
        second.append("system", body(), CRITICAL)
    first.close()
    second.append("system", body(), CRITICAL)
    second.close()

    assert offsets(home, first.info.run, "system") == list(range(100))
    assert offsets(home, second.info.run, "system") == list(range(101))


def test_a_run_of_a_newer_format_is_refused_by_name(home: Home) -> None:
    journal = open_journal(home)
    journal.close()
    write_info(journal.folder, msgspec.structs.replace(journal.info, format=FORMAT + 1))

    with pytest.raises(JournalError, match=f"format {FORMAT + 1}"):
        read_info(journal.folder)


def test_a_run_that_is_being_deleted_is_no_run(home: Home) -> None:
    journal = open_journal(home)
    journal.close()
    journal.folder.rename(home.journal / f".trash-{journal.info.run}")

    assert runs(home) == []


def test_sync_covers_every_stream_and_may_be_repeated(home: Home) -> None:
    journal = open_journal(home)
    for stream in ("system", "trades"):
        for _ in range(150):
            journal.append(stream, body(1000), CRITICAL)
    journal.sync()
    journal.sync()

    assert journal.buffered == {"system": 0, "trades": 0}
    assert len(records(home, journal.info.run, "trades")) == 150
    journal.close()
