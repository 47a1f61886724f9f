"""Positions: one per symbol (netting)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from runner.market.orders import Side


@dataclass(frozen=True, slots=True)
class Position:
    """An open position. `quantity` is positive; `side` BUY is long, SELL short. `entry_price` is the average fill."""

    symbol: str
    trade_id: str
    side: Side
    quantity: Decimal
    entry_price: Decimal
    opened: datetime
    commission: Decimal = Decimal(0)
    stop_loss: Decimal | None = None
    target: Decimal | None = None

    def unrealized(self, price: Decimal) -> Decimal:
        """Profit at `price`, before any exit commission."""
        return (price - self.entry_price) * self.quantity * self.side.sign

    def value(self, price: Decimal) -> Decimal:
        """Signed market value at `price`: negative when short."""
        return price * self.quantity * self.side.sign
