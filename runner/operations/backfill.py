"""The export of a long range, day by day, oldest first. Stopped at any moment, it is resumed by doing it again.

What is loaded is known to the warehouse, so there is no state to keep: days that are complete cost one listing each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from runner.clock import Clock
from runner.operations.days import Days
from runner.operations.exports import Export, ExportReport
from runner.operations.set_aside import SetAside
from runner.stores.base import Archive, Warehouse


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """The day that was just read, how many days of the range are, and the records loaded so far."""

    day: date
    done: int
    total: int
    records: int


def backfill(
    archive: Archive,
    warehouse: Warehouse,
    days: Days,
    *,
    retry: bool = False,
    stop: Callable[[], bool] = lambda: False,
    on_day: Callable[[BackfillProgress], None] = lambda progress: None,
    on_set_aside: Callable[[SetAside], None] = lambda aside: None,
    clock: Clock | None = None,
) -> ExportReport:
    """Load every archived object of `days` that the warehouse does not hold. Arguments as for `exports.export`.

    Days that hold little are loaded together, so a day that was told as read may still be loaded with a later one.
    """
    run = Export(archive, warehouse, retry=retry, stop=stop, on_set_aside=on_set_aside, clock=clock)
    for number, day in enumerate(days, start=1):
        if not run.add(Days(day, day)):
            break
        on_day(BackfillProgress(day, number, len(days), run.records))
    return run.finish()
