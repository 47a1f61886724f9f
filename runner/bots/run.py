"""Runs bots over bars: every bar goes to every bot that trades its symbol, at the pace that is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from runner.bots.bot import Bot
from runner.bots.status import BotStatus
from runner.clock import Clock
from runner.market.bars import Bar

_PROGRESS_SECONDS = 0.1
_NAP_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: bars of the feed done, seconds since its start, and how each bot stands."""

    bars: int
    seconds: float
    bots: tuple[BotStatus, ...]


def run_bots(
    bots: Sequence[Bot],
    bars: Iterable[Bar],
    *,
    speed: float,
    stop: threading.Event,
    clock: Clock,
    on_progress: Callable[[Progress], None] | None = None,
) -> Progress:
    """Start the bots, feed them all bars, finish them; returns the last progress.

    `speed` is bars of the feed a second, 0 for as fast as possible. Setting `stop` ends the run after the bar at hand.
    `on_progress` is called about ten times a second and once at the end. Every bot that was started is finished, also
    when an error ends the run.
    """
    pace = _Pace(bots, speed, stop, clock)
    tell = on_progress or _silent
    done, next_tell = 0, 0.0
    with ExitStack() as endings:
        for bot in bots:
            bot.start()
            endings.callback(bot.finish)
        audience = _audience(bots)
        for bar in bars:
            if not pace.wait(done):
                break
            for bot in audience.get(bar.symbol, ()):
                bot.on_bar(bar)
            done += 1
            if pace.seconds() >= next_tell:
                next_tell = pace.seconds() + _PROGRESS_SECONDS
                tell(_progress(bots, done, pace))
    last = _progress(bots, done, pace)
    tell(last)
    return last


class _Pace:
    """Waits until a bar is due, while the bots keep on showing that they live."""

    def __init__(self, bots: Sequence[Bot], speed: float, stop: threading.Event, clock: Clock) -> None:
        self._bots = bots
        self._speed = speed
        self._stop = stop
        self._clock = clock
        self._start = clock.monotonic()

    def seconds(self) -> float:
        return self._clock.monotonic() - self._start

    def wait(self, bars_done: int) -> bool:
        """Wait for the next bar's turn; False when the run is to stop."""
        due = bars_done / self._speed if self._speed else 0.0
        while not self._stop.is_set():
            left = due - self.seconds()
            if left <= 0:
                return True
            self._clock.sleep(min(left, _NAP_SECONDS))
            for bot in self._bots:
                bot.beat()
        return False


def _audience(bots: Sequence[Bot]) -> dict[str, list[Bot]]:
    audience: dict[str, list[Bot]] = {}
    for bot in bots:
        for symbol in bot.symbols:
            audience.setdefault(symbol, []).append(bot)
    return audience


def _progress(bots: Sequence[Bot], done: int, pace: _Pace) -> Progress:
    return Progress(done, pace.seconds(), tuple(bot.status for bot in bots))


def _silent(progress: Progress) -> None:
    """Nobody listens."""
