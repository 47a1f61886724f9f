"""Sweeping the journal of a home where no shipper runs: as the shipper does, by what the checkpoints say.

A running shipper holds the home's lock and sweeps the journal all the time; then there is nothing to do here.
"""

from __future__ import annotations

import threading

from runner.clock import Clock
from runner.layout import Home
from runner.logging import checkpoint, documents, sweeping
from runner.logging.disk import FileLock
from runner.logging.firestore_logger import NAME as LIVE
from runner.logging.follower import Follower, Patience
from runner.logging.gcs_logger import ArchiveState
from runner.logging.housekeeping import House
from runner.logging.journal import run_folder, runs
from runner.logging.progress import LineState
from runner.logging.pubsub_logger import NAME as STREAM
from runner.logging.reader import Cursor, segments
from runner.logging.routes import STREAMS
from runner.logging.run import ARCHIVE
from runner.settings import Settings

COMPLIANCE = "compliance"


class _Shipped:
    """A follower that ships nothing: it only knows from its checkpoint how far the real one is."""

    def __init__(self, home: Home, name: str, streams: frozenset[str], *, pins: bool) -> None:
        self.name = name
        self.pins = pins
        self.patience = Patience(name, threading.Event(), lambda trouble: None)
        self._home = home
        self._streams = streams

    def step(self, *, drain: bool = False) -> bool:
        return False

    def wants(self, stream: str) -> bool:
        return stream in self._streams

    def shipped(self, run: str, stream: str) -> Cursor:
        if self.pins:
            state = checkpoint.load(self._home, run, self.name, ArchiveState).streams.get(stream)
            return state.cursor if state else Cursor()
        return checkpoint.load(self._home, run, self.name, LineState).streams.get(stream, Cursor())

    def close(self) -> None:
        """Nothing is open."""


def sweep_journal(settings: Settings, clock: Clock) -> tuple[int, int] | None:
    """Delete from the journal what is archived; returns how many runs and segments went.

    None where a shipper runs, which does it itself, and where there is no journal.
    """
    home = Home(settings.home)
    if not home.journal.is_dir():
        return None
    lock = FileLock(home.shipper_lock)
    if not lock.acquire():
        return None
    try:
        before = _counts(home)
        sweeping.empty_trash(home)
        House(home, _followers(home, settings), settings, clock).sweep()
        after = _counts(home)
    finally:
        lock.release()
    return before[0] - after[0], before[1] - after[1]


def _followers(home: Home, settings: Settings) -> list[Follower]:
    every, copied = frozenset(STREAMS), frozenset(name for name, route in STREAMS.items() if route.compliance)
    return [
        _Shipped(home, ARCHIVE, every, pins=True),
        _Shipped(home, COMPLIANCE, copied, pins=True),
        _Shipped(home, LIVE, frozenset(documents.STREAMS), pins=False),
        _Shipped(home, STREAM, frozenset(settings.shipping.published), pins=False),
    ]


def _counts(home: Home) -> tuple[int, int]:
    """Runs and segments."""
    present = [info.run for info in runs(home)]
    return len(present), sum(len(segments(run_folder(home, run), name)) for run in present for name in STREAMS)
