"""Trades: one position from entry to exit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from runner.errors import OrderError
from runner.market.orders import Fill


class Outcome(StrEnum):
    OPEN = "open"
    WIN = "win"
    LOSS = "loss"
    BREAKEVEN = "breakeven"


@dataclass(frozen=True, slots=True)
class Trade:
    """A closed trade. Profits and commissions are for the whole quantity, in the quote currency."""

    entry: Fill
    exit: Fill

    def __post_init__(self) -> None:
        first, last = self.entry.order, self.exit.order
        if (first.trade_id, first.symbol, first.side) != (last.trade_id, last.symbol, last.side.opposite):
            raise OrderError(f"order {last.order_id} does not close trade {first.trade_id}")
        if self.entry.quantity != self.exit.quantity:
            raise OrderError(f"trade {first.trade_id}: entered {self.entry.quantity}, left {self.exit.quantity}")
        if self.exit.at < self.entry.at:
            raise OrderError(f"trade {first.trade_id}: left at {self.exit.at}, before its entry at {self.entry.at}")

    @property
    def trade_id(self) -> str:
        return self.entry.order.trade_id

    @property
    def symbol(self) -> str:
        return self.entry.order.symbol

    @property
    def profit(self) -> Decimal:
        """Price difference times quantity, before commissions."""
        return (self.exit.price - self.entry.price) * self.entry.quantity * self.entry.order.side.sign

    @property
    def commission(self) -> Decimal:
        """Of entry and exit."""
        return self.entry.commission + self.exit.commission

    @property
    def net_profit(self) -> Decimal:
        return self.profit - self.commission

    @property
    def slippage(self) -> Decimal:
        """Per unit, of entry and exit; against us when positive."""
        return self.entry.slippage + self.exit.slippage

    @property
    def seconds(self) -> int:
        """How long the position was held, in whole seconds."""
        return int((self.exit.at - self.entry.at).total_seconds())

    @property
    def outcome(self) -> Outcome:
        """By the net profit."""
        net = self.net_profit
        if net == 0:
            return Outcome.BREAKEVEN
        return Outcome.WIN if net > 0 else Outcome.LOSS
