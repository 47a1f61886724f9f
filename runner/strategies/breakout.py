"""Breakout: buy when the close leaves the range of the last bars upwards on heavy volume."""

from __future__ import annotations

from collections import defaultdict

from runner.features.indicators import Atr, Highest, Lowest, Sma
from runner.market.bars import Bar
from runner.market.positions import Position
from runner.market.signals import Signal
from runner.strategies.base import Strategy
from runner.strategies.levels import above, below
from runner.strategies.near import NearZone, share
from runner.strategies.parameters import number, whole


class _Symbol:
    """What is remembered of one symbol."""

    def __init__(self, entry_bars: int, exit_bars: int) -> None:
        self.highest = Highest(entry_bars)
        self.lowest = Lowest(exit_bars)
        self.mean_volume = Sma(entry_bars)
        self.usual_volume: float | None = None
        self.atr = Atr(14)
        self.near = NearZone()


class Breakout(Strategy):
    """Long only.

    Entry: the close is above the highest high of the `entry_bars` bars before, with at least `volume_factor` times
    their mean volume. Exit: the close is below the lowest low of the `exit_bars` bars before. The stop lies `stop_atr`
    average true ranges below the entry, the target `target_atr` above it.
    """

    name = "breakout"

    def __init__(
        self,
        *,
        entry_bars: int = 20,
        exit_bars: int = 10,
        volume_factor: float = 1.2,
        stop_atr: float = 2.0,
        target_atr: float = 6.0,
    ) -> None:
        entry_bars = whole("entry_bars", entry_bars, at_least=2)
        exit_bars = whole("exit_bars", exit_bars, at_least=1)
        self._entry_bars = entry_bars
        self._exit_bars = exit_bars
        self._volume_factor = number("volume_factor", volume_factor, above=0)
        self._stop_atr = number("stop_atr", stop_atr, above=0)
        self._target_atr = number("target_atr", target_atr, above=0)
        self._symbols: defaultdict[str, _Symbol] = defaultdict(lambda: _Symbol(entry_bars, exit_bars))

    def on_bar(self, bar: Bar, position: Position | None) -> Signal | None:
        state = self._symbols[bar.symbol]
        high, low, close, volume = float(bar.high), float(bar.low), float(bar.close), float(bar.volume)
        highest, lowest = state.highest.update(high), state.lowest.update(low)
        usual, state.usual_volume = state.usual_volume, state.mean_volume.update(volume)
        atr = state.atr.update(high, low, close)
        if highest is None or lowest is None or usual is None or atr is None:
            return None
        if position is not None:
            return self._exit_below(bar, close, lowest)
        times = volume / usual if usual > 0 else 0.0
        if close > highest and times >= self._volume_factor:
            return self._enter(bar, state, highest, times, atr)
        closeness = min(share(close, lowest, highest), times / self._volume_factor)
        if not state.near.entered(closeness):
            return None
        return self.hold(
            bar,
            f"close {bar.close} against {self._entry_bars}-bar high {highest:.6g}, volume {times:.1f} times the usual",
            confidence=closeness,
            highest=highest,
            volume_times=times,
        )

    def _enter(self, bar: Bar, state: _Symbol, highest: float, times: float, atr: float) -> Signal:
        state.near.leave()
        return self.enter_long(
            bar,
            f"close {bar.close} is above {self._entry_bars}-bar high {highest:.6g}, volume {times:.1f} times the usual",
            stop_loss=below(bar.close, self._stop_atr * atr),
            target=above(bar.close, self._target_atr * atr),
            highest=highest,
            volume_times=times,
            atr=atr,
        )

    def _exit_below(self, bar: Bar, close: float, lowest: float) -> Signal | None:
        if close >= lowest:
            return None
        return self.exit(bar, f"close {bar.close} is below the {self._exit_bars}-bar low {lowest:.6g}", lowest=lowest)
