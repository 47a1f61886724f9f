"""What a strategy says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from runner.errors import StrategyError


class Action(StrEnum):
    ENTER_LONG = "enter_long"
    ENTER_SHORT = "enter_short"
    EXIT = "exit"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Signal:
    """What to do about a symbol now, and why.

    `HOLD` with a reason is a signal that was not taken: `confidence` (0-1) says how near it came. `indicators` are the
    values that the reason rests on.
    """

    symbol: str
    action: Action
    reason: str
    indicators: Mapping[str, float | None] = field(default_factory=dict)
    confidence: float = 1.0
    entry_type: str = "signal"
    stop_loss: Decimal | None = None
    target: Decimal | None = None

    def __post_init__(self) -> None:
        if not self.reason:
            raise StrategyError(
                f"signal {self.action} for {self.symbol} has no reason", "say why: Signal(..., reason=...)"
            )
        if not 0.0 <= self.confidence <= 1.0:
            raise StrategyError(f"signal for {self.symbol}: confidence {self.confidence} is outside 0-1")
