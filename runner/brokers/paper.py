"""The paper broker: fills orders from bars, after charges.

A market order fills at the *next* bar's open of its symbol, so a decision never profits from the bar that led to it. An
order that waits for a price fills within the first later bar that trades there: at its price, or at the open when the
market opened beyond it. When one bar reaches stop and target, the stop counts, unless the bar already opened beyond the
target. Opening a position needs its full value and the commission in `buying_power`, long or short; closing one is
always possible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from runner.brokers.base import Mode, Rejection
from runner.brokers.charges import Charges
from runner.errors import ConfigError, OrderError
from runner.market.bars import Bar
from runner.market.instruments import Instrument
from runner.market.orders import Fill, Order, Trigger


class PaperBroker:
    """An account of its own, filled from bars. See the module for the rules."""

    mode: Final[Mode] = "PAPER"

    def __init__(self, cash: Decimal, charges: Charges, instruments: Mapping[str, Instrument]) -> None:
        if not cash.is_finite() or cash <= 0:
            raise ConfigError(f"a paper account cannot start with {cash}", "set a positive broker.cash in tron.toml")
        self._cash = cash
        self._charges = charges
        self._instruments = instruments
        self._waiting: dict[str, list[Order]] = {}
        self._holdings: dict[str, Decimal] = {}
        self._secured: dict[str, Decimal] = {}

    @property
    def cash(self) -> Decimal:
        return self._cash

    @property
    def buying_power(self) -> Decimal:
        return self._cash - sum(self._secured.values(), Decimal(0))

    def submit(self, order: Order) -> None:
        instrument = self._instruments.get(order.symbol)
        if instrument is None:
            raise OrderError(f"{order.symbol} is not traded here", f"known symbols: {', '.join(self._instruments)}")
        if instrument.round_quantity(order.quantity) != order.quantity:
            raise OrderError(f"order {order.order_id}: {order.quantity} is no multiple of {instrument.lot_size}")
        waiting = self._waiting.setdefault(order.symbol, [])
        if any(other.order_id == order.order_id for other in waiting):
            raise OrderError(f"order {order.order_id} was submitted twice")
        waiting.append(order)

    def cancel(self, order_id: str) -> Order | None:
        for waiting in self._waiting.values():
            for order in waiting:
                if order.order_id == order_id:
                    waiting.remove(order)
                    return order
        return None

    def cancel_all(self) -> list[Order]:
        orders = sorted((order for waiting in self._waiting.values() for order in waiting), key=lambda o: o.created)
        self._waiting.clear()
        return orders

    def on_bar(self, bar: Bar) -> Sequence[Fill | Rejection]:
        waiting = self._waiting.get(bar.symbol)
        if not waiting:
            return ()
        answers: list[Fill | Rejection] = []
        still: list[Order] = []
        for order in waiting:
            reached = _reached(order, bar)
            if reached is None:
                still.append(order)
            else:
                answers.append(self._execute(order, *reached))
        self._waiting[bar.symbol] = still
        return answers

    def _execute(self, order: Order, trigger: Trigger, reference: Decimal, at: datetime) -> Fill | Rejection:
        tick = self._instruments[order.symbol].tick_size
        price = self._charges.price(order.side, reference, tick)
        value = order.quantity * price
        commission = self._charges.commission(value, tick)
        if not self._closes(order) and value + commission > self.buying_power:
            reason = (
                f"{order.quantity} {order.symbol} at {price} cost {value + commission}, {self.buying_power} is free"
            )
            return Rejection(order, reason, at)
        self._settle(order, value, commission)
        slippage = (price - reference) * order.side.sign
        return Fill(f"{order.order_id}-fill", order, order.quantity, price, commission, slippage, at, trigger)

    def _closes(self, order: Order) -> bool:
        held = self._holdings.get(order.symbol, Decimal(0))
        return held * order.side.sign < 0 and order.quantity <= abs(held)

    def _settle(self, order: Order, value: Decimal, commission: Decimal) -> None:
        held = self._holdings.get(order.symbol, Decimal(0)) + order.quantity * order.side.sign
        self._cash -= value * order.side.sign + commission
        self._holdings[order.symbol] = held
        if held >= 0:
            self._secured.pop(order.symbol, None)
        elif order.side.sign < 0:
            self._secured[order.symbol] = self._secured.get(order.symbol, Decimal(0)) + 2 * value


def _reached(order: Order, bar: Bar) -> tuple[Trigger, Decimal, datetime] | None:
    """What sets the order off during the bar, the market's price then, and when; None while it waits."""
    if not order.waits:
        return Trigger.OPEN, bar.open, bar.start
    direction = order.side.opposite.sign
    worst, best = (bar.low, bar.high) if direction > 0 else (bar.high, bar.low)
    if order.target is not None and (bar.open - order.target) * direction >= 0:
        return Trigger.TARGET, bar.open, bar.start
    if order.stop is not None and (order.stop - bar.open) * direction >= 0:
        return Trigger.STOP, bar.open, bar.start
    if order.stop is not None and (order.stop - worst) * direction >= 0:
        return Trigger.STOP, order.stop, bar.end
    if order.target is not None and (best - order.target) * direction >= 0:
        return Trigger.TARGET, order.target, bar.end
    return None
