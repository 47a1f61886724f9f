"""The base of every strategy.

    class Momentum(Strategy):
        name = "momentum"

        def __init__(self, *, bars: int = 20) -> None:
            self.means = defaultdict(lambda: Sma(bars))

        def on_bar(self, bar: Bar, position: Position | None) -> Signal | None:
            close, mean = float(bar.close), self.means[bar.symbol].update(float(bar.close))
            if mean is not None and position is None and close > mean:
                return self.enter_long(bar, f"close {close:.2f} is above its mean {mean:.2f}", mean=mean)
            if mean is not None and position is not None and close < mean:
                return self.exit(bar, f"close {close:.2f} is below its mean {mean:.2f}", mean=mean)
            return None

Subclasses with a `name` can be built by that name (`runner.strategies.catalog`). Parameters are keyword parameters of
`__init__`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from decimal import Decimal
from types import MappingProxyType
from typing import ClassVar

from runner.errors import StrategyError
from runner.market.bars import Bar
from runner.market.positions import Position
from runner.market.signals import Action, Signal

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_named: dict[str, type[Strategy]] = {}


class Strategy(ABC):
    """One instance serves one bot and all its symbols; keep what is remembered apart by symbol."""

    name: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" in vars(cls):
            _register(cls)

    @abstractmethod
    def on_bar(self, bar: Bar, position: Position | None) -> Signal | None:
        """Called once for each completed bar, in order. `position` is what the bot holds of its symbol, if anything.

        Returns what to do, or None. Stop loss and target of an entry are executed by the bot; `hold` records an
        opportunity that was seen and not taken.
        """

    def enter_long(
        self,
        bar: Bar,
        reason: str,
        *,
        stop_loss: Decimal | None = None,
        target: Decimal | None = None,
        confidence: float = 1.0,
        **indicators: float | None,
    ) -> Signal:
        """Buy the symbol of `bar`. `indicators` are the numbers that the reason rests on."""
        return Signal(
            bar.symbol, Action.ENTER_LONG, reason, indicators, confidence, self.name or "signal", stop_loss, target
        )

    def enter_short(
        self,
        bar: Bar,
        reason: str,
        *,
        stop_loss: Decimal | None = None,
        target: Decimal | None = None,
        confidence: float = 1.0,
        **indicators: float | None,
    ) -> Signal:
        """Sell the symbol of `bar` without holding it."""
        return Signal(
            bar.symbol, Action.ENTER_SHORT, reason, indicators, confidence, self.name or "signal", stop_loss, target
        )

    def exit(self, bar: Bar, reason: str, *, confidence: float = 1.0, **indicators: float | None) -> Signal:
        """Close the position in the symbol of `bar`."""
        return Signal(bar.symbol, Action.EXIT, reason, indicators, confidence, self.name or "signal")

    def hold(self, bar: Bar, reason: str, *, confidence: float, **indicators: float | None) -> Signal:
        """Do nothing, and have it recorded: `confidence` (0-1) says how near it was."""
        return Signal(bar.symbol, Action.HOLD, reason, indicators, confidence, self.name or "signal")


def named_strategies() -> MappingProxyType[str, type[Strategy]]:
    """Every strategy class defined so far, by name."""
    return MappingProxyType(_named)


def _register(cls: type[Strategy]) -> None:
    """Make the class known by its name. Defining the same class again, as in a notebook, replaces it."""
    if not _NAME.fullmatch(cls.name):
        raise StrategyError(
            f"{cls.__qualname__} has the name {cls.name!r}", "use small letters, digits, _ and -, such as my_momentum"
        )
    other = _named.get(cls.name, cls)
    if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise StrategyError(
            f"two strategies have the name {cls.name!r}: {other.__module__}:{other.__qualname__} and "
            f"{cls.__module__}:{cls.__qualname__}",
            "rename one of them",
        )
    _named[cls.name] = cls
