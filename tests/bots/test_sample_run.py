"""The default bots over thirteen years of real daily bars: the default limits hold, tight ones halt."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from runner.bots.run import Progress, run_bots
from runner.brokers.charges import Charges
from runner.clock import SystemClock
from runner.feeds.open import open_feed
from runner.settings import Settings
from runner.strategies.catalog import build_strategy

DEFAULTS = Settings()


@pytest.fixture(scope="module")
def bars() -> Sequence[Any]:
    return list(open_feed("sample").bars())


def run(workshop: Any, bars: Sequence[Any], **limits: Any) -> Progress:
    charges = Charges(DEFAULTS.broker.fee_bps, DEFAULTS.broker.slippage_bps)
    symbols = sorted({bar.symbol for bar in bars})
    bots = [
        workshop.bot(
            build_strategy(bot.strategy),
            name=bot.name,
            symbols=symbols,
            cash=str(DEFAULTS.broker.cash),
            charges=charges,
            **(DEFAULTS.risk.model_dump() | limits),
        )
        for bot in DEFAULTS.bots
    ]
    return run_bots(bots, bars, speed=0, stop=threading.Event(), clock=SystemClock())


def test_the_default_bots_trade_the_sample_to_its_end_within_the_default_limits(
    workshop: Any, bars: Sequence[Any]
) -> None:
    last = run(workshop, bars)
    assert last.bars == len(bars)
    assert [(bot.name, bot.halted) for bot in last.bots] == [(bot.name, "") for bot in DEFAULTS.bots]
    assert all(bot.trades >= 24 for bot in last.bots)
    assert workshop.recorder.of("error") == []


def test_tight_limits_halt_the_same_bots(workshop: Any, bars: Sequence[Any]) -> None:
    last = run(workshop, bars, max_daily_loss_pct=Decimal(1), max_drawdown_pct=Decimal(3))
    assert all(bot.halted for bot in last.bots)
    assert [event.action_taken for event in workshop.recorder.of("risk_event")] == ["trading_paused"] * 3
