"""Windows that move along a series in constant time.

Values are folded in runs of `period`. A window always covers the end of the run before and the beginning of the current
one: the first part is read from folds prepared when that run ended, the second is kept up to date. Nothing is ever
subtracted, so sums do not drift, however long the series, and a window of zeros sums to exactly zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import Generic, NamedTuple, TypeVar

from runner.errors import StrategyError

T = TypeVar("T")


def check_period(period: int) -> int:
    """The period itself, or `StrategyError` when it is not a whole number of at least 1."""
    if isinstance(period, bool) or not isinstance(period, int) or period < 1:
        raise StrategyError(f"period {period!r} is not valid", "use a whole number of bars, at least 1")
    return period


class Rolling(Generic[T]):
    """`combine` over the last `period` values, such as `Rolling(20, max)`. `combine` must be associative."""

    __slots__ = ("_combine", "_current", "_folds", "_period", "_run")

    def __init__(self, period: int, combine: Callable[[T, T], T]) -> None:
        self._period = check_period(period)
        self._combine = combine
        self._run: list[T] = []
        self._current: T | None = None
        self._folds: list[T] = []

    def update(self, value: T) -> T | None:
        """Take the next value; returns the fold of the last `period` values, None before there are so many."""
        current = value if self._current is None else self._combine(self._current, value)
        self._run.append(value)
        missing = self._period - len(self._run)
        if missing == 0:
            self._end_run()
            return current
        self._current = current
        return self._combine(self._folds[missing - 1], current) if self._folds else None

    def _end_run(self) -> None:
        """Prepare the folds of the last 1, 2, ... values of the run, and begin the next one."""
        self._folds = list(accumulate(reversed(self._run), lambda later, earlier: self._combine(earlier, later)))
        self._run = []
        self._current = None


class Moments(NamedTuple):
    """How many values there are, their mean, and the sum of their squared deviations from it."""

    size: int
    mean: float
    squares: float

    @property
    def deviation(self) -> float:
        """Population standard deviation (ddof 0)."""
        return math.sqrt(self.squares / self.size)


def join_moments(left: Moments, right: Moments) -> Moments:
    """The moments of two groups of values taken together."""
    size = left.size + right.size
    distance = right.mean - left.mean
    share = right.size / size
    return Moments(
        size,
        left.mean + distance * share,
        left.squares + right.squares + distance * distance * left.size * share,
    )
