"""Indicators against published numbers, TA-Lib's on 40 real bars, and plain formulas on random series."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import StrategyError
from runner.features import indicators
from runner.features.rolling import Rolling

# Microsoft, daily, 2000-03-01 to 2000-04-26, as traded.
HIGH = [
    94.09, 95.37, 98.87, 97.37, 97.5, 96.19, 100.0, 102.5, 100.25, 99.25, 96.62, 96.69, 99.5, 99.75, 103.12, 105.62,
    112.87, 115.0, 108.25, 107.44, 108.94, 108.62, 108.25, 96.5, 92.0, 88.5, 88.0, 89.37, 88.62, 86.06, 82.25, 82.25,
    79.5, 76.0, 81.94, 81.5, 79.87, 68.0, 69.5, 71.12,
]  # fmt: skip
LOW = [
    88.94, 91.12, 93.87, 90.12, 91.94, 91.0, 95.0, 99.5, 97.5, 95.12, 93.69, 93.25, 94.5, 96.5, 96.5, 101.12, 106.62,
    109.56, 103.94, 102.37, 105.12, 102.5, 104.12, 90.0, 84.94, 85.87, 85.27, 85.0, 86.0, 83.5, 78.75, 79.0, 73.25,
    73.0, 75.87, 78.12, 77.5, 65.0, 67.62, 67.37,
]  # fmt: skip
CLOSE = [
    90.81, 93.37, 96.12, 90.62, 92.87, 95.56, 100.0, 101.0, 98.0, 95.12, 95.37, 95.37, 99.37, 97.37, 102.75, 103.25,
    111.87, 111.69, 104.06, 104.31, 107.19, 103.37, 106.25, 90.87, 88.56, 86.37, 86.0, 89.06, 86.06, 83.87, 79.37,
    79.25, 74.12, 75.87, 80.56, 78.69, 78.94, 66.62, 69.37, 68.0,
]  # fmt: skip

# Name, maker of the indicator, its inputs; then, as TA-Lib 0.8.2 computes them, index of the first value, first, last.
GOLDEN: list[tuple[str, Callable[[], Any], tuple[Sequence[float], ...], int, tuple[float, ...], tuple[float, ...]]] = [
    ("sma", lambda: indicators.Sma(20), (CLOSE,), 19, (98.94399999999999,), (83.9195,)),
    ("ema", lambda: indicators.Ema(20), (CLOSE,), 19, (98.94399999999999,), (81.27395994742753,)),
    ("rsi", lambda: indicators.Rsi(14), (CLOSE,), 14, (65.42635658914729,), (32.521730965598984,)),
    (
        "macd",
        lambda: indicators.Macd(12, 26, 9),
        (CLOSE,),
        33,
        (-4.738607492019327, -1.1053561123781652, -3.6332513796411616),
        (-6.7738259047026474, -4.6496650189434146, -2.124160885759233),
    ),
    (
        "bollinger",
        lambda: indicators.Bollinger(20, 2.0),
        (CLOSE,),
        19,
        (87.2014340112563, 98.94399999999999, 110.68656598874368),
        (61.28844746150767, 83.9195, 106.55055253849233),
    ),
    ("atr", lambda: indicators.Atr(14), (HIGH, LOW, CLOSE), 14, (4.732142857142857,), (5.117493303556133,)),
    (
        "stochastic",
        lambda: indicators.Stochastic(14, 3),
        (HIGH, LOW, CLOSE),
        15,
        (84.70967741935482, 81.34388838870711),
        (12.31021748050882, 12.080700314594461),
    ),
]

Prices = list[float]
price_lists = st.lists(st.floats(0.01, 1e5, allow_nan=False), min_size=1, max_size=60)
periods = st.integers(1, 12)


def run(indicator: Any, *inputs: Sequence[float]) -> list[Any]:
    return [indicator.update(*values) for values in zip(*inputs, strict=True)]


def windows(values: Sequence[float], period: int) -> list[list[float] | None]:
    return [list(values[end - period : end]) if end >= period else None for end in range(1, len(values) + 1)]


def over_windows(values: Sequence[float], period: int, formula: Callable[[list[float]], float]) -> list[float | None]:
    return [None if window is None else formula(window) for window in windows(values, period)]


def assert_same(ours: list[Any], expected: list[Any], tolerance: float = 1e-9) -> None:
    assert [value is None for value in ours] == [value is None for value in expected]
    for mine, theirs in zip(ours, expected, strict=True):
        assert mine == (None if theirs is None else pytest.approx(theirs, rel=tolerance, abs=tolerance))


@pytest.mark.parametrize(
    ("make", "inputs", "start", "first", "last"), [case[1:] for case in GOLDEN], ids=[case[0] for case in GOLDEN]
)
def test_real_bars_give_the_numbers_of_ta_lib_from_the_same_bar_on(
    make: Callable[[], Any],
    inputs: tuple[Sequence[float], ...],
    start: int,
    first: tuple[float, ...],
    last: tuple[float, ...],
) -> None:
    values = run(make(), *inputs)
    assert values[:start] == [None] * start
    for value, expected in ((values[start], first), (values[-1], last)):
        assert (value if isinstance(value, tuple) else (value,)) == pytest.approx(expected, rel=1e-10)


def test_rsi_of_the_twenty_textbook_closes_is_57_92() -> None:
    closes = [44.34, 44.09, 44.15, 43.61, 44.33, 44.83, 45.10, 45.42, 45.84, 46.08]
    closes += [45.89, 46.03, 45.61, 46.28, 46.28, 46.00, 46.03, 46.41, 46.22, 45.64]
    assert run(indicators.Rsi(14), closes)[-1] == pytest.approx(57.92, abs=0.005)


@given(price_lists, periods)
def test_sma_is_the_plain_mean_of_each_window(prices: Prices, period: int) -> None:
    assert_same(run(indicators.Sma(period), prices), over_windows(prices, period, statistics.fmean))


@given(price_lists, periods)
def test_bollinger_is_the_mean_and_two_population_deviations(prices: Prices, period: int) -> None:
    bands = run(indicators.Bollinger(period, 2.0), prices)
    assert_same([band and band.middle for band in bands], over_windows(prices, period, statistics.fmean))
    widths = [band and band.upper - band.lower for band in bands]
    assert_same(widths, over_windows(prices, period, lambda window: 4 * statistics.pstdev(window)), 1e-6)


@given(price_lists, periods)
def test_ema_is_seeded_with_the_mean_and_then_follows_its_recurrence(prices: Prices, period: int) -> None:
    expected: list[float | None] = [None] * min(period - 1, len(prices))
    if len(prices) >= period:
        value = statistics.fmean(prices[:period])
        expected.append(value)
        for price in prices[period:]:
            value = price * 2 / (period + 1) + value * (1 - 2 / (period + 1))
            expected.append(value)
    assert_same(run(indicators.Ema(period), prices), expected)


@given(price_lists, periods)
def test_channels_see_only_the_bars_before(prices: Prices, period: int) -> None:
    highest = over_windows(prices, period, max)
    lowest = over_windows(prices, period, min)
    assert run(indicators.Highest(period), prices) == [None, *highest][:-1]
    assert run(indicators.Lowest(period), prices) == [None, *lowest][:-1]


@given(price_lists)
def test_volatility_is_the_population_deviation_of_five_log_returns(prices: Prices) -> None:
    returns = [math.log(later / earlier) for earlier, later in pairwise(prices)]
    expected = [None, *over_windows(returns, 5, statistics.pstdev)]
    assert_same(run(indicators.Volatility(), prices), expected, 1e-6)


@given(st.lists(st.tuples(st.floats(0.01, 1e5), st.sampled_from([0.0, 1e-6, 1.0, 1e9])), max_size=60), periods)
def test_vwap_weighs_by_volume_and_is_none_where_nothing_was_traded(
    trades: list[tuple[float, float]], period: int
) -> None:
    vwap = indicators.Vwap(period)
    for index, (price, volume) in enumerate(trades):
        value = vwap.update(price, price, price, volume)
        window = trades[index + 1 - period : index + 1] if index + 1 >= period else []
        total = math.fsum(volume for _, volume in window)
        expected = math.fsum(price * volume for price, volume in window) / total if total else None
        assert value == (None if expected is None else pytest.approx(expected))


@given(price_lists, st.integers(2, 8))
def test_rsi_stays_between_0_and_100(prices: Prices, period: int) -> None:
    assert all(0 <= value <= 100 for value in run(indicators.Rsi(period), prices) if value is not None)


@given(st.lists(st.integers(-5, 5), max_size=50), periods)
def test_a_rolling_fold_keeps_the_order_of_its_values(values: list[int], period: int) -> None:
    rolling: Rolling[tuple[int, ...]] = Rolling(period, lambda left, right: left + right)
    expected = [tuple(window) if window else None for window in windows(values, period)]
    assert [rolling.update((value,)) for value in values] == expected


def test_a_price_that_never_moves_gives_zero_and_not_an_error() -> None:
    flat = [100.0] * 40
    assert run(indicators.Rsi(14), flat)[-1] == 0
    assert run(indicators.Atr(14), flat, flat, flat)[-1] == 0
    assert run(indicators.Stochastic(), flat, flat, flat)[-1] == (0, 0)
    assert run(indicators.Bollinger(), flat)[-1] == (100, 100, 100)
    assert run(indicators.Volatility(), flat)[-1] == 0


def test_a_sum_does_not_drift_after_a_huge_value_has_left_the_window() -> None:
    mean = indicators.Sma(3)
    assert [mean.update(value) for value in (1e18, 0.1, 0.1, 0.1)][-1] == pytest.approx(0.1)


@pytest.mark.parametrize("period", [0, -1, 2.5, True, "14"])
@pytest.mark.parametrize("indicator", [indicators.Sma, indicators.Ema, indicators.Rsi, indicators.Highest])
def test_a_period_that_is_no_count_of_bars_is_refused(indicator: Any, period: Any) -> None:
    with pytest.raises(StrategyError, match="period"):
        indicator(period)


def test_macd_refuses_a_fast_period_that_is_not_the_shorter_one() -> None:
    with pytest.raises(StrategyError, match="fast period 26 is not below slow period 12"):
        indicators.Macd(26, 12, 9)
