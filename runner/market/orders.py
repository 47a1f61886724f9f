"""Orders and fills."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from runner.errors import OrderError


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderStatus(StrEnum):
    NEW = "new"
    FILLED = "filled"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Trigger(StrEnum):
    """What set an order off: the open of the next bar, or one of its own prices."""

    OPEN = "open"
    STOP = "stop"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Order:
    """A market order; with `stop` or `target`, one that waits until the market trades at either.

    `created` is market time (aware UTC); `trade_id` ties entry and exit of one trade together.
    """

    order_id: str
    trade_id: str
    symbol: str
    side: Side
    quantity: Decimal
    created: datetime
    reason: str = ""
    stop: Decimal | None = None
    target: Decimal | None = None

    def __post_init__(self) -> None:
        if not self.quantity.is_finite() or self.quantity <= 0:
            raise OrderError(f"order {self.order_id}: quantity {self.quantity} must be positive")
        if self.created.tzinfo is None:
            raise OrderError(f"order {self.order_id}: created has no time zone")
        for price in (self.stop, self.target):
            if price is not None and not (price.is_finite() and price > 0):
                raise OrderError(f"order {self.order_id}: stop and target must be positive, not {price}")

    @property
    def waits(self) -> bool:
        """Whether the order waits for a price of its own."""
        return self.stop is not None or self.target is not None


@dataclass(frozen=True, slots=True)
class Fill:
    """What the market did with an order. `slippage` is per unit, against us when positive; `commission` is for all."""

    fill_id: str
    order: Order
    quantity: Decimal
    price: Decimal
    commission: Decimal
    slippage: Decimal
    at: datetime
    trigger: Trigger = Trigger.OPEN

    @property
    def value(self) -> Decimal:
        return self.quantity * self.price
