"""Strategies by name: the built-in ones, those defined by the user, and `module:Class`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from runner.errors import StrategyError
from runner.strategies.base import Strategy, named_strategies
from runner.strategies.breakout import Breakout
from runner.strategies.mean_reversion import MeanReversion
from runner.strategies.vwap import VwapCross

BUILT_IN: tuple[type[Strategy], ...] = (Breakout, MeanReversion, VwapCross)


def strategy_names() -> tuple[str, ...]:
    """The names that `build_strategy` knows now, sorted."""
    return tuple(sorted(named_strategies()))


def build_strategy(name: str, parameters: Mapping[str, Any] | None = None) -> Strategy:
    """A new strategy, by its name or as `module:Class`.

    Raises `StrategyError` for an unknown strategy (listing the known ones), an unknown parameter (listing the valid
    ones) and a value that the strategy refuses.
    """
    cls = _imported(name) if ":" in name else _named(name)
    given = dict(parameters or {})
    _check_parameters(cls, given)
    return cls(**given)


def _named(name: str) -> type[Strategy]:
    try:
        return named_strategies()[name]
    except KeyError:
        known = ", ".join(strategy_names())
        raise StrategyError(f"unknown strategy {name!r}", f"use one of {known}, or your own as module:Class") from None


def _imported(path: str) -> type[Strategy]:
    module_name, _, class_name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise StrategyError(f"strategy {path} cannot be imported: {error}", "is its folder on PYTHONPATH?") from error
    if not (isinstance(found, type) and issubclass(found, Strategy)) or inspect.isabstract(found):
        raise StrategyError(f"{path} is not a strategy", "subclass runner.strategies.base.Strategy and write on_bar")
    return found


def _check_parameters(cls: type[Strategy], given: Mapping[str, Any]) -> None:
    accepted = inspect.signature(cls).parameters
    label, valid = cls.name or cls.__qualname__, ", ".join(accepted) or "none"
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in accepted.values()):
        return
    unknown = sorted(set(given) - set(accepted))
    if unknown:
        raise StrategyError(f"strategy {label} has no parameter {', '.join(unknown)}", f"valid parameters: {valid}")
    missing = [
        key for key, parameter in accepted.items() if parameter.default is inspect.Parameter.empty and key not in given
    ]
    if missing:
        raise StrategyError(f"strategy {label} needs {', '.join(missing)}", f"valid parameters: {valid}")
