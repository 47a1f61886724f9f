"""The records of orders, fills, positions and trades, as the logger takes them."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from runner.logging.log_types import FillData, OrderData, PositionData, TradeLogData
from runner.market.orders import Fill, Order, OrderStatus, Side, Trigger
from runner.market.positions import Position
from runner.market.signals import Signal
from runner.market.trades import Outcome, Trade


def order_record(order: Order, strategy: str, status: OrderStatus, reason: str) -> OrderData:
    return OrderData(
        order_id=order.order_id,
        symbol=order.symbol,
        side=order.side.value,
        quantity=order.quantity,
        status=status.value,
        trade_id=order.trade_id,
        strategy=strategy,
        order_type="bracket" if order.waits else "market",
        limit_price=order.target,
        reason=reason,
    )


def fill_record(fill: Fill) -> FillData:
    return FillData(
        fill_id=fill.fill_id,
        order_id=fill.order.order_id,
        symbol=fill.order.symbol,
        side=fill.order.side.value,
        quantity=fill.quantity,
        price=fill.price,
        commission=fill.commission,
        slippage=fill.slippage,
        trade_id=fill.order.trade_id,
    )


def open_position_record(position: Position, strategy: str, price: Decimal) -> PositionData:
    """An open position, marked at `price`."""
    return PositionData(
        symbol=position.symbol,
        quantity=position.quantity * position.side.sign,
        entry_price=position.entry_price,
        market_price=price,
        unrealized_pnl=position.unrealized(price),
        realized_pnl=Decimal(0),
        trade_id=position.trade_id,
        strategy=strategy,
        opened_at=position.opened,
        stop_loss=position.stop_loss,
        target=position.target,
    )


def closed_position_record(position: Position, strategy: str, trade: Trade) -> PositionData:
    """A position that its trade closed: quantity 0, and the net profit of the trade as realized."""
    return PositionData(
        symbol=position.symbol,
        quantity=Decimal(0),
        entry_price=position.entry_price,
        market_price=trade.exit.price,
        unrealized_pnl=Decimal(0),
        realized_pnl=trade.net_profit,
        trade_id=position.trade_id,
        strategy=strategy,
        opened_at=position.opened,
        stop_loss=position.stop_loss,
        target=position.target,
    )


def entry_record(signal: Signal, entry: Fill, strategy: str, bot_type: str) -> TradeLogData:
    """A trade as it is entered. `slippage` and `commission` are those of the entry."""
    return TradeLogData(
        trade_id=entry.order.trade_id,
        symbol=entry.order.symbol,
        strategy=strategy,
        bot_type=bot_type,
        direction=direction(entry.order.side),
        quantity=entry.quantity,
        entry_price=entry.price,
        status="open",
        order_id=entry.order.order_id,
        entry_type=signal.entry_type,
        stop_loss=signal.stop_loss,
        target=signal.target,
        reasoning=signal.reason,
        indicators_used=list(signal.indicators),
        risk_reward_ratio=risk_reward(signal, entry),
        outcome=Outcome.OPEN.value,
        slippage=entry.slippage,
        commission=entry.commission,
    )


def exit_record(signal: Signal, trade: Trade, strategy: str, bot_type: str) -> TradeLogData:
    """A trade as it is left: the entry again, and the outcome. `slippage` and `commission` are those of both fills."""
    entry = trade.entry
    return TradeLogData(
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        strategy=strategy,
        bot_type=bot_type,
        direction=direction(entry.order.side),
        quantity=entry.quantity,
        entry_price=entry.price,
        status="closed",
        exit_price=trade.exit.price,
        order_id=entry.order.order_id,
        entry_type=signal.entry_type,
        stop_loss=signal.stop_loss,
        target=signal.target,
        reasoning=signal.reason,
        indicators_used=list(signal.indicators),
        risk_reward_ratio=risk_reward(signal, entry),
        outcome=trade.outcome.value,
        profit_loss=trade.profit,
        hold_duration_seconds=trade.seconds,
        exit_timestamp=trade.exit.at,
        exit_reasoning=exit_reason(trade.exit),
        slippage=trade.slippage,
        commission=trade.commission,
        net_profit_loss=trade.net_profit,
    )


def direction(side: Side) -> Literal["long", "short"]:
    return "long" if side is Side.BUY else "short"


def risk_reward(signal: Signal, entry: Fill) -> float | None:
    """Planned gain / planned loss, counted from the entry's price; None unless both are planned and positive."""
    if signal.stop_loss is None or signal.target is None:
        return None
    risk = (entry.price - signal.stop_loss) * entry.order.side.sign
    reward = (signal.target - entry.price) * entry.order.side.sign
    return round(float(reward / risk), 4) if risk > 0 and reward > 0 else None


def exit_reason(fill: Fill) -> str:
    """Why a fill left its position, in words."""
    match fill.trigger:
        case Trigger.STOP:
            return f"stop {fill.order.stop} was hit"
        case Trigger.TARGET:
            return f"target {fill.order.target} was reached"
        case Trigger.OPEN:
            return fill.order.reason


def bracket_reason(stop: Decimal | None, target: Decimal | None) -> str:
    prices = (("stop", stop), ("target", target))
    return ", ".join(f"{name} {price}" for name, price in prices if price is not None)
