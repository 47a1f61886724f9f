"""The pace of many writes into a new database, where Google asks for one.

Firestore spreads a collection over machines as its traffic grows, and refuses traffic that grows faster than that. Its
rule is 500/50/5: begin with 500 writes a second, and take half as much again every five minutes.
"""

from __future__ import annotations

import threading

from runner.clock import Clock

FIRST_RATE = 500.0
GROWTH = 1.5
STEP_SECONDS = 300.0


class WriteRamp:
    """Holds writers back to the rule, on any number of threads. It begins with the first write."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._free_at = 0.0

    def rate(self) -> float:
        """Writes that are allowed in a second, now."""
        began = self._clock.monotonic() if self._began is None else self._began
        steps = int((self._clock.monotonic() - began) // STEP_SECONDS)
        return FIRST_RATE * GROWTH ** min(steps, 40)

    def wait(self, writes: int) -> float:
        """Wait until the writes before these had their time, and take the time of these; returns the seconds waited."""
        with self._lock:
            now = self._clock.monotonic()
            if self._began is None:
                self._began = self._free_at = now
            begin = max(now, self._free_at)
            self._free_at = begin + writes / self.rate()
        if begin > now:
            self._clock.sleep(begin - now)
        return begin - now
