"""Price bars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from runner.errors import FeedError

_HINT = "prices must be positive and finite with low <= open, close <= high, and volume must not be negative"


@dataclass(frozen=True, slots=True)
class Bar:
    """Prices of one symbol over `[start, start + length)`. `start` is aware UTC. Prices are in the quote currency."""

    symbol: str
    start: datetime
    length: timedelta
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise FeedError(f"{self.symbol}: bar at {self.start} has no time zone", "stamp bars in UTC")
        if not (
            self.open.is_finite()
            and self.high.is_finite()
            and self.low.is_finite()
            and self.close.is_finite()
            and self.volume.is_finite()
        ):
            raise FeedError(f"{self.symbol}: bar at {self.start} has a price that is not a number", _HINT)
        if not (0 < self.low <= self.open <= self.high and self.low <= self.close <= self.high and self.volume >= 0):
            raise FeedError(f"{self.symbol}: bar at {self.start} has impossible prices", _HINT)

    @property
    def end(self) -> datetime:
        """When the bar is complete: the earliest moment at which its close is known."""
        return self.start + self.length
