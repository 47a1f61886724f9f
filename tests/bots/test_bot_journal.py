"""What a bot does, read back from a real journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from runner.layout import Home
from runner.logging import lines
from runner.logging.core_logger import TradingLogger
from runner.logging.log_types import TradeRecord
from runner.logging.reader import Tail
from runner.settings import Settings

Records = Sequence[Mapping[str, Any]]


@pytest.fixture
def records(workshop: Any, home: Home) -> Records:
    """A run with one trade at the market, one stopped out, one position left open, and a bot that halts at its end."""
    settings = Settings.model_validate({"home": home.path, "shipping": {"shipper": "none"}})
    stop = {"stop_loss": Decimal(90), "target": Decimal(120)}
    weird = {"confidence": 1, "entry_type": "breakout"}
    script = {
        1: ("enter_long", weird),
        2: "exit",
        3: ("enter_long", stop),
        5: "enter_short",
        7: ValueError("torn\n\x00bar"),
    }
    with TradingLogger("a session", "stock-trader", bot="tester", settings=settings, clock=workshop.market) as logger:
        workshop.recorder = logger
        bot = workshop.bot(script)
        workshop.feed(bot, workshop.bars("100", "101", "102", "100", "100 100 80 85", "80", "79"))
    tail = Tail(home, from_start=True)
    found = [lines.decode(line) for line in tail.next(timeout=1.0)]
    tail.close()
    return found


def of(records: Records, kind: str) -> Records:
    return [record for record in records if record["kind"] == kind]


def test_every_kind_of_record_reaches_the_journal_in_order_without_a_gap(records: Records) -> None:
    assert [record["seq"] for record in records] == list(range(len(records)))
    counts = Counter(record["kind"] for record in records)
    assert counts["trade_entry"] == 3
    assert counts["trade_exit"] == 2
    assert counts["fill"] == 5
    assert counts["risk_event"] == counts["error"] == 1
    assert set(counts) >= {"order", "position", "decision", "metric", "summary", "heartbeat", "system_event"}


def test_trade_records_have_every_field_and_the_time_of_their_fill(records: Records, workshop: Any) -> None:
    bars = workshop.bars(*["1"] * 7)
    entry, left = of(records, "trade_entry")[1], of(records, "trade_exit")[1]
    assert set(entry["data"]) == set(left["data"]) == set(TradeRecord.__struct_fields__)
    assert entry["data"]["timestamp"] == entry["at"] == lines.timestamp(bars[3].start)
    assert left["data"]["timestamp"] == left["at"] == lines.timestamp(bars[4].end)
    assert left["data"]["order_id"] == entry["data"]["order_id"]
    assert left["data"]["exit_reasoning"] == "stop 90 was hit"
    assert left["data"]["execution_mode"] == "PAPER"
    assert entry["data"]["risk_reward_ratio"] == 2.0


def test_the_equity_of_the_records_adds_up(records: Records) -> None:
    fills = [record["data"] for record in of(records, "fill")]
    signed = {"BUY": 1, "SELL": -1}
    cash = 10_000 - sum(signed[f["side"]] * Decimal(f["quantity"]) * Decimal(f["price"]) for f in fills)
    held = sum(signed[f["side"]] * Decimal(f["quantity"]) for f in fills)
    equity = [
        Decimal(record["data"]["value"]) for record in of(records, "metric") if record["data"]["name"] == "equity"
    ]
    assert equity[-1] == cash + held * 79


def test_a_halt_is_critical_and_the_error_that_caused_it_is_there(records: Records) -> None:
    (halt,), (error,) = of(records, "risk_event"), of(records, "error")
    assert halt["severity"] == "CRITICAL"
    assert error["data"]["type"].endswith("ValueError")
    assert error["seq"] < halt["seq"]
