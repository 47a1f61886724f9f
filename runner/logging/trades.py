"""Trades: from what a bot says (`TradeLogData`) to the audited record (`TradeRecord`).

This is the hottest path of all. The checks are those of `payloads`, written straight: text that is plain and short goes
through untouched, and everything else takes the general way, which repairs or refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from runner.errors import RecordInvalid
from runner.logging import payloads
from runner.logging.log_types import TradeLogData
from runner.logging.redaction import Redactor
from runner.logging.repair import Repair


class TradeEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """What a logger knows of every trade."""

    execution_mode: str
    session_id: str
    bot_version: str
    config_hash: str


def encode(
    trade: TradeLogData, environment: TradeEnvironment, redactor: Redactor, moment: str, *, entry: bool
) -> bytes:
    """The `data` of a trade record. `moment` is the market time of the execution. Raises `RecordInvalid`."""
    repair = Repair(redactor)
    price = trade.entry_price if entry or trade.exit_price is None else trade.exit_price
    quantity, price_text = _positive(trade.quantity, repair, "quantity"), _positive(price, repair, "price")
    bought = (trade.direction == "long") is entry
    found: dict[str, Any] = {
        "trade_id": payloads.identifier(trade.trade_id, repair, "trade_id"),
        "timestamp": moment,
        "symbol": payloads.symbol(trade.symbol, repair, "symbol"),
        "action": "BUY" if bought else "SELL",
        "quantity": quantity,
        "price": price_text,
        "total_value": str(Decimal(quantity) * Decimal(price_text)),
        "order_id": payloads.identifier(trade.order_id or trade.trade_id, repair, "order_id"),
        "execution_mode": environment.execution_mode,
        "session_id": environment.session_id,
        "bot_version": environment.bot_version,
        "config_hash": environment.config_hash,
    }
    for name, source, convert in _COPIED:
        found[name] = convert(getattr(trade, source), repair, name)
    found["decision_reasoning"] = found["decision_reasoning"] or "unspecified"
    found["entry_type"] = found["entry_type"] or "unspecified"
    if repair.paths:
        found["_repaired"] = repair.paths
    return payloads.encode_json(found)


def _positive(value: Any, repair: Repair, name: str) -> str:
    text = payloads.number(value, repair, name)
    if value <= 0:
        raise RecordInvalid(f"{name} is {text}, it must be positive", "the direction of a trade is said by `direction`")
    return text


def _source(name: str) -> Callable[[Any, Repair, str], Any]:
    return dict(payloads.fields_of(TradeLogData))[name]


_COPIED = tuple(
    (name, source, _source(source))
    for name, source in (
        ("account_id", "account_id"),
        ("strategy_name", "strategy"),
        ("entry_type", "entry_type"),
        ("stop_loss", "stop_loss"),
        ("target", "target"),
        ("decision_reasoning", "reasoning"),
        ("indicators_used", "indicators_used"),
        ("risk_reward_ratio", "risk_reward_ratio"),
        ("outcome", "outcome"),
        ("profit_loss", "profit_loss"),
        ("hold_duration_seconds", "hold_duration_seconds"),
        ("exit_timestamp", "exit_timestamp"),
        ("exit_reasoning", "exit_reasoning"),
        ("slippage", "slippage"),
        ("commission", "commission"),
        ("net_profit_loss", "net_profit_loss"),
    )
)
