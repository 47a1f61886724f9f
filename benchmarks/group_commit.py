"""How long an acknowledged record waits for the disk: `python -m benchmarks.group_commit [SECONDS]`.

A bot's process writes; a second process runs the shipper's group commit, and looks once a cycle how old the oldest
record is that no sync has covered. That age is what a loss of power at this moment would take. Printed in milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from runner.clock import SystemClock
from runner.layout import Home
from runner.logging.commit import CYCLE, GroupCommit, StreamCommit
from runner.logging.journal import Admission, Journal, RunInfo
from runner.logging.lines import new_run, timestamp
from runner.settings import Journal as Limits

BODY = b',"kind":"trade_entry","data":{"text":"%s"}' % (b"x" * 700)
CRITICAL = Admission(critical=True)
Write = Callable[[Journal], None]


def idle(journal: Journal) -> None:
    """A record ten times a second."""
    append(journal)
    time.sleep(0.1)


def paced(journal: Journal) -> None:
    """A record every millisecond."""
    append(journal)
    time.sleep(0.001)


def saturated(journal: Journal) -> None:
    """As many as one thread can, for a tenth of the time: the disk would be full otherwise."""
    for _ in range(2000):
        append(journal)
    time.sleep(0.2)


def hogged(journal: Journal) -> None:
    """A record every millisecond, and an interpreter that is never free in between."""
    append(journal)
    end = time.perf_counter() + 0.001
    while time.perf_counter() < end:
        pass


def append(journal: Journal) -> None:
    journal.append("trades", BODY, CRITICAL)


CASES: dict[str, Write] = {"idle": idle, "paced": paced, "saturated": saturated, "hogged": hogged, "stopped": paced}


def write(home: Home, case: str) -> None:
    """A bot, until it is killed."""
    clock = SystemClock()
    info = RunInfo(
        format=1,
        run=new_run(clock.time_ns()),
        bot="bot",
        bot_type="bot",
        session_id="",
        environment="local",
        epoch=1,
        pid=os.getpid(),
        started=timestamp(clock.now()),
    )
    journal = Journal(home, info, Limits(quota=1 << 40), clock)
    while True:
        CASES[case](journal)


class Ages:
    """Of the newest bytes that were written but not synced: when they were first seen. One age a look, in seconds."""

    def __init__(self) -> None:
        self.found: list[float] = []
        self._waiting: list[tuple[float, int]] = []
        self._last = 0

    def look(self, stream: StreamCommit) -> None:
        now, written = time.perf_counter(), stream.written
        if written > self._last:
            self._waiting.append((now, written))
            self._last = written
        self._waiting = [(seen, position) for seen, position in self._waiting if position > stream.synced]
        self.found.append(now - self._waiting[0][0] if self._waiting else 0.0)

    def quantile(self, share: float) -> float:
        return sorted(self.found)[min(len(self.found) - 1, int(share * len(self.found)))] * 1000


def watch(home: Home, seconds: float, stop_writer: Callable[[], None]) -> Ages:
    """Look at a group commit that runs in another thread, more often than its cycle."""
    commit, ages = GroupCommit(home), Ages()
    commit.start()
    begin = time.perf_counter()
    stopped = threading.Timer(seconds / 2, stop_writer)
    stopped.start()
    while time.perf_counter() - begin < seconds:
        for stream in list(commit.streams.values()):
            ages.look(stream)
        time.sleep(CYCLE / 8)
    stopped.join()
    commit.stop()
    return ages


def measure(case: str, seconds: float) -> Ages:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        home = Home(Path(folder)).create()
        child = os.fork()
        if child == 0:
            write(home, case)
        try:
            return watch(home, seconds, lambda: os.kill(child, signal.SIGSTOP) if case == "stopped" else None)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def main(seconds: float) -> None:
    sys.stdout.write(f"{'case':<10} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}\n")
    for case in CASES:
        ages = measure(case, seconds)
        numbers = " ".join(f"{ages.quantile(share):8.1f}" for share in (0.5, 0.99, 1))
        sys.stdout.write(f"{case:<10} {numbers}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0)
