"""Mean reversion: buy a sharp fall, sell when the price is back at its mean."""

from __future__ import annotations

from collections import defaultdict

from runner.features.indicators import Atr, Bands, Bollinger, Rsi
from runner.market.bars import Bar
from runner.market.positions import Position
from runner.market.signals import Signal
from runner.strategies.base import Strategy
from runner.strategies.levels import above, below
from runner.strategies.near import NearZone, share
from runner.strategies.parameters import number, whole

_NEUTRAL_RSI = 50.0


class _Symbol:
    """What is remembered of one symbol. `armed` until an entry, and again once the close is back at its mean."""

    def __init__(self, bars: int, width: float, rsi_bars: int) -> None:
        self.bands = Bollinger(bars, width)
        self.rsi = Rsi(rsi_bars)
        self.atr = Atr(14)
        self.near = NearZone()
        self.armed = True


class MeanReversion(Strategy):
    """Long only, one entry a fall.

    Entry: the close is below the lower Bollinger band (`bars`, `width` deviations) and the RSI of `rsi_bars` is below
    `oversold`. Exit: the close is back at the middle band. The stop lies `stop_atr` average true ranges below the
    entry, the target at the middle band.
    """

    name = "mean_reversion"

    def __init__(
        self,
        *,
        bars: int = 20,
        width: float = 2.0,
        rsi_bars: int = 14,
        oversold: float = 35.0,
        stop_atr: float = 3.0,
    ) -> None:
        bars = whole("bars", bars, at_least=2)
        width = number("width", width, above=0)
        rsi_bars = whole("rsi_bars", rsi_bars, at_least=2)
        self._oversold = number("oversold", oversold, above=0, at_most=_NEUTRAL_RSI - 1)
        self._stop_atr = number("stop_atr", stop_atr, above=0)
        self._symbols: defaultdict[str, _Symbol] = defaultdict(lambda: _Symbol(bars, width, rsi_bars))

    def on_bar(self, bar: Bar, position: Position | None) -> Signal | None:
        state = self._symbols[bar.symbol]
        close = float(bar.close)
        bands, rsi = state.bands.update(close), state.rsi.update(close)
        atr = state.atr.update(float(bar.high), float(bar.low), close)
        if bands is None or rsi is None or atr is None:
            return None
        if close >= bands.middle:
            state.armed = True
        if position is not None:
            return self._exit_at_mean(bar, close, bands)
        if not state.armed:
            return None
        if close < bands.lower and rsi < self._oversold:
            return self._enter(bar, state, bands, rsi, atr)
        closeness = min(share(close, bands.middle, bands.lower), share(rsi, _NEUTRAL_RSI, self._oversold))
        if not state.near.entered(closeness):
            return None
        return self.hold(
            bar,
            f"RSI {rsi:.1f} and close {bar.close} against {self._oversold:g} and the lower band {bands.lower:.6g}",
            confidence=closeness,
            rsi=rsi,
            lower_band=bands.lower,
        )

    def _enter(self, bar: Bar, state: _Symbol, bands: Bands, rsi: float, atr: float) -> Signal:
        state.armed = False
        state.near.leave()
        return self.enter_long(
            bar,
            f"RSI {rsi:.1f} is below {self._oversold:g} and close {bar.close} below the lower band {bands.lower:.6g}",
            stop_loss=below(bar.close, self._stop_atr * atr),
            target=above(bar.close, bands.middle - float(bar.close)),
            rsi=rsi,
            lower_band=bands.lower,
            middle_band=bands.middle,
            atr=atr,
        )

    def _exit_at_mean(self, bar: Bar, close: float, bands: Bands) -> Signal | None:
        if close < bands.middle:
            return None
        return self.exit(bar, f"close {bar.close} is back at its mean {bands.middle:.6g}", middle_band=bands.middle)
