"""What a bot does bar by bar: entries, exits, stops, targets, and the records of each."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from runner.brokers.charges import Charges
from runner.market.instruments import AssetClass
from runner.market.signals import Action, Signal

COSTLY = Charges(fee_bps=Decimal(10), slippage_bps=Decimal(0))
DAY = timedelta(days=1)


def statuses(workshop: Any) -> list[tuple[str, str]]:
    return [(order.order_id.rsplit(".")[-1], order.status) for order in workshop.recorder.of("order")]


def test_a_signal_at_the_close_is_filled_at_the_next_open_and_never_at_its_own_bar(workshop: Any) -> None:
    bot = workshop.bot({1: "enter_long", 3: "exit"})
    workshop.feed(bot, workshop.bars("100 101 99 100", "105 106 104 105", "107 109 106 108", "110 111 109 110"))
    assert [fill.price for fill in workshop.recorder.of("fill")] == [105, 110]


def test_an_entry_and_its_exit_are_recorded_exactly(workshop: Any) -> None:
    stop, target = Decimal("90"), Decimal("150")
    script = {1: ("enter_long", {"stop_loss": stop, "target": target}), 3: "exit"}
    workshop.feed(workshop.bot(script, charges=COSTLY), workshop.bars("100", "110", "112", "120"))
    (entry,) = workshop.recorder.of("trade_entry")
    (left,) = workshop.recorder.of("trade_exit")
    assert entry.trade_id == "tester-AAPL-20240103T000000-1-0000abcd"
    assert (entry.order_id, entry.status, entry.outcome, entry.direction) == (
        f"{entry.trade_id}.1",
        "open",
        "open",
        "long",
    )
    assert (entry.quantity, entry.entry_price, entry.commission) == (50, 110, Decimal("5.50"))
    assert (entry.reasoning, entry.indicators_used, entry.risk_reward_ratio) == ("line 1", ["count"], 2.0)
    assert (left.trade_id, left.order_id, left.entry_price) == (entry.trade_id, entry.order_id, entry.entry_price)
    assert (left.exit_price, left.outcome, left.status) == (120, "win", "closed")
    assert (left.profit_loss, left.commission, left.net_profit_loss) == (500, Decimal("11.50"), Decimal("488.50"))
    assert (left.hold_duration_seconds, left.exit_timestamp) == (2 * 86_400, workshop.bars("1", skip=3)[0].start)
    assert (left.exit_reasoning, left.risk_reward_ratio) == ("line 3", 2.0)


def test_records_of_fills_carry_the_market_time_of_the_fill(workshop: Any) -> None:
    bars = workshop.bars("100", "110 120 110 110", "112", "120")
    script = {1: ("enter_long", {"target": Decimal(111)})}
    workshop.feed(workshop.bot(script), bars)
    booked = [
        (name, at)
        for (name, _, _), at in zip(workshop.recorder.calls, workshop.recorder.times, strict=True)
        if name in ("fill", "trade_entry", "trade_exit")
    ]
    assert booked == [
        ("fill", bars[1].start),
        ("trade_entry", bars[1].start),
        ("fill", bars[2].start),
        ("trade_exit", bars[2].start),
    ]
    assert workshop.market.now() == bars[-1].end


@pytest.mark.parametrize(
    ("second", "third", "price", "why"),
    [
        ("100", "100 101 94 100", "95", "stop 95 was hit"),
        ("100", "93 94 92 93", "93", "stop 95 was hit"),
        ("100", "100 111 99 100", "110", "target 110 was reached"),
        ("100", "100 111 94 100", "95", "stop 95 was hit"),
    ],
    ids=["stop", "gap through the stop", "target", "both in one bar"],
)
def test_stops_and_targets_are_executed_by_the_bot(
    workshop: Any, second: str, third: str, price: str, why: str
) -> None:
    script = {1: ("enter_long", {"stop_loss": Decimal(95), "target": Decimal(110)})}
    workshop.feed(workshop.bot(script), workshop.bars("100", second, third))
    (left,) = workshop.recorder.of("trade_exit")
    assert (left.exit_price, left.exit_reasoning) == (Decimal(price), why)
    assert statuses(workshop) == [("1", "new"), ("2", "new")]


def test_leaving_at_the_market_takes_the_bracket_back_first(workshop: Any) -> None:
    script = {1: ("enter_long", {"stop_loss": Decimal(95)}), 2: "exit"}
    workshop.feed(workshop.bot(script), workshop.bars("100", "100", "96 100 90 100", "100"))
    assert statuses(workshop) == [("1", "new"), ("2", "new"), ("2", "cancelled"), ("3", "new")]
    assert [left.exit_price for left in workshop.recorder.of("trade_exit")] == [96]


def test_a_short_position_earns_when_the_price_falls(workshop: Any) -> None:
    bot = workshop.feed(workshop.bot({1: "enter_short", 2: "exit"}), workshop.bars("100", "100", "80"))
    (left,) = workshop.recorder.of("trade_exit")
    assert (left.direction, left.net_profit_loss) == ("short", 1000)
    assert bot.status.equity == 11_000


def test_position_records_are_signed_and_end_at_zero_with_the_realized_profit(workshop: Any) -> None:
    workshop.feed(workshop.bot({1: "enter_short", 3: "exit"}), workshop.bars("100", "100", "90", "80"))
    positions = workshop.recorder.of("position")
    assert [position.quantity for position in positions] == [-50, -50, -50, 0]
    assert [position.unrealized_pnl for position in positions] == [0, 0, 500, 0]
    assert positions[-1].realized_pnl == 1000


def test_an_open_position_stays_open_at_the_end_and_is_reported_as_open(workshop: Any) -> None:
    script = {1: ("enter_long", {"stop_loss": Decimal(50)})}
    bot = workshop.feed(workshop.bot(script), workshop.bars("100", "100", "110"))
    assert (bot.status.open_positions, bot.status.trades, bot.status.unrealized) == (1, 0, 500)
    assert statuses(workshop)[-1] == ("2", "cancelled")
    assert workshop.recorder.of("position")[-1].unrealized_pnl == 500


def test_an_entry_on_order_at_the_end_is_cancelled(workshop: Any) -> None:
    bot = workshop.feed(workshop.bot({2: "enter_long"}), workshop.bars("100", "100"))
    assert statuses(workshop) == [("1", "new"), ("1", "cancelled")]
    assert bot.status.open_positions == 0


def test_an_entry_that_the_cash_no_longer_covers_is_rejected_and_may_be_tried_again(workshop: Any) -> None:
    script = {1: "enter_long", 2: "enter_long"}
    bot = workshop.feed(workshop.bot(script, max_position_pct=100), workshop.bars("100", "150", "150"))
    assert [status for _, status in statuses(workshop)] == ["new", "rejected", "new"]
    assert workshop.recorder.of("order")[1].reason == "99 AAPL at 150.00 cost 14850.00, 10000 is free"
    assert bot.status.open_positions == 1


def test_symbols_with_a_slash_trade_in_fractions_and_their_ids_hold_no_slash(workshop: Any) -> None:
    bot = workshop.bot({1: "enter_long", 2: "exit"}, symbols=["BTC/USDT"], asset_class=AssetClass.CRYPTO)
    workshop.feed(bot, workshop.bars("30000", "30000", "30000", symbol="BTC/USDT"))
    (entry,) = workshop.recorder.of("trade_entry")
    assert entry.trade_id == "tester-BTC_USDT-20240103T000000-1-0000abcd"
    assert entry.quantity == Decimal("0.16666666")


def test_two_runs_over_the_same_bars_say_the_same_but_for_the_run(workshop: Any) -> None:
    told = []
    for run in ("0190f2b4-0000-7000-8000-0000aaaaaaaa", "0190f2b4-0000-7000-8000-0000bbbbbbbb"):
        workshop.recorder.run, workshop.recorder.calls = run, []
        workshop.feed(workshop.bot({1: "enter_long", 3: "exit"}, charges=COSTLY), workshop.bars("10", "11", "12", "13"))
        told.append((repr(workshop.recorder.calls), run[-8:]))
    assert told[0][0] != told[1][0]
    assert told[0][0].replace(told[0][1], "") == told[1][0].replace(told[1][1], "")


def test_every_decision_is_recorded_with_its_reason_and_indicators(workshop: Any) -> None:
    script = {
        1: ("hold", {"confidence": 0.9}),
        2: "enter_long",
        3: "enter_long",
        4: "exit",
        5: "exit",
        6: "enter_short",
    }
    workshop.feed(workshop.bot(script, max_open_positions=1), workshop.bars(*["100"] * 6))
    decisions = workshop.recorder.of("cognitive_decision")
    assert [(each.action, each.outcome) for each in decisions] == [
        ("hold", "near"),
        ("enter_long", "taken"),
        ("enter_long", "skipped"),
        ("exit", "taken"),
        ("exit", "skipped"),
        ("enter_short", "taken"),
    ]
    assert decisions[0].confidence == 0.9
    assert decisions[1].indicators == {"count": 2.0}
    assert decisions[1].trade_id == workshop.recorder.of("trade_entry")[0].trade_id
    assert len({each.decision_id for each in decisions}) == 6


def test_a_strategy_that_repeats_itself_is_one_decision_until_it_falls_silent(workshop: Any) -> None:
    script = {number: "enter_long" for number in (1, 2, 3, 4, 6)} | {7: "exit", 8: "exit", 10: "exit"}
    workshop.feed(workshop.bot(script, cash="50"), workshop.bars(*["100"] * 10))
    decisions = workshop.recorder.of("cognitive_decision")
    assert [(each.outcome, each.vetoed_by) for each in decisions] == [
        ("vetoed", "max_position_pct"),
        ("vetoed", "max_position_pct"),
        ("skipped", None),
        ("skipped", None),
    ]


def test_the_strategy_sees_the_position_that_the_bot_holds(workshop: Any) -> None:
    bot = workshop.bot({1: "enter_long", 2: "exit"})
    strategy = bot._strategy
    workshop.feed(bot, workshop.bars("100", "101", "102"))
    assert [position and position.entry_price for position in strategy.positions] == [None, 101, None]


def test_a_strategy_that_fails_is_recorded_and_halts_its_bot_which_leaves_its_positions(workshop: Any) -> None:
    bot = workshop.bot({1: "enter_long", 2: ZeroDivisionError("no volume")})
    workshop.feed(bot, workshop.bars("100", "100", "90", "80"))
    (error,) = workshop.recorder.of("error")
    assert isinstance(error[0], ZeroDivisionError)
    assert bot.status.halted == "script failed: ZeroDivisionError: no volume"
    assert [left.exit_price for left in workshop.recorder.of("trade_exit")] == [90]
    assert bot.status.bars == 4


@pytest.mark.parametrize(
    "signal",
    [
        Signal("IBM", Action.ENTER_LONG, "wrong symbol"),
        Signal("AAPL", Action.ENTER_LONG, "no number", stop_loss=Decimal("NaN")),
        Signal("AAPL", Action.ENTER_LONG, "below zero", target=Decimal(-1)),
    ],
    ids=lambda signal: signal.reason,
)
def test_a_signal_that_makes_no_sense_halts_the_bot_before_anything_is_ordered(workshop: Any, signal: Signal) -> None:
    bot = workshop.feed(workshop.bot({1: signal}), workshop.bars("100", "100"))
    assert "StrategyError" in bot.status.halted
    assert workshop.recorder.of("order") == []
