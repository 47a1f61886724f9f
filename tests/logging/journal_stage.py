"""Journals for tests: opened, written, killed (a dead writer's files, without its process), and read back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from runner.clock import Clock, SystemClock
from runner.layout import Home
from runner.logging import lines
from runner.logging.journal import Admission, Journal, RunInfo, run_folder
from runner.logging.reader import StreamReader, segments
from runner.logging.recovery import Recovered, recover
from runner.logging.routes import STREAMS
from runner.settings import KIB, Settings
from runner.settings import Journal as Limits

CRITICAL = Admission(critical=True)
DROPPABLE = Admission(droppable=True)
PLAIN = Admission()
RESERVED = Admission(critical=True, reserved=True)
RING = 512 * KIB
NEVER = 1 << 40


def limits(**values: Any) -> Limits:
    return Limits(**{"front_bytes": RING, "segment_bytes": 64 * KIB, "quota": NEVER, **values})


def info(home: Home, clock: Clock | None = None) -> RunInfo:
    clock = clock or SystemClock()
    return RunInfo(
        format=1,
        run=lines.new_run(clock.time_ns()),
        bot="bot",
        bot_type="stock-trader",
        session_id="session",
        environment="local",
        epoch=1,
        pid=1,
        started=lines.timestamp(clock.now()),
    )


def open_journal(home: Home, clock: Clock | None = None, **values: Any) -> Journal:
    """A journal with small segments and an endless quota, unless `values` of its limits say otherwise."""
    clock = clock or SystemClock()
    return Journal(home, info(home, clock), limits(**values), clock)


def body(size: int = 120, fill: str = "x") -> bytes:
    """A record of about `size` bytes, as `Journal.append` takes it."""
    return b',"kind":"debug","data":{"text":"%s"}' % (fill * max(0, size - 40)).encode()


def dead_copy(journal: Journal, home: Home, place: Path) -> Home:
    """What a writer that died at this moment would leave, in a home of its own."""
    dead = Home(place).create()
    shutil.copytree(journal.folder, run_folder(dead, journal.info.run))
    return dead


def records(home: Home, run: str, stream: str) -> list[bytes]:
    """Every whole line that is in a stream's segments, from its first segment on."""
    known = segments(run_folder(home, run), stream)
    reader = StreamReader(run_folder(home, run), stream)
    reader.segment = known[0] if known else 0
    found: list[bytes] = []
    try:
        while chunk := reader.read():
            found += lines.split(chunk)
    finally:
        reader.close()
    return found


def offsets(home: Home, run: str, stream: str) -> list[int]:
    """Offsets of a stream's intact lines, in the order of the segments."""
    prefix = lines.id_prefix(run, stream)
    return [lines.offset_of(line, prefix) for line in records(home, run, stream) if lines.is_intact(line)]


def seqs(home: Home, run: str) -> list[int]:
    """Every `seq` of a run, ascending."""
    return sorted(lines.head(line)[0] for name in STREAMS for line in records(home, run, name))


def recovered(home: Home, run: str, clock: Clock | None = None) -> Recovered:
    return recover(home, run, clock or SystemClock())


def settings(home: Home, **journal: Any) -> Settings:
    """Settings of a logger that starts no shipper."""
    return Settings.load({}, overrides={"home": home.path, "shipping": {"shipper": "none"}, "journal": journal})
