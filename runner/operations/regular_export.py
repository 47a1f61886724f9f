"""The shipper's chore that loads new archive objects into the warehouse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from runner.clock import Clock
from runner.operations.days import Days
from runner.operations.exports import export
from runner.operations.set_aside import SetAside
from runner.stores.base import Archive, Warehouse

_RECENT = timedelta(days=2)
_WHOLE_EVERY = 3600.0
"""Seconds between two looks at the whole archive: a year of it takes long to list, and hardly ever brings news."""


class RegularExport:
    """Exports every `every` seconds: what is of these days, and at first and then once an hour whatever there is.

    `tell` hears of each object that is set aside.
    """

    def __init__(
        self, archive: Archive, warehouse: Warehouse, every: float, clock: Clock, tell: Callable[[SetAside], None]
    ) -> None:
        self.every = every
        self._archive = archive
        self._warehouse = warehouse
        self._clock = clock
        self._tell = tell
        self._whole_at: float | None = None

    def run(self) -> None:
        """Export once. Raises `StoreUnavailable`."""
        now = self._clock.monotonic()
        is_whole = self._whole_at is None or now - self._whole_at >= _WHOLE_EVERY
        today = self._clock.now().date()
        days = None if is_whole else Days(today - _RECENT, today + timedelta(days=1))
        export(self._archive, self._warehouse, days=days, on_set_aside=self._tell, clock=self._clock)
        if is_whole:
            self._whole_at = now
