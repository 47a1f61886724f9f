"""What a bot asks of a broker.

A bot tells its broker what it wants (`submit`, `cancel`) and hears with each bar what became of it (`on_bar`). An order
is filled whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

from runner.market.bars import Bar
from runner.market.orders import Fill, Order

Mode = Literal["PAPER", "LIVE"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """The broker will not fill `order`, for a reason that a person can read. `at` is market time."""

    order: Order
    reason: str
    at: datetime


class Broker(Protocol):
    @property
    def mode(self) -> Mode: ...

    @property
    def cash(self) -> Decimal:
        """Money in the account, in the quote currency; it includes what short sales brought in."""
        ...

    @property
    def buying_power(self) -> Decimal:
        """What new positions may cost now: cash without what secures short positions."""
        ...

    def submit(self, order: Order) -> None:
        """Place an order. Raises `OrderError` when it can never be filled: its symbol, its lot or its id is wrong."""
        ...

    def cancel(self, order_id: str) -> Order | None:
        """Take an order back; None when it is not waiting any more."""
        ...

    def cancel_all(self) -> list[Order]:
        """Take back every waiting order, oldest first."""
        ...

    def on_bar(self, bar: Bar) -> Sequence[Fill | Rejection]:
        """What happened to the orders of `bar.symbol` during this bar, in the order in which it happened."""
        ...
