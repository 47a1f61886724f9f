"""Streaming indicators: one number in, one number out, constant time, no look-ahead.

Each is fed with `update(...)` once a bar and answers None while it warms up. Values equal TA-Lib's: averages seeded
with a simple mean, Wilder's smoothing in RSI and ATR, population deviation (ddof 0) in Bollinger bands. Inside, numbers
are floats: indicators are estimates; money stays Decimal elsewhere.
"""

from __future__ import annotations

import math
from operator import add
from typing import NamedTuple

from runner.errors import StrategyError
from runner.features.rolling import Moments, Rolling, check_period, join_moments


class Sma:
    """Simple mean of the last `period` values. First value after `period` updates."""

    __slots__ = ("_period", "_sum")

    def __init__(self, period: int) -> None:
        self._period = period
        self._sum: Rolling[float] = Rolling(period, add)

    def update(self, value: float) -> float | None:
        total = self._sum.update(value)
        return None if total is None else total / self._period


class _Smoothed:
    """Exponential average: the simple mean of the first `period` values, then each new value counts for `weight`."""

    __slots__ = ("_count", "_period", "_total", "_value", "_weight")

    def __init__(self, period: int, weight: float) -> None:
        self._period = period
        self._weight = weight
        self._count = 0
        self._total = 0.0
        self._value = 0.0

    def update(self, value: float) -> float | None:
        if self._count == self._period:
            self._value += self._weight * (value - self._value)
            return self._value
        self._count += 1
        self._total += value
        if self._count < self._period:
            return None
        self._value = self._total / self._period
        return self._value


class Ema(_Smoothed):
    """Exponential mean with weight 2 / (period + 1). First value after `period` updates."""

    __slots__ = ()

    def __init__(self, period: int) -> None:
        super().__init__(check_period(period), 2 / (period + 1))


class _Wilder(_Smoothed):
    """Wilder's average, with weight 1 / period."""

    __slots__ = ()

    def __init__(self, period: int) -> None:
        super().__init__(check_period(period), 1 / period)


class Rsi:
    """Relative strength index, 0 to 100, 0 where the price never moved. First value after `period` + 1 closes."""

    __slots__ = ("_gains", "_losses", "_previous")

    def __init__(self, period: int = 14) -> None:
        self._gains = _Wilder(period)
        self._losses = _Wilder(period)
        self._previous: float | None = None

    def update(self, close: float) -> float | None:
        previous, self._previous = self._previous, close
        if previous is None:
            return None
        change = close - previous
        gain = self._gains.update(max(change, 0.0))
        loss = self._losses.update(max(-change, 0.0))
        if gain is None or loss is None:
            return None
        return 100 * (gain / (gain + loss)) if gain + loss > 0 else 0.0


class MacdValue(NamedTuple):
    """In price units: fast minus slow mean, the mean of that, and their difference."""

    macd: float
    signal: float
    histogram: float


class Macd:
    """Moving average convergence divergence. First value after `slow` + `signal` - 1 closes.

    The fast mean is seeded at the same close as the slow one, from the `fast` closes before it.
    """

    __slots__ = ("_fast", "_signal", "_skip", "_slow")

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        self._fast, self._slow, self._signal = Ema(fast), Ema(slow), Ema(signal)
        if fast >= slow:
            raise StrategyError(f"fast period {fast} is not below slow period {slow}", "use 12 and 26")
        self._skip = slow - fast

    def update(self, close: float) -> MacdValue | None:
        slow = self._slow.update(close)
        if self._skip > 0:
            self._skip -= 1
            return None
        fast = self._fast.update(close)
        if slow is None or fast is None:
            return None
        signal = self._signal.update(fast - slow)
        return None if signal is None else MacdValue(fast - slow, signal, fast - slow - signal)


class Bands(NamedTuple):
    """Three prices: the mean, and a number of deviations below and above it."""

    lower: float
    middle: float
    upper: float


