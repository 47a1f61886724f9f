"""Risk limits: what they approve, what they veto, and when they halt a bot for good."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.bots.halts import Halt, read_halt, resume, write_halt
from runner.bots.portfolio import Standing
from runner.bots.risk import Approved, Limit, Vetoed, find_breach, review
from runner.errors import ConfigError
from runner.layout import Home
from runner.market.instruments import AssetClass, instrument_of
from runner.settings import Risk

AAPL = instrument_of("AAPL", AssetClass.STOCK)
LIMITS = Risk(
    max_position_pct=Decimal(20),
    max_daily_loss_pct=Decimal(5),
    max_drawdown_pct=Decimal(25),
    max_consecutive_losses=3,
    max_open_positions=2,
    max_order_quantity=Decimal(500),
)


def standing(**changes: Any) -> Standing:
    usual = {"equity": 10_000, "buying_power": 10_000, "peak": 10_000, "day_start": 10_000}
    values = {name: Decimal(value) for name, value in usual.items()}
    return Standing(**({**values, "loss_streak": 0, "open_positions": 0} | changes))


def test_an_entry_gets_its_share_of_equity_in_whole_lots() -> None:
    assert review(AAPL, Decimal("33.30"), standing(), LIMITS) == Approved(Decimal(60))
    bitcoin = instrument_of("BTCUSDT", AssetClass.CRYPTO)
    assert review(bitcoin, Decimal(30_000), standing(), LIMITS) == Approved(Decimal("0.06666666"))


def test_an_entry_is_cut_to_the_largest_order_and_to_the_money_that_is_free() -> None:
    assert review(AAPL, Decimal(1), standing(), LIMITS) == Approved(Decimal(500))
    assert review(AAPL, Decimal(10), standing(buying_power=Decimal(1000)), LIMITS) == Approved(Decimal(99))


def test_an_entry_too_small_for_a_lot_or_one_position_too_many_is_vetoed() -> None:
    poor = review(AAPL, Decimal(2001), standing(), LIMITS)
    assert poor == Vetoed(Limit.POSITION_SIZE, "2000.00 buys no lot of AAPL at 2001")
    many = review(AAPL, Decimal(10), standing(open_positions=2), LIMITS)
    assert many == Vetoed(Limit.OPEN_POSITIONS, "2 positions are open or on order already")
    tiny = LIMITS.model_copy(update={"max_order_quantity": Decimal("0.5")})
    assert isinstance(review(AAPL, Decimal(10), standing(), tiny), Vetoed)


@given(
    equity=st.decimals(min_value=0, max_value=10**7, places=2),
    free=st.decimals(min_value=-(10**6), max_value=10**7, places=2),
    price=st.decimals(min_value="0.01", max_value=10**5, places=2),
)
def test_what_is_approved_keeps_every_limit(equity: Decimal, free: Decimal, price: Decimal) -> None:
    answer = review(AAPL, price, standing(equity=equity, buying_power=free), LIMITS)
    if isinstance(answer, Approved):
        assert 0 < answer.quantity <= 500
        assert answer.quantity % 1 == 0
        assert answer.quantity * price <= min(equity * LIMITS.max_position_pct / 100, free)


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"equity": Decimal("9500.01")}, None),
        ({"equity": Decimal("9500")}, Limit.DAILY_LOSS),
        ({"peak": Decimal(13_333)}, None),
        ({"peak": Decimal(13_334)}, Limit.DRAWDOWN),
        ({"loss_streak": 2}, None),
        ({"loss_streak": 3}, Limit.LOSS_STREAK),
        ({"equity": Decimal(0)}, Limit.EQUITY),
        ({"equity": Decimal("NaN")}, Limit.EQUITY),
        ({"equity": Decimal("-Infinity")}, Limit.EQUITY),
    ],
)
def test_a_breaker_trips_at_its_limit_and_not_before(changes: dict[str, Any], limit: Limit | None) -> None:
    breach = find_breach(standing(**changes), LIMITS)
    assert (breach.limit if breach else None) == limit


def test_an_unrealized_loss_halts_the_bot_and_its_positions_are_left_at_the_next_open(workshop: Any) -> None:
    bot = workshop.bot({1: "enter_long", 4: "enter_long"}, max_daily_loss_pct=5)
    workshop.feed(bot, workshop.bars("100", "100 101 85 89", "88 90 80 85", "85", "85"))
    assert bot.status.halted == "lost 5.50 % today, the limit is 5 %"
    (left,) = workshop.recorder.of("trade_exit")
    assert (left.exit_price, left.exit_reasoning) == (88, f"halted: {bot.status.halted}")
    vetoed = [each for each in workshop.recorder.of("cognitive_decision") if each.outcome == "vetoed"]
    assert [each.vetoed_by for each in vetoed] == ["halted"]


def test_a_halt_is_one_critical_urgent_risk_event_with_the_limits_in_force(workshop: Any) -> None:
    bot = workshop.bot({1: "enter_long"}, max_drawdown_pct=5)
    workshop.feed(bot, workshop.bars("100", "100 101 85 89", "88 90 80 85"))
    ((_, event, keywords),) = [call for call in workshop.recorder.calls if call[0] == "risk_event"]
    assert keywords == {"severity": "CRITICAL", "urgent": True}
    assert (event.event_type, event.action_taken) == ("circuit_breaker_trip", "trading_paused")
    assert event.drawdown_pct == Decimal("-5.5")
    assert event.config_snapshot["crossed"] == "max_drawdown_pct"
    assert event.config_snapshot["max_drawdown_pct"] == "5"


def test_the_daily_loss_counts_from_the_equity_at_the_start_of_the_utc_day(workshop: Any) -> None:
    bot = workshop.bot({1: "enter_long"}, max_daily_loss_pct=5)
    workshop.feed(bot, workshop.bars("100", "100", "92", "85", "78"))
    assert bot.status.halted == ""
    assert bot.status.equity == 8_900


def test_losses_in_a_row_halt_the_bot(workshop: Any) -> None:
    script = dict.fromkeys((1, 3, 5, 7), "enter_long") | dict.fromkeys((2, 4, 6, 8), "exit")
    prices = ["100", "100", "99", "100", "99", "100", "99"]
    bot = workshop.feed(workshop.bot(script, max_consecutive_losses=2), workshop.bars(*prices))
    assert bot.status.halted == "2 losses in a row, the limit is 2"
    assert bot.status.trades == 2


def test_a_halt_cancels_entries_on_order_in_other_symbols(workshop: Any) -> None:
    script = {("AAPL", 1): "enter_long", ("IBM", 2): "enter_long"}
    bot = workshop.bot(script, symbols=["AAPL", "IBM"], max_daily_loss_pct=5)
    falling = workshop.bars("100", "100", "80", "80")
    workshop.feed(bot, [*falling, *workshop.bars("50", "50", "50", "50", symbol="IBM")])
    orders = [(order.symbol, order.status) for order in workshop.recorder.of("order")]
    assert ("IBM", "cancelled") in orders
    assert bot.status.open_positions == 0


def test_a_halted_bot_stays_halted_after_a_restart_and_says_so(workshop: Any) -> None:
    workshop.feed(workshop.bot({1: "enter_long"}, max_daily_loss_pct=1), workshop.bars("100", "100", "80"))
    workshop.recorder.calls.clear()
    again = workshop.feed(workshop.bot({1: "enter_long"}), workshop.bars("100", "100"))
    assert again.status.halted.startswith("lost ")
    assert workshop.recorder.of("order") == []
    assert [event.action_taken for event in workshop.recorder.of("risk_event")] == ["still_halted"]
    assert [beat.halted for beat in workshop.recorder.of("heartbeat")] == [True, True]


def test_only_a_resume_by_a_named_actor_lets_a_halted_bot_trade_again(workshop: Any) -> None:
    halt = Halt(Limit.DRAWDOWN, "too deep", "2024-01-02T00:00:00+00:00", "run")
    write_halt(workshop.home, "tester", halt)
    with pytest.raises(ConfigError, match="needs an actor"):
        resume(workshop.home, "tester", actor=" ", reason="checked", logger=workshop.recorder)
    assert read_halt(workshop.home, "tester") == halt
    assert resume(workshop.home, "tester", actor="ann", reason="checked", logger=workshop.recorder) == halt
    ((_, audit, keywords),) = workshop.recorder.calls
    assert keywords == {"actor": "ann"}
    assert (audit.action, audit.subject, audit.reason) == ("resume", "tester", "checked")
    assert audit.context["reason"] == "too deep"
    bot = workshop.feed(workshop.bot({1: "enter_long"}), workshop.bars("100", "100"))
    assert bot.status.open_positions == 1
    with pytest.raises(ConfigError, match="tester is not halted"):
        resume(workshop.home, "tester", actor="ann", reason="checked", logger=workshop.recorder)


def test_a_state_file_cut_at_any_byte_means_halted(workshop: Any) -> None:
    write_halt(workshop.home, "tester", Halt(Limit.DRAWDOWN, "too deep"))
    path = workshop.home.state / "tester.json"
    whole = path.read_bytes().rstrip()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        halt = read_halt(workshop.home, "tester")
        assert halt is not None
        assert halt.limit == Limit.STATE


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"{}", b"\xff", json.dumps({"version": 2, "bot": "tester"}).encode()]
)
def test_a_state_file_that_nobody_understands_means_halted(workshop: Any, content: bytes) -> None:
    (workshop.home.state / "tester.json").write_bytes(content)
    bot = workshop.feed(workshop.bot({1: "enter_long"}), workshop.bars("100", "100"))
    assert "tester.json cannot be understood" in bot.status.halted
    assert workshop.recorder.of("order") == []


def test_a_state_file_that_is_a_folder_means_halted_and_a_halt_that_cannot_be_kept_is_an_error(home: Home) -> None:
    (home.state / "tester.json").mkdir()
    assert read_halt(home, "tester") is not None
    with pytest.raises(ConfigError, match="cannot be kept"):
        write_halt(home, "tester", Halt(Limit.DRAWDOWN, "too deep"))


def test_a_halt_is_private_and_leaves_no_other_file(home: Home) -> None:
    write_halt(home, "tester", Halt(Limit.DRAWDOWN, "too deep"))
    assert [path.name for path in Path(home.state).iterdir()] == ["tester.json"]
    assert (home.state / "tester.json").stat().st_mode & 0o777 == 0o600
