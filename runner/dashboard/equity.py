"""Equity over market time, one series per run.

A series holds at most a few thousand points: when it grows beyond, each bucket of neighbours keeps its lowest and its
highest, so peaks and drawdowns survive. Floats are for the pixels of the chart; first and last value stay Decimal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

MAX_POINTS = 2000
MAX_RUNS_PER_BOT = 20

Point = tuple[float, float]
"""Market time in seconds since 1970 UTC, and equity."""


@dataclass(frozen=True, slots=True)
class EquityMark:
    """What a bot was worth: `at` is market time, `ts` the wall clock; both aware."""

    bot: str
    run: str
    at: datetime
    ts: datetime
    value: Decimal


@dataclass(slots=True)
class Series:
    """The equity of one run. `active` is the wall clock of its newest mark, in seconds."""

    bot: str
    run: str
    first: Decimal
    last: Decimal
    active: float = 0.0
    points: list[Point] = field(default_factory=list)

    @property
    def began(self) -> float:
        """When the run was opened, in seconds since 1970: its id is a UUIDv7, whose first 48 bits are milliseconds."""
        return int(self.run.replace("-", "")[:12], 16) / 1000

    def add(self, mark: EquityMark) -> bool:
        """Append a mark; an older one is no news, one of the same moment replaces. Returns whether anything changed."""
        time, value = mark.at.timestamp(), float(mark.value)
        if self.points and time < self.points[-1][0]:
            return False
        if self.points and time == self.points[-1][0]:
            self.points.pop()
        self.points.append((time, value))
        self.last = mark.value
        self.active = max(self.active, mark.ts.timestamp())
        if len(self.points) > 2 * MAX_POINTS:
            self.points = decimate(self.points, MAX_POINTS)
        return True

    def describe(self, points: Sequence[Point]) -> dict[str, Any]:
        """The series as the page knows it, with the given points."""
        return {
            "bot": self.bot,
            "run": self.run,
            "began": self.began,
            "first": str(self.first),
            "last": str(self.last),
            **change(self.first, self.last),
            "points": points,
        }


class EquityHistory:
    """The series of all runs that are still worth showing."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}

    def add(self, mark: EquityMark) -> bool:
        """Append a mark to the series of its run. Returns whether it was news."""
        series = self._series.get(mark.run)
        if series is None:
            series = self._series[mark.run] = Series(mark.bot, mark.run, first=mark.value, last=mark.value)
            self._forget_oldest(mark.bot)
        return series.add(mark)

    def get(self, run: str) -> Series | None:
        return self._series.get(run)

    def current(self) -> list[Series]:
        """The newest run of each bot, by bot, without those that had ended when the newest run of all began."""
        newest: dict[str, Series] = {}
        for series in sorted(self._series.values(), key=lambda one: one.run):
            newest[series.bot] = series
        began = max((series.began for series in newest.values()), default=0.0)
        return [newest[bot] for bot in sorted(newest) if newest[bot].active >= began]

    def describe(self) -> dict[str, Any]:
        """All series: the current ones with their points, older ones without; and what the current ones add up to."""
        current = {series.run for series in self.current()}
        return {
            **self.totals(),
            "series": [
                one.describe(decimate(one.points, MAX_POINTS) if one.run in current else ())
                for one in self._series.values()
            ],
        }

    def news(self, marks: Iterable[EquityMark]) -> dict[str, Any]:
        """The series of `marks`, with only those points; and what the current ones add up to."""
        points: defaultdict[str, list[Point]] = defaultdict(list)
        for mark in marks:
            points[mark.run].append((mark.at.timestamp(), float(mark.value)))
        known = [series for run in points if (series := self._series.get(run)) is not None]
        return {**self.totals(), "series": [series.describe(points[series.run]) for series in known]}

    def totals(self) -> dict[str, Any]:
        """`current` run ids, and the `total` equity of them with its change since they began."""
        current = self.current()
        first = sum((series.first for series in current), Decimal(0))
        last = sum((series.last for series in current), Decimal(0))
        return {"current": [series.run for series in current], "total": {"last": str(last), **change(first, last)}}

    def _forget_oldest(self, bot: str) -> None:
        runs = sorted(series.run for series in self._series.values() if series.bot == bot)
        for run in runs[:-MAX_RUNS_PER_BOT]:
            del self._series[run]


def change(first: Decimal, last: Decimal) -> dict[str, str | None]:
    """Difference and percentage (None when there was nothing to begin with), as strings."""
    percent = f"{(last - first) / first * 100:.2f}" if first > 0 else None
    return {"change": str(last - first), "change_pct": percent}


def decimate(points: Sequence[Point], limit: int) -> list[Point]:
    """At most `limit` points (4 or more) in order of time: first, last, and the extremes of equal stretches between."""
    if len(points) <= limit:
        return list(points)
    buckets = (limit - 2) // 2
    inner = points[1:-1]
    kept = [points[0]]
    for bucket in range(buckets):
        stretch = inner[len(inner) * bucket // buckets : len(inner) * (bucket + 1) // buckets]
        lowest = min(stretch, key=lambda point: point[1])
        highest = max(stretch, key=lambda point: point[1])
        kept.extend(sorted({lowest, highest}))
    kept.append(points[-1])
    return kept
