"""Threads that write one run: no lock is held, so every order of their steps must come out right."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from runner.errors import JournalError
from runner.layout import Home
from runner.logging.heads import Head, RunningHead
from runner.logging.journal import Journal
from runner.logging.stream_writer import StreamWriter
from tests.logging.journal_stage import CRITICAL, body, offsets, open_journal, records, seqs

THREADS = 4
STREAMS = ("trades", "system")
INSIDE = 12
"""The number of a line of `store` at which a record is just being accepted."""


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns after a few steps instead of after 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def write(journal: Journal, count: int, found: list[bytes], failed: list[BaseException]) -> None:
    try:
        for number in range(count):
            found.append(journal.append(STREAMS[number % 2], body(80 + number % 700), CRITICAL))
    except BaseException as error:  # told by the test that waits for this thread
        failed.append(error)


def written_by_threads(journal: Journal, count: int, meanwhile: Callable[[], object]) -> list[bytes]:
    """What `THREADS` threads wrote while `meanwhile` was called again and again."""
    found: list[bytes] = []
    failed: list[BaseException] = []
    threads = [threading.Thread(target=write, args=(journal, count, found, failed)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        meanwhile()
    for thread in threads:
        thread.join()
    assert failed == []
    return found


def assert_sound(home: Home, journal: Journal, acknowledged: list[bytes]) -> None:
    """Every acknowledged line is there once, and offsets and `seq` are those of one writer."""
    run = journal.info.run
    journal.close()
    kept = [line for stream in STREAMS for line in records(home, run, stream)]
    assert sorted(kept) == sorted(acknowledged)
    assert seqs(home, run) == list(range(len(acknowledged)))
    for stream in STREAMS:
        assert offsets(home, run, stream) == list(range(len(records(home, run, stream))))


def expected_head(home: Home, run: str, stream: str, last: int) -> str:
    head = Head(run, stream)
    head.feed_lines(0, records(home, run, stream)[: last + 1])
    return head.hexdigest()


@pytest.mark.usefixtures("hasty")
def test_threads_take_turns_without_a_lock_and_seals_hold_beside_them(home: Home) -> None:
    journal = open_journal(home)
    seen: list[dict[str, tuple[int, str]]] = []

    acknowledged = written_by_threads(journal, 4000, lambda: seen.append(journal.heads()))

    assert len(acknowledged) == THREADS * 4000
    assert_sound(home, journal, acknowledged)
    assert len(seen) > 1
    for ends in (seen[0], *seen[1:-1][:: len(seen) // 20 + 1], seen[-1]):
        for stream, (last, head) in ends.items():
            assert head == expected_head(home, journal.info.run, stream, last)


def tracing(on_line: Callable[[], object]) -> Callable[[FrameType, str, Any], Any]:
    """A tracer that is called between all steps of `store`, as a debugger's is."""

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code is not StreamWriter.store.__code__:
            return None
        if event == "line":
            on_line()
        return trace

    return trace


def test_a_tracer_that_lets_other_threads_in_between_all_steps_breaks_nothing(home: Home) -> None:
    journal = open_journal(home)

    def seal() -> None:
        time.sleep(0.02)
        journal.heads()

    threading.settrace(tracing(lambda: time.sleep(0)))
    try:
        acknowledged = written_by_threads(journal, 60, seal)
    finally:
        threading.settrace(None)

    assert_sound(home, journal, acknowledged)


def test_a_tracer_that_logs_while_a_record_is_accepted_is_refused(home: Home) -> None:
    journal = open_journal(home)
    acknowledged = [journal.append("trades", body(), CRITICAL)]
    steps: list[int] = []
    refused: list[JournalError] = []

    def log() -> None:
        steps.append(1)
        if len(steps) == INSIDE:
            with pytest.raises(JournalError, match="just being accepted") as raised:
                journal.append("trades", body(), CRITICAL)
            refused.append(raised.value)

    sys.settrace(tracing(log))
    try:
        acknowledged.append(journal.append("trades", body(), CRITICAL))
    finally:
        sys.settrace(None)

    assert len(refused) == 1
    assert_sound(home, journal, acknowledged)


def test_a_tracer_that_raises_while_a_record_is_accepted_leaves_the_journal_usable(home: Home) -> None:
    journal = open_journal(home)
    acknowledged = [journal.append("trades", body(), CRITICAL)]
    left: list[int] = []

    def leave() -> None:
        left.append(1)
        if len(left) == INSIDE:
            raise KeyboardInterrupt

    sys.settrace(tracing(leave))
    try:
        with pytest.raises(KeyboardInterrupt):
            journal.append("trades", body(), CRITICAL)
    finally:
        sys.settrace(None)

    acknowledged.append(journal.append("trades", body(), CRITICAL))
    assert_sound(home, journal, acknowledged)


def test_a_run_ends_once_among_threads_that_write_it(home: Home) -> None:
    journal = open_journal(home)
    found: list[bytes] = []
    failed: list[BaseException] = []
    threads = [threading.Thread(target=write, args=(journal, 100_000, found, failed)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    while len(found) < 2000:
        time.sleep(0.001)

    journal.close()
    for thread in threads:
        thread.join()

    assert [str(error) for error in failed] == ["the logger is closed"] * THREADS
    kept = [line for stream in STREAMS for line in records(home, journal.info.run, stream)]
    assert sorted(kept) == sorted(found)


def test_a_thread_that_comes_late_does_not_take_a_head_back() -> None:
    lines = [b"%d\n" % number for number in range(300)]
    content = b"".join(lines)
    head = RunningHead("run", "trades")

    head.advance(len(content) - 100, lambda start, end: [content[start:end]])
    head.advance(50, lambda start, end: [content[start:end]])

    assert head.position == len(content) - 100
    expected = Head("run", "trades")
    expected.feed_lines(0, lines)
    assert head.digest(len(content), lambda start, end: [content[start:end]]) == expected.hexdigest()
