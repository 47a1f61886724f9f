"""The books balance, to the last digit, whatever the market and the strategy do."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runner.brokers.charges import Charges
from runner.layout import Home

START = Decimal(10_000)
ACTIONS = st.sampled_from([None, None, "enter_long", "enter_short", "exit", "hold"])
PRICES = st.lists(st.integers(800, 1200), min_size=4, max_size=4)


@st.composite
def markets(draw: st.DrawFn) -> list[tuple[str, str | None]]:
    """Bars as text with cents, and what the strategy says at their close."""
    steps = []
    for _ in range(draw(st.integers(1, 25))):
        a, b, c, d = sorted(draw(PRICES))
        opened, close = draw(st.sampled_from([(b, c), (c, b), (a, d), (d, a)]))
        text = " ".join(str(Decimal(price) / 10) for price in (opened, d, a, close))
        steps.append((text, draw(ACTIONS)))
    return steps


@settings(max_examples=150)
@given(
    steps=st.lists(markets(), min_size=2, max_size=2),
    fee=st.integers(0, 50),
    slippage=st.integers(0, 50),
    protected=st.booleans(),
)
def test_cash_positions_trades_and_records_agree(
    workshop_type: Any, steps: list[list[tuple[str, str | None]]], fee: int, slippage: int, *, protected: bool
) -> None:
    options = {"stop_loss": Decimal(92), "target": Decimal(108)} if protected else {}
    script, bars = {}, []
    with tempfile.TemporaryDirectory() as folder:
        workshop = workshop_type(Home(Path(folder)).create())
        for symbol, lines in zip(("AAPL", "IBM"), steps, strict=True):
            bars += workshop.bars(*[text for text, _ in lines], symbol=symbol)
            for number, (_, action) in enumerate(lines, start=1):
                entering = action in ("enter_long", "enter_short")
                script[symbol, number] = (action, options) if entering else action
        bot = workshop.bot(script, symbols=["AAPL", "IBM"], charges=Charges(Decimal(fee), Decimal(slippage)))
        workshop.feed(bot, bars)

    status, records = bot.status, workshop.recorder
    fills, trades = records.of("fill"), records.of("trade_exit")
    last = {bar.symbol: bar.close for bar in bars}
    signed = {"BUY": 1, "SELL": -1}
    cash = START - sum(signed[fill.side] * fill.quantity * fill.price + fill.commission for fill in fills)
    held = sum(signed[fill.side] * fill.quantity * last[fill.symbol] for fill in fills)
    still_open = {entry.trade_id: entry for entry in records.of("trade_entry")}
    for trade in trades:
        del still_open[trade.trade_id]
    assert status.cash == cash
    assert status.equity == cash + held
    assert status.net_profit == sum(trade.net_profit_loss for trade in trades)
    assert status.fees == sum(fill.commission for fill in fills)
    paid = sum(entry.commission for entry in still_open.values())
    assert status.equity - START == status.net_profit + status.unrealized - paid
    assert status.open_positions == len(still_open)
    assert len({fill.fill_id for fill in fills}) == len(fills) == len(trades) * 2 + len(still_open)
    assert all(trade.profit_loss - trade.commission == trade.net_profit_loss for trade in trades)
