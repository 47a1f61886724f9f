"""Reading the journal beside its writers: whole lines, in order, each once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from runner.layout import Home
from runner.logging import lines
from runner.logging.journal import run_folder, segment_path
from runner.logging.reader import Cursor, StreamReader, Tail, segments
from tests.logging.journal_stage import CRITICAL, body, open_journal, records


def collect(tail: Tail, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count and (more := tail.next(5)):
        found += more
    return found


def test_a_reader_beside_a_writer_gets_every_line_once_and_whole(home: Home) -> None:
    journal = open_journal(home)
    written: list[bytes] = []

    def write() -> None:
        written.extend(journal.append("system", body(50 + number % 2000), CRITICAL) for number in range(2000))
        journal.sync()

    thread = threading.Thread(target=write)
    found: list[bytes] = []
    reader = StreamReader(journal.folder, "system")
    thread.start()
    while thread.is_alive() or len(found) < len(written):
        found += lines.split(reader.read())
    reader.close()
    journal.close()

    assert found == written


def test_a_reader_goes_on_from_its_cursor(home: Home) -> None:
    journal = open_journal(home)
    written = [journal.append("system", body(900), CRITICAL) for _ in range(200)]
    journal.close()
    first = StreamReader(journal.folder, "system")
    begun = lines.split(first.read(1))
    first.close()

    cursor = Cursor(next=len(begun), segment=first.segment, position=first.position)
    second = StreamReader(journal.folder, "system", cursor)
    assert second.available() == sum(map(len, written[len(begun) :]))
    rest: list[bytes] = []
    while chunk := second.read():
        rest += lines.split(chunk)
    second.close()
    assert begun + rest == written


def test_a_torn_line_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "system").mkdir()
    path = segment_path(tmp_path, "system", 0)
    path.write_bytes(b"whole\nto")
    reader = StreamReader(tmp_path, "system")
    assert reader.read() == b"whole\n"
    assert reader.read() == b""

    path.write_bytes(b"whole\ntorn\n")
    assert reader.read() == b"torn\n"
    reader.close()


def test_a_reader_passes_by_segments_that_were_deleted(home: Home) -> None:
    journal = open_journal(home)
    written = [journal.append("system", body(900), CRITICAL) for _ in range(300)]
    journal.close()
    folder = run_folder(home, journal.info.run)
    known = segments(folder, "system")
    segment_path(folder, "system", known[0]).unlink()

    reader = StreamReader(folder, "system")
    assert lines.split(reader.read())[0] == written[known[1]]
    reader.close()


@pytest.mark.parametrize("from_start", [True, False])
def test_a_tail_begins_where_it_was_asked_to(home: Home, from_start: bool) -> None:
    journal = open_journal(home)
    before = [journal.append("system", body(), CRITICAL) for _ in range(3)]
    journal.sync()
    tail = Tail(home, from_start=from_start)
    after = [journal.append(stream, body(), CRITICAL) for stream in ("trades", "system")]
    journal.sync()

    expected = [*before, *after] if from_start else after
    assert collect(tail, len(expected)) == expected
    assert tail.next(0) == []
    tail.close()
    journal.close()


def test_a_tail_follows_new_runs_and_puts_them_in_order(home: Home) -> None:
    tail = Tail(home)
    first, second = open_journal(home), open_journal(home)
    written = [journal.append("system", body(), CRITICAL) for journal in (first, second, first, second)]
    first.close()
    second.close()

    assert collect(tail, 4) == written
    tail.close()


def test_a_tail_leaves_damaged_lines_out(home: Home) -> None:
    journal = open_journal(home)
    written = [journal.append("system", body(), CRITICAL) for _ in range(3)]
    journal.close()
    path = segment_path(journal.folder, "system", 0)
    path.write_bytes(written[0] + b"never a line\n" + written[1][:-30] + b"\n" + written[2])

    tail = Tail(home, from_start=True)
    assert collect(tail, 2) == [written[0], written[2]]
    tail.close()


def test_a_tail_survives_that_a_run_is_swept(home: Home) -> None:
    journal = open_journal(home)
    journal.append("system", body(), CRITICAL)
    journal.close()
    tail = Tail(home)
    journal.folder.rename(home.journal / f".trash-{journal.info.run}")

    assert tail.next(0) == []
    assert records(home, journal.info.run, "system") == []
    tail.close()
