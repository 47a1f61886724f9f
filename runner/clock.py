"""Clocks. Code is given the time; it never takes it.

`SystemClock` is the machine's time. `ManualClock` stands still until it is moved: bots on replayed bars use it as
market time, tests use it for everything.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from runner.errors import ConfigError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock: aware, UTC, microseconds. It may jump, also backwards."""
        ...

    def time_ns(self) -> int:
        """The wall clock as nanoseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean something."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    time_ns = staticmethod(time.time_ns)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to. `sleep` moves it instead of waiting."""

    def __init__(self, start: datetime) -> None:
        self._monotonic = 0.0
        self.set(start)

    def set(self, moment: datetime) -> None:
        """Set the wall clock, forwards or backwards; the monotonic clock does not move."""
        if moment.tzinfo is None:
            raise ConfigError(f"naive datetime {moment!r}", "give it a time zone: datetime(..., tzinfo=UTC)")
        self._now = moment.astimezone(UTC)

    def advance(self, seconds: float) -> None:
        """Let both clocks run `seconds` on."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def now(self) -> datetime:
        return self._now

    def time_ns(self) -> int:
        delta = self._now - _EPOCH
        return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1_000

    def monotonic(self) -> float:
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)
