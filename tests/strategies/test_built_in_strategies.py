"""The built-in strategies: when each enters, exits and holds, and what it does on real bars."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from runner.feeds.open import open_feed
from runner.market.bars import Bar
from runner.market.orders import Side
from runner.market.positions import Position
from runner.market.signals import Action, Signal
from runner.strategies.base import Strategy
from runner.strategies.catalog import build_strategy
from runner.strategies.levels import above, below
from runner.strategies.near import NearZone, share

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = ("breakout", "mean_reversion", "vwap")


def bar(number: int, close: float, *, volume: float = 100, spread: float = 1.0, symbol: str = "IBM") -> Bar:
    """A bar that ranges `spread` around its close."""
    price, half = Decimal(str(close)), Decimal(str(spread))
    return Bar(symbol, START + number * DAY, DAY, price, price + half, price - half, price, Decimal(str(volume)))


def bars(*closes: float) -> list[Bar]:
    return [bar(number, close) for number, close in enumerate(closes)]


def position(at: Bar) -> Position:
    return Position(at.symbol, "t-1", Side.BUY, Decimal(1), at.close, at.end)


def feed(strategy: Strategy, history: Iterable[Bar], held: Position | None = None) -> list[Signal]:
    signals = (strategy.on_bar(item, held) for item in history)
    return [signal for signal in signals if signal is not None]


def the_only(signals: list[Signal]) -> Signal:
    assert len(signals) == 1
    return signals[0]


# Breakout

FLAT = bars(*[100.0, 100.5] * 12)


def test_breakout_buys_above_the_high_on_heavy_volume_with_stop_and_target() -> None:
    strategy = build_strategy("breakout")
    assert not [signal for signal in feed(strategy, FLAT) if signal.action is not Action.HOLD]
    signal = the_only(feed(strategy, [bar(24, 103, volume=200)]))
    assert signal.action is Action.ENTER_LONG
    assert signal.reason == "close 103 is above 20-bar high 101.5, volume 2.0 times the usual"
    assert signal.indicators["highest"] == 101.5
    assert signal.stop_loss is not None
    assert signal.target is not None
    assert signal.stop_loss < 103 < signal.target
    assert (signal.target - 103) == pytest.approx(3 * (103 - signal.stop_loss), rel=Decimal("0.001"))


def test_breakout_holds_back_where_the_volume_is_missing_and_says_how_near_it_was() -> None:
    strategy = build_strategy("breakout")
    feed(strategy, FLAT)
    signal = the_only(feed(strategy, [bar(24, 103, volume=110)]))
    assert signal.action is Action.HOLD
    assert signal.confidence == pytest.approx(1.1 / 1.2)
    assert "volume 1.1 times the usual" in signal.reason


def test_breakout_leaves_below_the_low_of_the_last_bars() -> None:
    strategy = build_strategy("breakout")
    feed(strategy, FLAT)
    held = position(FLAT[-1])
    assert feed(strategy, [bar(24, 99.5)], held) == []
    signal = the_only(feed(strategy, [bar(25, 97)], held))
    assert signal.action is Action.EXIT
    assert signal.reason == "close 97 is below the 10-bar low 98.5"


def test_breakout_stays_silent_where_nothing_is_traded() -> None:
    idle = [bar(number, 100 + number % 2, volume=0) for number in range(60)]
    assert feed(build_strategy("breakout"), idle) == []


# Mean reversion

FALL = bars(*[100.0, 101.0] * 15, 97.0, 94.0, 90.0)


def test_mean_reversion_buys_a_fall_once_and_aims_at_the_mean() -> None:
    strategy = build_strategy("mean_reversion")
    entries = [signal for signal in feed(strategy, FALL) if signal.action is Action.ENTER_LONG]
    signal = the_only(entries)
    assert "is below 35" in signal.reason
    middle = signal.indicators["middle_band"]
    assert middle is not None
    assert float(signal.target or 0) == pytest.approx(middle, rel=1e-3)
    assert feed(strategy, [bar(40, 85), bar(41, 80)]) == []


def test_mean_reversion_leaves_at_the_mean_and_may_buy_the_next_fall() -> None:
    strategy = build_strategy("mean_reversion")
    feed(strategy, FALL)
    held = position(FALL[-1])
    signal = the_only(feed(strategy, [bar(40, 95), bar(41, 100)], held))
    assert signal.action is Action.EXIT
    assert signal.reason.startswith("close 100 is back at its mean")
    later = bars(*[100.0, 101.0] * 15, 97.0, 94.0, 90.0)
    assert Action.ENTER_LONG in [signal.action for signal in feed(strategy, later)]


# VWAP

RISE = bars(*[100 + number * 0.5 for number in range(60)])


def test_vwap_buys_a_cross_upwards_in_a_rising_market_only() -> None:
    strategy = build_strategy("vwap")
    assert feed(strategy, RISE) == []
    dip = [bar(60, 123, spread=0.1), bar(61, 128)]
    entry = feed(strategy, dip)[-1]
    assert entry.action is Action.ENTER_LONG
    assert "crossed the 20-bar VWAP" in entry.reason
    falling = bars(*[200 - number * 0.5 for number in range(60)], 160.0, 178.0, 160.0)
    said = feed(build_strategy("vwap", {"trend_bars": 60}), falling)
    assert [signal for signal in said if signal.action is Action.ENTER_LONG] == []


def test_vwap_leaves_when_the_close_is_back_below() -> None:
    strategy = build_strategy("vwap")
    feed(strategy, RISE)
    signal = the_only(feed(strategy, [bar(60, 120)], position(RISE[-1])))
    assert signal.action is Action.EXIT
    assert "is below the 20-bar VWAP" in signal.reason


# All of them


@pytest.mark.parametrize("name", NAMES)
def test_symbols_do_not_influence_each_other(name: str) -> None:
    ibm, noise = FALL, [bar(number, 50 + number % 7, symbol="MSFT") for number in range(len(FALL))]
    mixed = [item for pair in zip(ibm, noise, strict=True) for item in pair]
    alone = feed(build_strategy(name), ibm)
    assert [signal for signal in feed(build_strategy(name), mixed) if signal.symbol == "IBM"] == alone


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_later_does_not_change_what_was_said(name: str) -> None:
    history = sample_bars()[:2000]
    whole = feed(build_strategy(name), history)
    first = feed(build_strategy(name), history[:1000])
    assert first == whole[: len(first)]


@cache
def sample_bars() -> tuple[Bar, ...]:
    return tuple(open_feed("sample").bars())


def follow(strategy: Strategy, history: Iterable[Bar]) -> tuple[Counter[Action], int]:
    """Counts of signals and of closed trades, with fills at the next open and stops and targets within the bar."""
    counts: Counter[Action] = Counter()
    pending: dict[str, Signal] = {}
    held: dict[str, Position] = {}
    closed = 0
    for item in history:
        signal = pending.pop(item.symbol, None)
        if signal is not None and signal.action is Action.EXIT:
            closed += held.pop(item.symbol, None) is not None
        elif signal is not None:
            held[item.symbol] = Position(
                item.symbol, "t", Side.BUY, Decimal(1), item.open, item.end, Decimal(0), signal.stop_loss, signal.target
            )
        mine = held.get(item.symbol)
        if mine and mine.stop_loss and mine.target and (item.low <= mine.stop_loss or item.high >= mine.target):
            del held[item.symbol]
            closed += 1
        signal = strategy.on_bar(item, held.get(item.symbol))
        if signal is not None:
            counts[signal.action] += 1
            check(signal, item, held.get(item.symbol))
            if signal.action is not Action.HOLD:
                pending[item.symbol] = signal
    return counts, closed


def check(signal: Signal, item: Bar, mine: Position | None) -> None:
    match signal.action:
        case Action.ENTER_LONG:
            assert mine is None
            assert signal.stop_loss is not None
            assert signal.target is not None
            assert 0 < signal.stop_loss < item.close < signal.target
        case Action.EXIT:
            assert mine is not None
        case _:
            assert mine is None
            assert 0.8 <= signal.confidence <= 1


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_gives_dozens_of_trades_and_few_holds(name: str) -> None:
    counts, closed = follow(build_strategy(name), sample_bars())
    assert 50 <= closed <= 600
    assert 50 <= counts[Action.HOLD] <= 600
    assert set(counts) == {Action.ENTER_LONG, Action.EXIT, Action.HOLD}


@pytest.mark.parametrize("name", NAMES)
def test_five_minute_bars_give_hundreds_of_trades(name: str) -> None:
    folder = os.environ.get("TRON_TEST_DATA", "")
    if not folder:
        pytest.skip("TRON_TEST_DATA names no folder of real bars")
    path = Path(folder) / "klines_5m" / "genetrader_BTCUSDT-5m.feather"
    counts, closed = follow(build_strategy(name), open_feed(f"replay:{path}").bars())
    assert 300 <= closed <= 4000
    assert 300 <= counts[Action.HOLD] <= 4000


# Their parts


def test_stops_and_targets_keep_four_digits_of_the_distance_and_stay_above_zero() -> None:
    assert below(Decimal("42397.23"), 312.4567) == Decimal("42084.73")
    assert above(Decimal("0.085"), 0.00123456) == Decimal("0.086235")
    assert below(Decimal("10"), 25.0) == Decimal(5)


def test_a_near_zone_is_entered_once_until_it_is_far_again() -> None:
    zone = NearZone()
    assert [zone.entered(closeness) for closeness in (0.7, 0.8, 0.9, 0.6, 0.85)] == [False, True, False, False, False]
    assert [zone.entered(closeness) for closeness in (0.4, 0.85)] == [False, True]


def test_a_signal_begins_the_near_zone_anew() -> None:
    zone = NearZone()
    assert zone.entered(0.9)
    zone.leave()
    assert zone.entered(0.9)


def test_a_share_is_the_way_covered_between_0_and_1() -> None:
    assert [share(value, 50, 30) for value in (60, 50, 40, 30, 20)] == [0, 0, 0.5, 1, 1]
    assert share(1, 1, 1) == 0
