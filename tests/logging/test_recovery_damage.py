"""A loss of power at any byte: a prefix of the stream survives, and nothing is left out without a report."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import disk, lines, recovery
from runner.logging.front import HEADER
from runner.logging.journal import RunInfo, read_info, run_folder, segment_path
from runner.logging.recovery import recover
from tests.logging.journal_stage import CRITICAL, RING, body, dead_copy, info, offsets, open_journal, records

CLOCK = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
COUNT = 6
NEAR = 1 << 16


class Crash(BaseException):
    """The end of a process, between two of its steps."""


@pytest.fixture
def dead(tmp_path: Path) -> tuple[Home, RunInfo, list[bytes]]:
    """A dead run of six records. The last four are in the front only, and the front has wrapped around."""
    home = Home(tmp_path / "living").create()
    journal = open_journal(home, segment_bytes=NEAR)
    for _ in range(3):
        journal.append("trades", body(200_000), CRITICAL)
        journal.sync()
    written = [journal.append("system", body(90 + 20 * number), CRITICAL) for number in range(2)]
    journal.sync()
    journal._stop.set()
    journal._copier.join()
    written += [journal.append("system", body(90 + 20 * number), CRITICAL) for number in range(2, COUNT)]
    copy = dead_copy(journal, home, tmp_path / "dead")
    shrink(run_folder(copy, journal.info.run) / "system.front")
    journal.close()
    return copy, journal.info, written


def shrink(path: Path) -> None:
    """Cut a front to what a small ring would have been, so that thousands of copies are quick."""
    path.write_bytes(path.read_bytes()[: HEADER + 8192])


def copies(dead: Home, run: str, place: Path) -> Iterator[Home]:
    """Fresh copies of a dead run, one after the other, in the same place."""
    while True:
        shutil.rmtree(place, ignore_errors=True)
        home = Home(place).create()
        shutil.copytree(run_folder(dead, run), run_folder(home, run))
        yield home


def reports(home: Home) -> list[dict[str, Any]]:
    return [msgspec.json.decode(path.read_bytes()) for path in sorted(home.rejected.glob("*.json"))]


def set_aside(home: Home) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(home.rejected.glob("*.ndjson")))


def assert_prefix(home: Home, run: str, written: list[bytes]) -> int:
    """A prefix survived, whole and sealed; returns its length."""
    recover(home, run, CLOCK)
    kept = records(home, run, "system")
    assert kept == written[: len(kept)]
    assert_sealed(home, run, len(kept))
    return len(kept)


def assert_sealed(home: Home, run: str, count: int) -> None:
    closed = read_info(run_folder(home, run))
    assert closed is not None
    assert closed.closed == "recovery"
    (seal,) = records(home, run, "seals")
    assert lines.decode(seal)["data"]["streams"]["system"]["last"] == count - 1


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :]


def test_a_segment_cut_at_every_byte_of_its_last_two_records_keeps_a_prefix(
    dead: tuple[Home, RunInfo, list[bytes]], tmp_path: Path
) -> None:
    source, run_info, written = dead
    (run_folder(source, run_info.run) / "system.front").unlink()
    whole = b"".join(written)
    fresh = copies(source, run_info.run, tmp_path / "copy")
    for place in range(len(whole) - len(written[-1]) - len(written[-2]), len(whole)):
        home = next(fresh)
        segment_path(run_folder(home, run_info.run), "system", 0).write_bytes(whole[:place])

        kept = assert_prefix(home, run_info.run, written)

        assert kept >= COUNT - 2
        assert b"".join(written[:kept]) + set_aside(home) == whole[:place]
        assert len(reports(home)) == bool(set_aside(home))


def test_a_segment_changed_at_every_byte_of_its_last_two_records_keeps_all_others(
    dead: tuple[Home, RunInfo, list[bytes]], tmp_path: Path
) -> None:
    source, run_info, written = dead
    (run_folder(source, run_info.run) / "system.front").unlink()
    whole = b"".join(written)
    tail = len(whole) - len(written[-1]) - len(written[-2])
    fresh = copies(source, run_info.run, tmp_path / "copy")
    for place in range(tail, len(whole)):
        home = next(fresh)
        segment_path(run_folder(home, run_info.run), "system", 0).write_bytes(flip(whole, place))

        recover(home, run_info.run, CLOCK)

        kept = [line for line in records(home, run_info.run, "system") if lines.is_intact(line)]
        in_last = place >= len(whole) - len(written[-1])
        swallowed = place == len(whole) - len(written[-1]) - 1
        if in_last:
            assert kept == written[:-1]
        elif not swallowed:
            assert kept == [*written[:-2], written[-1]]
        assert kept[: COUNT - 2] == written[: COUNT - 2]
        assert b"".join(records(home, run_info.run, "system")) + set_aside(home) == flip(whole, place)


@pytest.mark.parametrize("damage", [lambda content, place: content[:place], flip], ids=["cut", "flipped"])
def test_a_front_damaged_at_every_byte_of_its_last_two_records_keeps_a_prefix(
    dead: tuple[Home, RunInfo, list[bytes]], tmp_path: Path, damage: Callable[[bytes, int], bytes]
) -> None:
    source, run_info, written = dead
    content = (run_folder(source, run_info.run) / "system.front").read_bytes()
    start, end = content.index(written[-2]), content.index(written[-1]) + len(written[-1])
    fresh = copies(source, run_info.run, tmp_path / "copy")
    for place in range(start, end):
        home = next(fresh)
        (run_folder(home, run_info.run) / "system.front").write_bytes(damage(content, place))

        kept = assert_prefix(home, run_info.run, written)

        survivors = written[kept + 1 :] if damage is flip and kept == COUNT - 2 else []
        assert kept >= COUNT - 2
        assert set_aside(home) == b"".join(survivors)
        assert len(reports(home)) == len(survivors)


@pytest.mark.parametrize("number", range(8))
def test_a_damaged_header_of_a_front_changes_nothing(
    dead: tuple[Home, RunInfo, list[bytes]], tmp_path: Path, number: int
) -> None:
    home, run_info, written = dead
    path = run_folder(home, run_info.run) / "system.front"
    path.write_bytes(flip(path.read_bytes(), number * 4))

    assert assert_prefix(home, run_info.run, written) == COUNT


@pytest.mark.parametrize("size", [0, 1, HEADER, HEADER + 1])
def test_a_front_of_any_size_is_taken_for_what_it_holds(dead: tuple[Home, RunInfo, list[bytes]], size: int) -> None:
    home, run_info, written = dead
    path = run_folder(home, run_info.run) / "system.front"
    path.write_bytes(path.read_bytes()[:size])

    assert assert_prefix(home, run_info.run, written) == 2


def test_a_torn_copy_that_the_front_still_holds_is_repaired_without_a_report(
    dead: tuple[Home, RunInfo, list[bytes]], tmp_path: Path
) -> None:
    source, run_info, written = dead
    whole = b"".join(written)
    fresh = copies(source, run_info.run, tmp_path / "copy")
    for end in range(len(written[0]) + len(written[1]), len(whole) + 1, 7):
        home = next(fresh)
        segment_path(run_folder(home, run_info.run), "system", 0).write_bytes(whole[:end])

        assert assert_prefix(home, run_info.run, written) == COUNT
        assert reports(home) == []


def test_the_end_of_an_older_segment_is_repaired_from_the_front(home: Home, tmp_path: Path) -> None:
    journal = open_journal(home, segment_bytes=NEAR)
    written = []
    for _ in range(2):
        written += [journal.append("system", body(1000), CRITICAL) for _ in range(100)]
        journal.sync()
    dead = dead_copy(journal, home, tmp_path / "dead")
    journal.close()
    older = segment_path(run_folder(dead, journal.info.run), "system", 0)
    with older.open("r+b") as file:
        file.truncate(older.stat().st_size - 2500)

    assert assert_prefix(dead, journal.info.run, written) == 200
    assert reports(dead) == []


@settings(max_examples=60)
@given(st.data())
def test_pages_of_an_older_lap_or_of_zeros_never_bring_back_what_does_not_continue(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        living = Home(Path(folder) / "living").create()
        journal = open_journal(living, segment_bytes=NEAR)
        written = [journal.append("system", body(3000), CRITICAL) for _ in range(150)]
        older = (journal.folder / "system.front").read_bytes()
        written += [journal.append("system", body(3000), CRITICAL) for _ in range(60)]
        home = dead_copy(journal, living, Path(folder) / "dead")
        journal.close()
        path = run_folder(home, journal.info.run) / "system.front"
        content = bytearray(path.read_bytes())
        for page in data.draw(st.sets(st.integers(0, RING // 4096), max_size=60)):
            stale = data.draw(st.booleans())
            place = slice(page * 4096, page * 4096 + 4096)
            content[place] = older[place] if stale else bytes(len(content[place]))
        path.write_bytes(content)
        cut = data.draw(st.integers(0, 70_000))
        segment = max((run_folder(home, journal.info.run) / "system").iterdir())
        with segment.open("r+b") as file:
            file.truncate(max(0, segment.stat().st_size - cut))

        assert_prefix(home, journal.info.run, written)


STEPS = [
    (disk, "replace"),
    (disk, "write_at"),
    (disk, "sync_data"),
    (recovery, "sync_folder"),
    (Path, "unlink"),
    (Path, "touch"),
]


def crash_after(monkeypatch: pytest.MonkeyPatch, limit: int, *, before: bool) -> None:
    """Let the process end just before, or just after, step number `limit` of what recovery does to the disk."""
    count = itertools.count()

    def wrapped(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            reached = next(count) == limit
            if reached and before:
                if step.__name__ == "write_at" and len(arguments[1]) > 1:
                    step(arguments[0], arguments[1][: len(arguments[1]) // 2], arguments[2])
                raise Crash
            answer = step(*arguments, **options)
            if reached:
                raise Crash
            return answer

        return run

    for owner, name in STEPS:
        monkeypatch.setattr(owner, name, wrapped(getattr(owner, name)))


def tree(home: Home) -> dict[str, bytes]:
    found = [path for path in home.path.rglob("*") if path.is_file() and not path.name.endswith(".tmp")]
    return {str(path.relative_to(home.path)): path.read_bytes() for path in found}


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_recovery_that_is_killed_between_any_two_steps_ends_with_the_same_bytes(
    dead: tuple[Home, RunInfo, list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    source, run_info, written = dead
    path = segment_path(run_folder(source, run_info.run), "system", 0)
    path.write_bytes(path.read_bytes() + flip(written[2], 30) + b"never a line")
    fresh = copies(source, run_info.run, tmp_path / "copy")
    undisturbed = next(fresh)
    assert recover(undisturbed, run_info.run, CLOCK).quarantined == 1
    expected = tree(undisturbed)
    for limit in itertools.count():
        home = next(fresh)
        with monkeypatch.context() as patched:
            crash_after(patched, limit, before=before)
            try:
                recover(home, run_info.run, CLOCK)
            except Crash:
                crashed = True
            else:
                crashed = False
        recover(home, run_info.run, CLOCK)
        assert tree(home) == expected, limit
        if not crashed:
            break
    assert limit > 15


def test_recovering_twice_is_recovering_once(dead: tuple[Home, RunInfo, list[bytes]]) -> None:
    home, run_info, _ = dead
    recover(home, run_info.run, CLOCK)
    first = tree(home)
    recover(home, run_info.run, CLOCK)

    assert tree(home) == first
    assert not list(run_folder(home, run_info.run).glob("*.front"))


def test_a_folder_without_a_run_is_nothing_to_recover(home: Home) -> None:
    run = info(home).run
    run_folder(home, run).mkdir()

    assert recover(home, run, CLOCK).records == 0


def test_lines_of_the_front_that_nothing_leads_to_are_set_aside_with_the_reason(
    dead: tuple[Home, RunInfo, list[bytes]],
) -> None:
    home, run_info, written = dead
    path = run_folder(home, run_info.run) / "system.front"
    path.write_bytes(path.read_bytes().replace(written[3], bytes(len(written[3]))))

    assert assert_prefix(home, run_info.run, written) == 3
    (report,) = reports(home)
    assert report["reason"] == "records 3 to 3 before it are lost"
    assert set_aside(home) == written[4] + written[5]
    assert offsets(home, run_info.run, "system") == [0, 1, 2]
