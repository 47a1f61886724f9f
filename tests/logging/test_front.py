"""The front: a ring whose every intact line is found, wherever it begins."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import JournalFull
from runner.logging import lines
from runner.logging.front import COPIED, HEADER, SEGMENT, WRITTEN, Front, FrontView, intact_lines
from tests.logging.journal_stage import RING

RUN = "01a1fc6b-9503-72ae-912d-88bb9a83e8cc"


def line(offset: int, size: int = 10) -> bytes:
    return lines.seal(lines.id_prefix(RUN, "system") + b'%012d","seq":0,"text":"%s"' % (offset, b"x" * size))


def test_a_front_is_allocated_and_private(tmp_path: Path) -> None:
    front = Front(tmp_path / "a.front", RING)
    front.close()
    status = (tmp_path / "a.front").stat()

    assert status.st_size == HEADER + RING
    assert status.st_blocks * 512 >= HEADER + RING
    assert status.st_mode & 0o777 == 0o600


def test_a_front_that_finds_no_space_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, size: int) -> None:
        raise JournalFull("the journal's disk is full")

    monkeypatch.setattr("runner.logging.front.allocate", full)
    with pytest.raises(JournalFull):
        Front(tmp_path / "a.front", RING)
    assert list(tmp_path.iterdir()) == []


def test_a_view_sees_the_marks_of_the_writer(tmp_path: Path) -> None:
    front = Front(tmp_path / "a.front", RING)
    view = FrontView(tmp_path / "a.front")
    front.header[WRITTEN], front.header[COPIED], front.header[SEGMENT] = 30, 20, 10

    assert (view.written, view.copied, view.segment) == (30, 20, 10)
    front.sync()
    view.close()
    front.close()


def test_a_file_that_is_no_front_yet_cannot_be_viewed(tmp_path: Path) -> None:
    (tmp_path / "a.front").touch()
    with pytest.raises((OSError, ValueError)):
        FrontView(tmp_path / "a.front")


@given(st.integers(0, 8191), st.lists(st.integers(0, 900), min_size=1, max_size=6))
def test_every_line_is_found_wherever_the_ring_was_when_it_was_written(start: int, sizes: list[int]) -> None:
    found = [line(offset, size) for offset, size in enumerate(sizes)]
    content = b"".join(found)
    ring = bytearray(b"y" * 8192)
    for place, byte in enumerate(content, start):
        ring[place % len(ring)] = byte
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(HEADER) + ring)
        file.flush()
        assert intact_lines(Path(file.name), RUN, "system") == dict(enumerate(found))


def test_lines_of_other_streams_and_runs_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.front"
    path.write_bytes(bytes(HEADER) + line(0).replace(b"system", b"trades") + line(1) + bytes(900))

    assert list(intact_lines(path, RUN, "system")) == [1]
    assert list(intact_lines(path, RUN.replace("0", "1"), "system")) == []
