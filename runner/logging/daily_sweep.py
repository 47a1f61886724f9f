"""The daily sweep of a home without a cloud: a chore of the shipper, once a day, a piece at a time.

<home>/state/.sweep.json says when a sweep was last finished; a sweep that was not goes on an hour later. An archive on
Google Cloud Storage is swept by the function `daily_cleanup` instead.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from runner.clock import Clock
from runner.files import replace
from runner.layout import Home
from runner.logging.lifecycle_manager import LogLifecycleManager
from runner.settings import Settings
from runner.stores.base import Archive, LiveStore
from runner.stores.folders import failures_as_unavailable

_DAY = timedelta(days=1)
_SECONDS = 20.0
"""How long a sweep may keep the shipper's other chores waiting."""


class _State(msgspec.Struct, frozen=True):
    finished: datetime


class DailySweep:
    """Cleans up and compacts, with the shipper's own stores."""

    every = 3600.0

    def __init__(self, settings: Settings, archive: Archive, live: LiveStore, clock: Clock) -> None:
        self._path = Home(settings.home).state / ".sweep.json"
        self._manager = LogLifecycleManager(settings, archive=archive, live=live, clock=clock)
        self._clock = clock
        self._next = clock.monotonic()

    def run(self) -> None:
        """Sweep if a day has passed since the last one was finished. A step that failed waits for the next day, too."""
        if self._clock.monotonic() < self._next or self._is_done():
            return
        self._next = self._clock.monotonic() + self.every
        cleaned = self._manager.run_daily_cleanup(deadline_seconds=_SECONDS)
        compacted = self._manager.compact_archive(deadline_seconds=_SECONDS)
        if cleaned.done and compacted.done:
            with failures_as_unavailable(self._path):
                replace(self._path, msgspec.json.encode(_State(self._clock.now())))

    def _is_done(self) -> bool:
        try:
            finished = msgspec.json.decode(self._path.read_bytes(), type=_State).finished
        except (FileNotFoundError, msgspec.MsgspecError):
            return False
        return finished <= self._clock.now() < finished + _DAY
