"""The trade and the event that every contender writes.

Ours is given the typed trade and must check, complete and write it. A peer is given the finished record as a dictionary
of plain strings and numbers, which is as easy as it can be made for it.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from runner.logging.log_types import TradeLogData
from runner.logging.redaction import Redactor
from runner.logging.trades import TradeEncoder, TradeEnvironment

COUNT = 2048
SECRETS = (
    "sk-live-4eC39HqLyjWDarjtT1zdp7dc",
    "hunter2-and-then-some",
    "AIzaSyA-1234567890-abcdefghij",
    "xoxb-123456789012-abcdefABCDEF",
    "postgres://tron:k4ts3@db",
)
_SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT", "BTC/USDT")
_ENVIRONMENT = TradeEnvironment(
    execution_mode="PAPER", session_id="stock_trader_session", bot_version="0.1.0", config_hash="ab" * 32
)


def trade_values() -> list[dict[str, Any]]:
    """Arguments of `TradeLogData`: closed trades, their money in Decimal, as a bot has them at hand."""
    chance = random.Random(7)
    return [_values(number, chance) for number in range(COUNT)]


def finished_trades() -> list[dict[str, Any]]:
    """The same trades as the 28 fields of their records, for those who log dictionaries."""
    encoder = TradeEncoder(_ENVIRONMENT, Redactor())
    moment = "2026-01-02T15:30:00.000000Z"
    return [
        msgspec.json.decode(b"".join(encoder.encode(TradeLogData(**values), moment, False)))
        for values in trade_values()
    ]


def event_fields() -> list[dict[str, Any]]:
    """Five fields of an event."""
    chance = random.Random(11)
    return [
        {
            "venue": "XNAS",
            "symbol": chance.choice(_SYMBOLS),
            "latency_ms": round(chance.uniform(0.2, 9.0), 3),
            "retries": chance.randrange(3),
            "accepted": chance.random() < 0.9,
        }
        for _ in range(COUNT)
    ]


CONTEXT = {"strategy": "breakout", "desk": "europe", "account": "paper-1"}
"""What is bound to a logger before the events are written."""


def _values(number: int, chance: random.Random) -> dict[str, Any]:
    entry, gain = Decimal(chance.randrange(5_000, 90_000)) / 100, Decimal(chance.randrange(-900, 900)) / 100
    quantity, commission = Decimal(chance.randrange(1, 500)), Decimal(chance.randrange(10, 900)) / 100
    opened = datetime(2026, 1, 2, 14, 30, tzinfo=UTC) + timedelta(seconds=number)
    return {
        "trade_id": f"breakout-AAPL-{number:06d}",
        "symbol": chance.choice(_SYMBOLS),
        "strategy": "breakout",
        "bot_type": "stock-trader",
        "direction": "long",
        "quantity": quantity,
        "entry_price": entry,
        "status": "closed",
        "exit_price": entry + gain,
        "order_id": f"order-{number:08d}",
        "account_id": "paper-1",
        "entry_type": "breakout",
        "stop_loss": entry * Decimal("0.98"),
        "target": entry * Decimal("1.04"),
        "reasoning": f"close above the high of {10 + number % 20} bars with volume",
        "indicators_used": ["rsi_14", "ema_20", "volume"],
        "risk_reward_ratio": round(chance.uniform(1, 4), 2),
        "outcome": "win" if gain > 0 else "loss",
        "profit_loss": gain * quantity,
        "hold_duration_seconds": chance.randrange(60, 86_400),
        "exit_timestamp": opened + timedelta(microseconds=chance.randrange(10**9)),
        "exit_reasoning": "target reached" if gain > 0 else "stop reached",
        "slippage": Decimal("0.02"),
        "commission": commission,
        "net_profit_loss": gain * quantity - commission,
    }
