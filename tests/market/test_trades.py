"""A trade is one entry and one exit, to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from runner.errors import OrderError
from runner.market.orders import Fill, Order, Side
from runner.market.trades import Outcome, Trade

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)


def fill(side: Side, price: str, *, at: datetime = NOON, trade: str = "t1", quantity: str = "10") -> Fill:
    order = Order(f"{trade}-{side}", trade, "AAPL", side, Decimal(quantity), NOON)
    return Fill(f"{order.order_id}-fill", order, order.quantity, Decimal(price), Decimal("0.50"), Decimal("0.01"), at)


def test_a_long_trade_earns_the_rise_less_both_commissions() -> None:
    trade = Trade(fill(Side.BUY, "100.10"), fill(Side.SELL, "101.30", at=NOON + timedelta(minutes=5)))
    assert trade.profit == Decimal("12.00")
    assert trade.commission == Decimal("1.00")
    assert trade.net_profit == Decimal("11.00")
    assert trade.slippage == Decimal("0.02")
    assert trade.seconds == 300
    assert trade.outcome is Outcome.WIN


def test_a_short_trade_earns_the_fall() -> None:
    trade = Trade(fill(Side.SELL, "100"), fill(Side.BUY, "95"))
    assert trade.profit == 50
    assert trade.net_profit == 49


@pytest.mark.parametrize(
    ("price", "outcome"), [("100.2", Outcome.WIN), ("100.1", Outcome.BREAKEVEN), ("100.05", Outcome.LOSS)]
)
def test_the_outcome_goes_by_the_profit_after_commissions(price: str, outcome: Outcome) -> None:
    assert Trade(fill(Side.BUY, "100"), fill(Side.SELL, price)).outcome is outcome


@pytest.mark.parametrize(
    "last",
    [
        fill(Side.BUY, "101"),
        fill(Side.SELL, "101", trade="t2"),
        fill(Side.SELL, "101", quantity="9"),
        fill(Side.SELL, "101", at=NOON - timedelta(seconds=1)),
    ],
    ids=["same side", "other trade", "other quantity", "before the entry"],
)
def test_fills_that_do_not_belong_together_are_no_trade(last: Fill) -> None:
    with pytest.raises(OrderError):
        Trade(fill(Side.BUY, "100"), last)
