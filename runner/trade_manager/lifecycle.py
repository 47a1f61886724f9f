"""The life of a trade: the conversation with the broker from signal to exit, and its bookkeeping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from runner.brokers.base import Broker, Rejection
from runner.clock import ManualClock
from runner.errors import OrderError
from runner.logging.core_logger import TradingLogger
from runner.market.bars import Bar
from runner.market.orders import Fill, Order, OrderStatus, Side
from runner.market.positions import Position
from runner.market.signals import Action, Signal
from runner.market.trades import Trade
from runner.trade_manager import records
from runner.trade_manager.tally import Tally


@dataclass(slots=True)
class _Plan:
    """A trade from signal to exit: why it is entered, how many orders it had, and those that wait at the broker."""

    signal: Signal
    trade_id: str
    orders: int = 0
    entry: Order | None = None
    bracket: Order | None = None
    exit: Order | None = None
    entered: Fill | None = None


class TradeManager:
    """The orders, positions and trades of one bot. `clock` is market time, also of the logger."""

    def __init__(
        self, *, bot: str, bot_type: str, strategy: str, broker: Broker, logger: TradingLogger, clock: ManualClock
    ) -> None:
        self.tally = Tally()
        self._bot = bot
        self._bot_type = bot_type
        self._strategy = strategy
        self._broker = broker
        self._logger = logger
        self._clock = clock
        self._run8 = logger.run[-8:]
        self._entries = 0
        self._plans: dict[str, _Plan] = {}
        self._positions: dict[str, Position] = {}

    @property
    def positions(self) -> Mapping[str, Position]:
        """Open positions by symbol."""
        return MappingProxyType(self._positions)

    @property
    def entering(self) -> dict[str, Order]:
        """Entry orders that wait to be filled, by symbol."""
        return {symbol: plan.entry for symbol, plan in self._plans.items() if plan.entry is not None}

    def leaves(self, symbol: str) -> bool:
        """Whether an order to leave the position of `symbol` at the market is on its way."""
        return symbol in self._plans and self._plans[symbol].exit is not None

    def enter(self, signal: Signal, quantity: Decimal) -> Order:
        """Order the position that the signal asks for. Raises `OrderError` where one is open or on order already."""
        if signal.symbol in self._plans:
            raise OrderError(f"{self._bot} has a position or an order in {signal.symbol} already")
        side = Side.SELL if signal.action is Action.ENTER_SHORT else Side.BUY
        plan = self._plans[signal.symbol] = _Plan(signal, self._next_trade_id(signal.symbol))
        plan.entry = self._submit(plan, side, quantity, signal.reason)
        return plan.entry

    def exit(self, symbol: str, reason: str) -> Order:
        """Order to leave the position of `symbol` at the market. Raises `OrderError` where there is none to leave."""
        position = self._positions.get(symbol)
        if position is None or self.leaves(symbol):
            raise OrderError(f"{self._bot} has no position in {symbol} that it could leave")
        plan = self._plans[symbol]
        if plan.bracket is not None:
            self._cancel(plan.bracket, "the position is left at the market")
            plan.bracket = None
        plan.exit = self._submit(plan, position.side.opposite, position.quantity, reason)
        return plan.exit

    def on_bar(self, bar: Bar) -> Sequence[Fill | Rejection]:
        """Let the broker work through a bar, and book what happened, at the market time at which it did; returns it."""
        answers = self._broker.on_bar(bar)
        for answer in answers:
            self._clock.set(answer.at)
            if isinstance(answer, Fill):
                self._filled(answer)
            else:
                self._rejected(answer)
        if answers:
            self._clock.set(bar.end)
        return answers

    def cancel_entries(self, reason: str) -> None:
        """Take back every entry order that is not filled yet."""
        for symbol, order in self.entering.items():
            self._cancel(order, reason)
            del self._plans[symbol]

    def cancel_all(self, reason: str) -> None:
        """Take back every waiting order. Open positions stay open."""
        self.cancel_entries(reason)
        for order in self._broker.cancel_all():
            self._record_order(order, OrderStatus.CANCELLED, reason)
        for plan in self._plans.values():
            plan.bracket = plan.exit = None

    def record_position(self, symbol: str, price: Decimal) -> None:
        """Record the open position of `symbol`, marked at `price`."""
        self._logger.log_position(records.open_position_record(self._positions[symbol], self._strategy, price))

    def _next_trade_id(self, symbol: str) -> str:
        self._entries += 1
        name = symbol.replace("/", "_")
        return f"{self._bot}-{name}-{self._clock.now():%Y%m%dT%H%M%S}-{self._entries}-{self._run8}"

    def _submit(
        self,
        plan: _Plan,
        side: Side,
        quantity: Decimal,
        reason: str,
        stop: Decimal | None = None,
        target: Decimal | None = None,
    ) -> Order:
        plan.orders += 1
        order = Order(
            order_id=f"{plan.trade_id}.{plan.orders}",
            trade_id=plan.trade_id,
            symbol=plan.signal.symbol,
            side=side,
            quantity=quantity,
            created=self._clock.now(),
            reason=reason,
            stop=stop,
            target=target,
        )
        self._record_order(order, OrderStatus.NEW, reason)
        self._broker.submit(order)
        return order

    def _protect(self, plan: _Plan, position: Position) -> None:
        """Submit the bracket of a position that has a stop or a target."""
        stop, target = position.stop_loss, position.target
        if stop is None and target is None:
            return
        reason = records.bracket_reason(stop, target)
        plan.bracket = self._submit(plan, position.side.opposite, position.quantity, reason, stop, target)

    def _cancel(self, order: Order, reason: str) -> None:
        if self._broker.cancel(order.order_id) is not None:
            self._record_order(order, OrderStatus.CANCELLED, reason)

    def _filled(self, fill: Fill) -> None:
        self.tally.add_fill(fill)
        self._logger.log_fill(records.fill_record(fill))
        plan = self._plans[fill.order.symbol]
        if plan.entered is None:
            self._opened(plan, fill)
        else:
            self._closed(plan, Trade(plan.entered, fill))

    def _opened(self, plan: _Plan, fill: Fill) -> None:
        plan.entry, plan.entered = None, fill
        position = Position(
            symbol=fill.order.symbol,
            trade_id=plan.trade_id,
            side=fill.order.side,
            quantity=fill.quantity,
            entry_price=fill.price,
            opened=fill.at,
            commission=fill.commission,
            stop_loss=plan.signal.stop_loss,
            target=plan.signal.target,
        )
        self._positions[position.symbol] = position
        entry = records.entry_record(plan.signal, fill, self._strategy, self._bot_type)
        self._logger.log_trade_entry(entry)
        self._logger.log_position(records.open_position_record(position, self._strategy, fill.price))
        self._protect(plan, position)

    def _closed(self, plan: _Plan, trade: Trade) -> None:
        del self._plans[trade.symbol]
        position = self._positions.pop(trade.symbol)
        self.tally.add_trade(trade)
        self._logger.log_trade_exit(records.exit_record(plan.signal, trade, self._strategy, self._bot_type))
        self._logger.log_position(records.closed_position_record(position, self._strategy, trade))

    def _rejected(self, rejection: Rejection) -> None:
        order = rejection.order
        self._record_order(order, OrderStatus.REJECTED, rejection.reason)
        plan = self._plans[order.symbol]
        if plan.entered is None:
            del self._plans[order.symbol]
            return
        plan.exit = plan.bracket = None
        self._protect(plan, self._positions[order.symbol])

    def _record_order(self, order: Order, status: OrderStatus, reason: str) -> None:
        self._logger.log_order(records.order_record(order, self._strategy, status, reason))
