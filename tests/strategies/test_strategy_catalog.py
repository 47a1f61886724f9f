"""Strategies by name, and the surface that a bot author writes against."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runner.errors import StrategyError
from runner.features.indicators import Sma
from runner.market.bars import Bar
from runner.market.orders import Side
from runner.market.positions import Position
from runner.market.signals import Action, Signal
from runner.strategies import base
from runner.strategies.base import Strategy, named_strategies
from runner.strategies.catalog import BUILT_IN, build_strategy, strategy_names

BAR = Bar("IBM", datetime(2024, 1, 2, tzinfo=UTC), timedelta(days=1), *map(Decimal, ("10", "12", "9", "11", "500")))


class Momentum(Strategy):
    name = "test_momentum"

    def __init__(self, *, bars: int = 1) -> None:
        self.means: defaultdict[str, Sma] = defaultdict(lambda: Sma(bars))

    def on_bar(self, bar: Bar, position: Position | None) -> Signal | None:
        mean = self.means[bar.symbol].update(float(bar.close))
        return self.enter_long(bar, "always", mean=mean)


class Nameless(Strategy):
    def on_bar(self, bar: Bar, position: Position | None) -> Signal | None:
        return self.hold(bar, "never", confidence=0.5)


def test_the_three_built_in_strategies_are_known_by_name() -> None:
    assert [cls.name for cls in BUILT_IN] == ["breakout", "mean_reversion", "vwap"]
    for cls in BUILT_IN:
        assert type(build_strategy(cls.name)) is cls


def test_a_subclass_is_known_by_its_name_once_it_is_defined() -> None:
    assert "test_momentum" in strategy_names()
    assert isinstance(build_strategy("test_momentum", {"bars": 3}), Momentum)


def test_each_build_is_a_new_strategy() -> None:
    assert build_strategy("vwap") is not build_strategy("vwap")


def test_signals_carry_symbol_reason_numbers_and_the_strategy() -> None:
    signal = Momentum().on_bar(BAR, None)
    assert signal == Signal("IBM", Action.ENTER_LONG, "always", {"mean": 11.0}, 1.0, "test_momentum")
    strategy = Nameless()
    short = strategy.enter_short(BAR, "too high", stop_loss=Decimal(13), target=Decimal(8), confidence=0.7)
    assert (short.action, short.stop_loss, short.target) == (Action.ENTER_SHORT, Decimal(13), Decimal(8))
    assert (short.confidence, short.entry_type) == (0.7, "signal")
    assert strategy.exit(BAR, "enough").action is Action.EXIT
    assert strategy.hold(BAR, "nearly", confidence=0.9).confidence == 0.9


def test_the_example_of_the_base_module_runs_as_written() -> None:
    example = textwrap.dedent("".join(re.findall(r"^(?:    .*)?\n", base.__doc__ or "", re.MULTILINE)))
    names = {**vars(base), "defaultdict": defaultdict, "Sma": Sma, "__name__": "example"}
    exec(example, names)
    strategy = build_strategy("momentum", {"bars": 2})
    held = Position("IBM", "t-1", Side.BUY, Decimal(1), BAR.close, BAR.end)
    lower = replace(BAR, close=Decimal("9.5"))
    assert strategy.on_bar(lower, None) is None
    entry, leave = strategy.on_bar(BAR, None), strategy.on_bar(lower, held)
    assert (entry and entry.reason, leave and leave.action) == ("close 11.00 is above its mean 10.25", Action.EXIT)


def test_an_unknown_strategy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(StrategyError, match="unknown strategy 'brakeout'") as error:
        build_strategy("brakeout")
    assert "breakout, mean_reversion, " in error.value.hint


def test_an_unknown_parameter_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(StrategyError, match="strategy vwap has no parameter bras") as error:
        build_strategy("vwap", {"bras": 3})
    assert error.value.hint == "valid parameters: bars, trend_bars, stop_atr, target_atr"


def test_a_parameter_that_is_needed_and_not_given_is_named() -> None:
    class Needy(Strategy):
        def __init__(self, *, threshold: float) -> None:
            self.threshold = threshold

        def on_bar(self, bar: Bar, position: Position | None) -> Signal | None:
            return None

    globals()["Needy"] = Needy
    with pytest.raises(StrategyError, match="needs threshold"):
        build_strategy(f"{__name__}:Needy")


@pytest.mark.parametrize(
    ("strategy", "parameter", "value"),
    [
        ("breakout", "entry_bars", 1),
        ("breakout", "exit_bars", 0),
        ("breakout", "entry_bars", "20"),
        ("breakout", "entry_bars", 2.5),
        ("breakout", "volume_factor", 0),
        ("breakout", "stop_atr", -1.0),
        ("breakout", "target_atr", float("nan")),
        ("mean_reversion", "oversold", 50),
        ("mean_reversion", "width", True),
        ("mean_reversion", "rsi_bars", 1),
        ("vwap", "stop_atr", float("inf")),
        ("vwap", "trend_bars", None),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(strategy: str, parameter: str, value: Any) -> None:
    with pytest.raises(StrategyError, match=f"parameter {parameter} = ") as error:
        build_strategy(strategy, {parameter: value})
    assert error.value.hint


def test_a_class_can_be_named_by_its_module() -> None:
    assert isinstance(build_strategy("runner.strategies.vwap:VwapCross", {"bars": 5}), named_strategies()["vwap"])


@pytest.mark.parametrize(
    "path", ["no_such_module:Momentum", "runner.strategies.vwap:Nothing", ":Momentum", "runner.strategies.vwap:"]
)
def test_what_cannot_be_imported_is_refused(path: str) -> None:
    with pytest.raises(StrategyError, match="cannot be imported"):
        build_strategy(path)


@pytest.mark.parametrize("path", ["decimal:Decimal", "runner.strategies.base:Strategy", "runner.strategies.vwap:above"])
def test_what_is_not_a_strategy_is_refused(path: str) -> None:
    with pytest.raises(StrategyError, match="is not a strategy"):
        build_strategy(path)


def test_a_strategy_of_ones_own_is_found_in_a_module_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "my_bots.py").write_text(
        "from runner.strategies.base import Strategy\n"
        "class Quiet(Strategy):\n"
        "    name = 'quiet'\n"
        "    def on_bar(self, bar, position):\n"
        "        return None\n"
    )
    code = "from runner.strategies.catalog import build_strategy; print(build_strategy('my_bots:Quiet').name)"
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "quiet\n"


def test_a_name_that_another_strategy_has_is_refused() -> None:
    with pytest.raises(StrategyError, match="two strategies have the name 'vwap'"):
        type("Mine", (Nameless,), {"name": "vwap"})
    assert type(build_strategy("vwap")) in BUILT_IN


def test_defining_the_same_class_again_replaces_it() -> None:
    first = type("Again", (Nameless,), {"name": "again"})
    second = type("Again", (Nameless,), {"name": "again"})
    assert first is not second
    assert named_strategies()["again"] is second


@pytest.mark.parametrize("name", ["", "My Strategy", "a:b", "1st"])
def test_a_name_that_cannot_be_typed_is_refused(name: str) -> None:
    with pytest.raises(StrategyError, match="has the name"):
        type("Odd", (Nameless,), {"name": name})
