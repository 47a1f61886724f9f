"""Running bots together: who gets which bar, how fast, and how it ends."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from runner.bots.run import Progress, run_bots
from runner.clock import ManualClock


def run(workshop: Any, bots: list[Any], bars: list[Any], **options: Any) -> Progress:
    usual = {"speed": 0, "stop": threading.Event(), "clock": workshop.wall}
    return run_bots(bots, bars, **(usual | options))


def test_every_bot_gets_the_bars_of_its_symbols_only(workshop: Any) -> None:
    both = workshop.bot({}, name="both", symbols=["AAPL", "IBM"])
    one = workshop.bot({}, name="one", symbols=["IBM"])
    bars = [*workshop.bars("1", "2"), *workshop.bars("1", symbol="IBM"), *workshop.bars("1", symbol="MSFT")]
    last = run(workshop, [both, one], bars)
    assert last.bars == 4
    assert [(bot.name, bot.bars) for bot in last.bots] == [("both", 3), ("one", 1)]


def test_bars_come_at_the_pace_that_was_asked_for(workshop: Any) -> None:
    assert run(workshop, [workshop.bot({})], workshop.bars(*["1"] * 11), speed=2).seconds == pytest.approx(5, abs=0.2)


def test_bots_show_that_they_live_while_bars_are_slow(workshop: Any) -> None:
    run(workshop, [workshop.bot({})], workshop.bars("1", "1"), speed=1 / 60)
    assert len(workshop.recorder.of("heartbeat")) >= 5


def test_progress_is_told_as_the_run_goes_and_once_at_its_end(workshop: Any) -> None:
    told: list[Progress] = []
    last = run(workshop, [workshop.bot({})], workshop.bars(*["1"] * 5), speed=5, on_progress=told.append)
    assert [progress.bars for progress in told] == [1, 2, 3, 4, 5, 5]
    assert told[-1] == last


def test_setting_stop_ends_the_run_cleanly_after_the_bar_at_hand(workshop: Any) -> None:
    stop = threading.Event()
    last = run(
        workshop, [workshop.bot({})], workshop.bars(*["1"] * 9), stop=stop, speed=5, on_progress=lambda _: stop.set()
    )
    assert last.bars == 1
    assert workshop.recorder.of("heartbeat")[-1].status == "stopped"


def test_a_bot_whose_strategy_fails_does_not_stop_the_others(workshop: Any) -> None:
    broken = workshop.bot({1: RuntimeError("broken")}, name="broken")
    sound = workshop.bot({}, name="sound")
    last = run(workshop, [broken, sound], workshop.bars("1", "2", "3"))
    assert [(bot.bars, bool(bot.halted)) for bot in last.bots] == [(3, True), (3, False)]


def test_an_error_of_the_feed_ends_the_run_but_every_bot_is_finished_first(workshop: Any) -> None:
    def bars() -> Any:
        yield from workshop.bars("1")
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        run(workshop, [workshop.bot({}), workshop.bot({})], bars())
    assert [beat.status for beat in workshop.recorder.of("heartbeat")][-2:] == ["stopped", "stopped"]


def test_the_clock_of_the_run_may_stand_still_when_nothing_is_paced(workshop: Any) -> None:
    still = ManualClock(workshop.wall.now())
    assert run(workshop, [workshop.bot({})], workshop.bars("1", "2"), clock=still).seconds == 0
