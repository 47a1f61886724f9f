"""VWAP: buy when the close crosses the volume-weighted mean price upwards in a rising market."""

from __future__ import annotations

from collections import defaultdict

from runner.features.indicators import Atr, Ema, Vwap
from runner.market.bars import Bar
from runner.market.positions import Position
from runner.market.signals import Signal
from runner.strategies.base import Strategy
from runner.strategies.levels import above, below
from runner.strategies.near import NearZone, share
from runner.strategies.parameters import number, whole


class _Symbol:
    """What is remembered of one symbol."""

    def __init__(self, bars: int, trend_bars: int) -> None:
        self.vwap = Vwap(bars)
        self.trend = Ema(trend_bars)
        self.atr = Atr(14)
        self.near = NearZone()
        self.was_below = False


class VwapCross(Strategy):
    """Long only.

    Entry: the close crosses the VWAP of `bars` bars upwards and is above the exponential mean of `trend_bars` closes.
    Exit: the close is back below the VWAP. The stop lies `stop_atr` average true ranges below the entry, the target
    `target_atr` above it.
    """

    name = "vwap"

    def __init__(self, *, bars: int = 20, trend_bars: int = 50, stop_atr: float = 2.0, target_atr: float = 6.0) -> None:
        bars = whole("bars", bars, at_least=2)
        trend_bars = whole("trend_bars", trend_bars, at_least=2)
        self._bars = bars
        self._stop_atr = number("stop_atr", stop_atr, above=0)
        self._target_atr = number("target_atr", target_atr, above=0)
        self._symbols: defaultdict[str, _Symbol] = defaultdict(lambda: _Symbol(bars, trend_bars))

    def on_bar(self, bar: Bar, position: Position | None) -> Signal | None:
        state = self._symbols[bar.symbol]
        high, low, close = float(bar.high), float(bar.low), float(bar.close)
        vwap = state.vwap.update(high, low, close, float(bar.volume))
        trend, atr = state.trend.update(close), state.atr.update(high, low, close)
        if vwap is None or trend is None or atr is None:
            return None
        crossed = state.was_below and close > vwap
        state.was_below = close <= vwap
        if position is not None:
            return self._exit_below(bar, close, vwap)
        if close <= trend:
            return None
        if crossed:
            return self._enter(bar, state, vwap, trend, atr)
        return self._near_miss(bar, state, vwap, trend, atr)

    def _enter(self, bar: Bar, state: _Symbol, vwap: float, trend: float, atr: float) -> Signal:
        state.near.leave()
        return self.enter_long(
            bar,
            f"close {bar.close} crossed the {self._bars}-bar VWAP {vwap:.6g} upwards, above its trend {trend:.6g}",
            stop_loss=below(bar.close, self._stop_atr * atr),
            target=above(bar.close, self._target_atr * atr),
            vwap=vwap,
            trend=trend,
            atr=atr,
        )

    def _exit_below(self, bar: Bar, close: float, vwap: float) -> Signal | None:
        if close >= vwap:
            return None
        return self.exit(bar, f"close {bar.close} is below the {self._bars}-bar VWAP {vwap:.6g}", vwap=vwap)

    def _near_miss(self, bar: Bar, state: _Symbol, vwap: float, trend: float, atr: float) -> Signal | None:
        """Below the VWAP by a small part of the average true range."""
        close = float(bar.close)
        closeness = share(close, vwap - atr, vwap) if close <= vwap else 0.0
        if not state.near.entered(closeness):
            return None
        return self.hold(
            bar,
            f"close {bar.close} is just below the {self._bars}-bar VWAP {vwap:.6g}, above its trend {trend:.6g}",
            confidence=closeness,
            vwap=vwap,
            trend=trend,
            atr=atr,
        )
