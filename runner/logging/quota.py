"""The quota: what happens to a record that finds the journal full, or its disk."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.errors import JournalError, JournalFull
from runner.layout import Home
from runner.settings import GIB, MIB

RESERVE = MIB
"""Bytes beyond the quota, and on a full disk, for what must not be refused: exits, risk events, seals."""
_PATIENCE = 0.05
_SECONDS_SHUT = 1.0
_LOOK = 0.01


@dataclass(frozen=True, slots=True)
class Admission:
    """How a kind is treated when the journal is full.

    `reserved` kinds are accepted into the reserve. `critical` and `droppable` kinds are refused at once; the caller
    counts the droppable ones. Others wait at most 50 ms for space.
    """

    critical: bool = False
    droppable: bool = False
    reserved: bool = False


@dataclass(slots=True)
class Tally:
    """What a run has accepted: records (the next `seq`) and bytes; and whether it has ended.

    `gate` holds one key, 0. Whoever changes the tally takes it out (`del gate[0]`) and puts it back: a lock that is
    taken and given back in single steps of the interpreter, so that no signal handler comes between.
    """

    seq: int = 0
    stored: int = 0
    ended: bool = False
    gate: dict[int, None] = field(default_factory=lambda: {0: None})

    def await_gate(self) -> None:
        """Return when the gate is seen open. Nobody keeps it shut for longer than a few steps, but under a debugger.

        Raises `JournalError` where it stays shut: then it was shut by this thread, below a signal handler or a tracer.
        """
        deadline = time.monotonic() + _SECONDS_SHUT
        while 0 not in self.gate:
            if time.monotonic() >= deadline:
                raise JournalError("another record is just being accepted", "log less in signal handlers and tracers")
            time.sleep(0)


class Quota:
    """Of one run. `budget` is how many bytes the run may have accepted before the journal counts as full.

    `waiting` tells how many bytes of the run are not in segments yet.
    """

    def __init__(self, home: Home, limit: int, tally: Tally, waiting: Callable[[], int]) -> None:
        self.budget = 0
        self._home = home
        self._limit = limit
        self._tally, self._waiting = tally, waiting
        self._disk_full = False
        self.measure()

    def measure(self) -> None:
        """Compare what the whole journal takes with what it may."""
        if self._disk_full:
            return
        limit = self._limit or default_quota(self._home)
        taken = self._waiting() + used(self._home)
        self.budget = self._tally.stored + limit - taken

    def close_for_disk(self) -> None:
        """The disk is full: accept nothing more but what the reserve is for."""
        if not self._disk_full:
            self._disk_full = True
            self.budget = min(self.budget, self._tally.stored)

    def open_for_disk(self) -> None:
        """The disk has space again."""
        if self._disk_full:
            self._disk_full = False
            self.measure()

    def admit(self, admission: Admission) -> None:
        """Return when a record may be accepted although the budget was reached. Raises `JournalFull`."""
        if admission.reserved and self._tally.stored <= self.budget + RESERVE:
            return
        self.measure()
        deadline = time.monotonic() + (0.0 if admission.critical or admission.droppable else _PATIENCE)
        while self._tally.stored > self.budget:
            if time.monotonic() >= deadline:
                raise JournalFull(
                    f"the journal in {self._home.journal} is full",
                    "see `tron doctor`: is the shipper running, is the archive reachable?",
                )
            time.sleep(_LOOK)
            self.measure()


def default_quota(home: Home) -> int:
    """The smaller of 1 GiB and a tenth of the free disk."""
    free = os.statvfs(home.path)
    return min(GIB, free.f_bavail * free.f_frsize // 10)


def used(home: Home) -> int:
    """Bytes in the segments of all runs. Segments may be deleted meanwhile."""
    return sum(map(_size, glob.iglob(f"{glob.escape(str(home.journal))}/*/*/*.ndjson")))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
