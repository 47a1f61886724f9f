"""A deadline for work that can be left where it is and continued by the next call."""

from __future__ import annotations

from runner.clock import Clock


class Deadline:
    """`seconds` from now on; None for no end. Only the monotonic clock counts."""

    def __init__(self, clock: Clock, seconds: float | None = None) -> None:
        self._clock = clock
        self._end = None if seconds is None else clock.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        return self._end is not None and self._clock.monotonic() >= self._end
