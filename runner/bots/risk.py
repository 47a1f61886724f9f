"""Risk limits as pure decisions: how much may be entered (`review`), and whether trading must stop (`find_breach`)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from runner.bots.portfolio import Standing
from runner.market.instruments import Instrument
from runner.settings import Risk

_SPENDABLE = Decimal("0.99")
"""The part of the buying power that an entry may plan with; the rest is for charges and for a worse price."""


class Limit(StrEnum):
    """What stopped an entry or a bot. Settings carry the same names, where there is one."""

    EQUITY = "equity"
    DAILY_LOSS = "max_daily_loss_pct"
    DRAWDOWN = "max_drawdown_pct"
    LOSS_STREAK = "max_consecutive_losses"
    OPEN_POSITIONS = "max_open_positions"
    POSITION_SIZE = "max_position_pct"
    ORDER_QUANTITY = "max_order_quantity"
    STRATEGY = "strategy"
    STATE = "state"
    HALTED = "halted"


@dataclass(frozen=True, slots=True)
class Approved:
    """The entry may be ordered, with this quantity."""

    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Vetoed:
    """The entry must not be ordered."""

    limit: Limit
    reason: str


@dataclass(frozen=True, slots=True)
class Breach:
    """A breaker was crossed: the bot must halt."""

    limit: Limit
    reason: str


def review(instrument: Instrument, price: Decimal, standing: Standing, limits: Risk) -> Approved | Vetoed:
    """Decide on an entry at about `price`.

    The quantity is the largest multiple of the lot that keeps `max_position_pct` of equity, `max_order_quantity` and
    the buying power.
    """
    if standing.open_positions >= limits.max_open_positions:
        return Vetoed(Limit.OPEN_POSITIONS, f"{standing.open_positions} positions are open or on order already")
    share = standing.equity * limits.max_position_pct / 100
    budget = min(share, standing.buying_power * _SPENDABLE)
    quantity = instrument.round_quantity(min(budget / price, limits.max_order_quantity))
    if quantity > 0:
        return Approved(quantity)
    if limits.max_order_quantity < instrument.lot_size:
        return Vetoed(Limit.ORDER_QUANTITY, f"at most {limits.max_order_quantity}, but a lot is {instrument.lot_size}")
    return Vetoed(Limit.POSITION_SIZE, f"{max(budget, Decimal(0)):.2f} buys no lot of {instrument.symbol} at {price}")


def find_breach(standing: Standing, limits: Risk) -> Breach | None:
    """The first breaker that is crossed, looking at realised plus unrealised equity; None while all hold."""
    if not standing.equity.is_finite() or standing.equity <= 0:
        return Breach(Limit.EQUITY, f"equity is {standing.equity}")
    if standing.day_profit_pct <= -limits.max_daily_loss_pct:
        reason = f"lost {-standing.day_profit_pct:.2f} % today, the limit is {limits.max_daily_loss_pct} %"
        return Breach(Limit.DAILY_LOSS, reason)
    if standing.drawdown_pct <= -limits.max_drawdown_pct:
        reason = f"{-standing.drawdown_pct:.2f} % below the highest equity, the limit is {limits.max_drawdown_pct} %"
        return Breach(Limit.DRAWDOWN, reason)
    if standing.loss_streak >= limits.max_consecutive_losses:
        reason = f"{standing.loss_streak} losses in a row, the limit is {limits.max_consecutive_losses}"
        return Breach(Limit.LOSS_STREAK, reason)
    return None
