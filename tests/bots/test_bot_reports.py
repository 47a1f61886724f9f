"""Heartbeats by the wall clock; marks, metrics and summaries by market time."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

MINUTES = timedelta(minutes=5)


def test_a_bot_shows_that_it_lives_at_the_start_each_quarter_minute_and_at_the_end(workshop: Any) -> None:
    bot = workshop.bot({})
    bot.start()
    for bar in workshop.bars(*["100"] * 10):
        workshop.wall.advance(5)
        bot.on_bar(bar)
    bot.finish()
    beats = workshop.recorder.of("heartbeat")
    assert [(beat.status, beat.bars) for beat in beats] == [
        ("running", 0),
        ("running", 3),
        ("running", 6),
        ("running", 9),
        ("stopped", 10),
    ]
    assert beats[-1].equity == beats[-1].cash == 10_000


def test_equity_drawdown_and_positions_are_marked_once_an_hour_of_market_time(workshop: Any) -> None:
    bot = workshop.bot({1: "enter_long"})
    workshop.feed(bot, workshop.bars(*["100"] * 30, length=MINUTES))
    marks = workshop.recorder.of("performance_metric")
    assert [name for name, _ in marks] == ["equity", "drawdown"] * 4
    assert len(workshop.recorder.of("position")) == 1 + 3


def test_bars_longer_than_an_hour_are_marked_once_for_all_symbols_together(workshop: Any) -> None:
    script = {("AAPL", 1): "enter_long", ("IBM", 1): "enter_long"}
    bot = workshop.bot(script, symbols=["AAPL", "IBM"], max_position_pct=40)
    bars = [*workshop.bars("100", "100", "110", "110"), *workshop.bars("100", "100", "90", "80", symbol="IBM")]
    workshop.feed(bot, bars)
    marks = [value for name, value in workshop.recorder.of("performance_metric") if name == "equity"]
    assert marks == [10_000, 10_000, 10_000, 9_600]


def test_a_market_day_with_a_trade_or_a_position_gets_a_summary(workshop: Any) -> None:
    bot = workshop.bot({2: "enter_long", 4: "exit"})
    workshop.feed(bot, workshop.bars("100", "100", "100", "110", "120", "120", "120"))
    days = [
        (keywords["date"], metrics) for name, metrics, keywords in workshop.recorder.calls if name == "daily_summary"
    ]
    assert [day for day, _ in days] == [date(2024, 1, 4), date(2024, 1, 5), date(2024, 1, 6), date(2024, 1, 8)]
    closing = days[2][1]
    assert (closing["trades"], closing["wins"], closing["win_rate"]) == (1, 1, 1.0)
    assert (closing["net_profit"], closing["equity"]) == (1000, 11_000)
    assert closing["profit_factor"] is None
    assert "run_sharpe" not in closing


def test_the_last_summary_holds_the_metrics_of_the_whole_run(workshop: Any) -> None:
    bot = workshop.bot({1: "enter_long", 3: "exit"})
    workshop.feed(bot, workshop.bars("100", "100", "90", "120", "120"))
    last = workshop.recorder.of("daily_summary")[-1]
    assert (last["run_trades"], last["run_win_rate"], last["run_net_profit"]) == (1, 1.0, 1000)
    assert last["run_total_return_pct"] == 10
    assert last["run_max_drawdown_pct"] == bot.status.max_drawdown_pct == -5
    assert last["run_periods_per_year"] == 252
    assert last["run_sharpe"] > 0
    assert last["run_calmar"] is None


def test_start_and_stop_are_system_events_that_say_what_ran(workshop: Any) -> None:
    bot = workshop.feed(workshop.bot({}), workshop.bars("100"))
    bot.finish()
    started, stopped = workshop.recorder.of("system_event")
    assert started[0] == "bot tester started"
    assert started[1]["symbols"] == ["AAPL"]
    assert started[1]["limits"]["max_position_pct"] == "50"
    assert stopped[0] == "bot tester stopped"
    assert stopped[1]["bars"] == 1


def test_a_bot_that_saw_no_bar_ends_without_a_summary(workshop: Any) -> None:
    workshop.feed(workshop.bot({}), [])
    assert workshop.recorder.of("daily_summary") == []
    assert [beat.status for beat in workshop.recorder.of("heartbeat")] == ["running", "stopped"]
