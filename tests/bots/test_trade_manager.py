"""The trade manager refuses what makes no sense, and never leaves a position without its protection."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from runner.brokers.base import Rejection
from runner.brokers.paper import PaperBroker
from runner.errors import ConfigError, OrderError
from runner.market.bars import Bar
from runner.market.signals import Action, Signal
from runner.trade_manager import TradeManager

ENTRY = Signal("AAPL", Action.ENTER_LONG, "because", stop_loss=Decimal(90))


class MoodyBroker(PaperBroker):
    """Refuses to leave positions at the market while it is in the mood."""

    in_the_mood = True

    def on_bar(self, bar: Bar) -> list[Any]:
        waiting = self._waiting.get(bar.symbol, [])
        refused = [order for order in waiting if self.in_the_mood and order.order_id.endswith(".3")]
        for order in refused:
            self.cancel(order.order_id)
        return [Rejection(order, "not today", bar.end) for order in refused] or list(super().on_bar(bar))


class BrokenBroker(PaperBroker):
    """Loses count of its cash."""

    cash = Decimal("NaN")  # type: ignore[assignment]  # a broker that lies


def manager(workshop: Any) -> TradeManager:
    workshop.bot({})
    return TradeManager(
        bot="tester",
        bot_type="stock-trader",
        strategy="script",
        broker=workshop.broker,
        logger=workshop.recorder,
        clock=workshop.market,
    )


def test_a_symbol_has_one_entry_on_order_at_most(workshop: Any) -> None:
    trades = manager(workshop)
    trades.enter(ENTRY, Decimal(1))
    with pytest.raises(OrderError, match="position or an order in AAPL already"):
        trades.enter(ENTRY, Decimal(1))


def test_only_an_open_position_can_be_left_and_only_once(workshop: Any) -> None:
    trades = manager(workshop)
    with pytest.raises(OrderError, match="no position in AAPL"):
        trades.exit("AAPL", "nothing there")
    trades.enter(ENTRY, Decimal(1))
    trades.on_bar(workshop.bars("100")[0])
    trades.exit("AAPL", "enough")
    assert trades.leaves("AAPL")
    with pytest.raises(OrderError, match="no position in AAPL"):
        trades.exit("AAPL", "again")


def test_positions_can_be_read_and_not_changed(workshop: Any) -> None:
    with pytest.raises(TypeError):
        manager(workshop).positions["AAPL"] = None  # type: ignore[index]  # this is what must fail


def test_a_refused_exit_puts_the_stop_back_in_place(workshop: Any) -> None:
    bot = workshop.bot({1: ("enter_long", {"stop_loss": Decimal(90)}), 2: "exit"})
    workshop.broker.__class__ = MoodyBroker
    workshop.feed(bot, workshop.bars("100", "100", "100", "100 100 80 85"))
    orders = [(order.order_id[-1], order.status) for order in workshop.recorder.of("order")]
    assert orders == [("1", "new"), ("2", "new"), ("2", "cancelled"), ("3", "new"), ("3", "rejected"), ("4", "new")]
    (left,) = workshop.recorder.of("trade_exit")
    assert (left.exit_price, left.exit_reasoning) == (90, "stop 90 was hit")


def test_a_broker_that_reports_no_finite_equity_halts_the_bot(workshop: Any) -> None:
    bot = workshop.bot({1: "enter_long"})
    bot.start()
    first, second, third = workshop.bars("100", "100", "100")
    bot.on_bar(first)
    workshop.broker.__class__ = BrokenBroker
    bot.on_bar(second)
    workshop.broker.__class__ = PaperBroker
    bot.on_bar(third)
    bot.finish()
    assert bot.status.halted == "equity is NaN"
    (event,) = workshop.recorder.of("risk_event")
    assert event.daily_pnl is None
    assert len(workshop.recorder.of("trade_exit")) == 1


def test_a_bot_without_symbols_is_refused(workshop: Any) -> None:
    with pytest.raises(ConfigError, match="has no symbols"):
        workshop.bot({}, symbols=[])
