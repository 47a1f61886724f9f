"""What comes in between: signal handlers that raise, log, sync and close in the middle of anything."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from runner.errors import JournalError
from runner.layout import Home
from runner.logging import lines
from runner.logging.heads import Head
from runner.logging.journal import Journal
from tests.logging.journal_stage import CRITICAL, body, offsets, open_journal, records, recovered, seqs

EVERY = 0.00037
pytestmark = pytest.mark.timeout(120, method="thread")  # the signal of the other method is used here


class Interrupted(Exception):
    """Raised by a signal handler, as Ctrl-C raises KeyboardInterrupt."""


@contextlib.contextmanager
def interruptions(handler: Callable[[], None], every: float = EVERY) -> Iterator[None]:
    """Call `handler` in the main thread again and again, wherever it happens to be."""

    def handle(number: int, frame: FrameType | None) -> None:
        handler()

    previous = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, every, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def assert_sound(home: Home, journal: Journal) -> None:
    """Offsets, seq and heads are those of an undisturbed run."""
    run, ends = journal.info.run, journal.heads()
    journal.close()
    assert seqs(home, run) == list(range(journal.seq))
    for stream, (last, head) in ends.items():
        assert offsets(home, run, stream) == list(range(last + 1))
        expected = Head(run, stream)
        expected.feed_lines(0, records(home, run, stream))
        assert head == expected.hexdigest()


def test_a_handler_that_logs_in_the_middle_of_a_call_gets_a_place_of_its_own(home: Home) -> None:
    journal = open_journal(home)
    found = [journal.append("system", body(), CRITICAL)]

    with interruptions(lambda: found.append(journal.append("system", body(300), CRITICAL))):
        found += [journal.append("system", body(200 + count % 500), CRITICAL) for count in range(20_000)]

    assert len(found) > 20_050
    assert len({lines.offset_of(line, lines.id_prefix(journal.info.run, "system")) for line in found}) == len(found)
    assert_sound(home, journal)


def test_a_handler_that_logs_and_syncs_never_waits_for_what_it_interrupted(home: Home) -> None:
    journal = open_journal(home)

    for stream in ("risk", "system"):
        journal.append(stream, body(), CRITICAL)

    def urgent() -> None:
        journal.append("risk", body(400), CRITICAL)
        journal.sync()

    with interruptions(urgent, every=0.003):
        for count in range(3000):
            journal.append("system", body(900), CRITICAL)
            if count % 100 == 0:
                journal.sync()

    assert offsets(home, journal.info.run, "risk")
    assert_sound(home, journal)


def test_an_interrupt_in_the_middle_of_anything_loses_and_doubles_nothing(home: Home) -> None:
    journal = open_journal(home)
    acknowledged = [journal.append("system", body(), CRITICAL)]  # opening a stream takes longer than `EVERY`

    armed = False

    def interrupt() -> None:
        nonlocal armed
        if armed:
            armed = False
            raise Interrupted

    count = 0
    with interruptions(interrupt):
        while count < 20_000:
            with contextlib.suppress(Interrupted):
                armed = True
                while count < 20_000:
                    count += 1
                    acknowledged.append(journal.append("system", body(700), CRITICAL))
                    if count % 1000 == 0:
                        journal.sync()
                armed = False

    run = journal.info.run
    assert_sound(home, journal)
    kept = set(records(home, run, "system"))
    assert [line for line in acknowledged if line not in kept] == []


def append_until_closed(journal: Journal, every: float) -> list[bytes]:
    """What was acknowledged before a handler closed the journal."""
    acknowledged: list[bytes] = []
    closed: list[bool] = []

    def close() -> None:
        if not closed:
            closed.append(True)
            with contextlib.suppress(JournalError):  # raised where a finalizer was interrupted, it would be lost
                journal.close()

    with contextlib.suppress(JournalError), interruptions(close, every):
        while True:
            acknowledged.append(journal.append("system", body(700), CRITICAL))
    return acknowledged


def test_a_handler_may_close_the_run_in_the_middle_of_a_call(home: Home) -> None:
    for delay in range(40):
        journal = open_journal(home)
        acknowledged = append_until_closed(journal, every=0.001 + delay * 0.00013)

        recovered(home, journal.info.run)

        kept = records(home, journal.info.run, "system")
        assert kept[: len(acknowledged)] == acknowledged
        assert len(kept) <= len(acknowledged) + 1