class Bollinger:
    """Mean of the last `period` closes and `width` population deviations (ddof 0) around it."""

    __slots__ = ("_moments", "_width")

    def __init__(self, period: int = 20, width: float = 2.0) -> None:
        self._moments: Rolling[Moments] = Rolling(period, join_moments)
        self._width = width

    def update(self, close: float) -> Bands | None:
        moments = self._moments.update(Moments(1, close, 0.0))
        if moments is None:
            return None
        spread = self._width * moments.deviation
        return Bands(moments.mean - spread, moments.mean, moments.mean + spread)


class Atr:
    """Average true range in price units, Wilder's. First value after `period` + 1 bars."""

    __slots__ = ("_mean", "_previous")

    def __init__(self, period: int = 14) -> None:
        self._mean = _Wilder(period)
        self._previous: float | None = None

    def update(self, high: float, low: float, close: float) -> float | None:
        previous, self._previous = self._previous, close
        if previous is None:
            return None
        return self._mean.update(max(high, previous) - min(low, previous))


class StochasticValue(NamedTuple):
    """0 to 100: where the close lies in the range of the last bars, and the mean of that."""

    k: float
    d: float


class Stochastic:
    """Raw %K over `period` bars (0 where there is no range) and %D, its mean over `smooth`."""

    __slots__ = ("_d", "_highs", "_lows")

    def __init__(self, period: int = 14, smooth: int = 3) -> None:
        self._highs: Rolling[float] = Rolling(period, max)
        self._lows: Rolling[float] = Rolling(period, min)
        self._d = Sma(smooth)

    def update(self, high: float, low: float, close: float) -> StochasticValue | None:
        highest, lowest = self._highs.update(high), self._lows.update(low)
        if highest is None or lowest is None:
            return None
        k = 100 * ((close - lowest) / (highest - lowest)) if highest > lowest else 0.0
        d = self._d.update(k)
        return None if d is None else StochasticValue(k, d)


class Volatility:
    """Population deviation (ddof 0) of the last `period` log returns, not annualised. Closes must be positive."""

    __slots__ = ("_moments", "_previous")

    def __init__(self, period: int = 5) -> None:
        self._moments: Rolling[Moments] = Rolling(period, join_moments)
        self._previous: float | None = None

    def update(self, close: float) -> float | None:
        previous, self._previous = self._previous, close
        if previous is None:
            return None
        moments = self._moments.update(Moments(1, math.log(close / previous), 0.0))
        return None if moments is None else moments.deviation


class Vwap:
    """Mean price of the last `period` bars weighted by volume; None also where nothing was traded in them.

    The price of a bar is its typical price, (high + low + close) / 3.
    """

    __slots__ = ("_value", "_volume")

    def __init__(self, period: int) -> None:
        self._value: Rolling[float] = Rolling(period, add)
        self._volume: Rolling[float] = Rolling(period, add)

    def update(self, high: float, low: float, close: float, volume: float) -> float | None:
        value = self._value.update((high + low + close) / 3 * volume)
        total = self._volume.update(volume)
        return value / total if value is not None and total else None


class Highest:
    """Highest of the `period` values *before* this one: the upper Donchian channel that a breakout must cross."""

    __slots__ = ("_before", "_rolling")

    def __init__(self, period: int) -> None:
        self._rolling: Rolling[float] = Rolling(period, max)
        self._before: float | None = None

    def update(self, value: float) -> float | None:
        before, self._before = self._before, self._rolling.update(value)
        return before


class Lowest:
    """Lowest of the `period` values *before* this one: the lower Donchian channel."""

    __slots__ = ("_before", "_rolling")

    def __init__(self, period: int) -> None:
        self._rolling: Rolling[float] = Rolling(period, min)
        self._before: float | None = None

    def update(self, value: float) -> float | None:
        before, self._before = self._before, self._rolling.update(value)
        return before
