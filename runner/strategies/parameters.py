"""Checks of strategy parameters, which arrive as written in a settings file."""

from __future__ import annotations

from runner.errors import StrategyError


def whole(name: str, value: object, *, at_least: int) -> int:
    """A whole number of at least `at_least`, or `StrategyError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise StrategyError(f"parameter {name} = {value!r} is not valid", f"use a whole number from {at_least} up")
    return value


def number(name: str, value: object, *, above: float, at_most: float = 1e6) -> float:
    """A number in (above, at_most], or `StrategyError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not above < value <= at_most:
        raise StrategyError(
            f"parameter {name} = {value!r} is not valid", f"use a number above {above:g}, up to {at_most:g}"
        )
    return float(value)
