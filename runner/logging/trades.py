"""Trades: from what a bot says (`TradeLogData`) to the audited record (`TradeRecord`).

This is the hottest path of all, so there are two ways, which write the same record:

- `TradeEncoder._straight` takes a trade whose money is Decimal and whose texts need no repair. Labels, symbols and
  indicator names are few: each is checked once and then looked up.
- `TradeEncoder._checked` takes any trade, field by field, with the checks of `payloads`. It refuses or repairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from types import NoneType
from typing import Any

import msgspec

from runner.errors import RecordInvalid
from runner.logging import payloads
from runner.logging.lines import timestamp
from runner.logging.log_types import TradeLogData
from runner.logging.redaction import Redactor
from runner.logging.repair import LONGEST_TEXT, Repair, encode_json

_ACTIONS = {("long", True): "BUY", ("long", False): "SELL", ("short", True): "SELL", ("short", False): "BUY"}
_STATUSES = ("open", "closed")
_UNSPECIFIED = "unspecified"
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_MONEY_TYPES = frozenset((Decimal, NoneType))
_LONGEST_ID, _LONGEST_LABEL = 128, 200
_LONGEST_MONEY = 1000
_MOST_KNOWN = 10_000
_MOST_INDICATORS = 100
_INT64 = 1 << 63


class TradeEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """What a logger knows of every trade."""

    execution_mode: str
    session_id: str
    bot_version: str
    config_hash: str


class _Money(msgspec.Struct, frozen=True, gc=False):
    """The money of a trade record."""

    quantity: Decimal
    price: Decimal
    total_value: Decimal
    stop_loss: Decimal | None
    target: Decimal | None
    profit_loss: Decimal | None
    slippage: Decimal | None
    commission: Decimal | None
    net_profit_loss: Decimal | None


class _Rest(msgspec.Struct, frozen=True, gc=False):
    """What a trade record says besides money and environment."""

    trade_id: str
    timestamp: str
    symbol: str
    action: str
    order_id: str
    account_id: str | None
    strategy_name: str
    entry_type: str
    decision_reasoning: str
    indicators_used: list[str]
    risk_reward_ratio: float | None
    outcome: str | None
    hold_duration_seconds: int | None
    exit_timestamp: str | None
    exit_reasoning: str | None


class TradeEncoder:
    """Encodes the trades of a logger."""

    def __init__(self, environment: TradeEnvironment, redactor: Redactor) -> None:
        fields = {name: redactor.clean(value) for name, value in msgspec.structs.asdict(environment).items()}
        self._environment = fields
        self._environment_json = encode_json(fields)[1:]
        self._redactor = redactor
        self._symbols: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._accounts: dict[str, str] = {}

    def encode(self, trade: TradeLogData, moment: str, *, entry: bool) -> bytes:
        """The `data` of a trade record. `moment` is the market time of the execution. Raises `RecordInvalid`."""
        try:
            return self._straight(trade, moment, entry) or self._checked(trade, moment, entry)
        except (KeyError, TypeError, ArithmeticError, UnicodeEncodeError):
            return self._checked(trade, moment, entry)

    def _straight(self, trade: TradeLogData, moment: str, entry: bool) -> bytes | None:
        """None, or one of the errors that `encode` knows, where something has to be looked at more closely."""
        money = _straight_money(trade, entry)
        if money is None or not self._is_plain(trade):
            return None
        labels, ended = self._labels, trade.exit_timestamp
        account, kind, outcome = trade.account_id, trade.entry_type, trade.outcome
        rest = _Rest(
            trade.trade_id,
            moment,
            self._symbols[trade.symbol],
            _ACTIONS[trade.direction, entry],
            trade.order_id or trade.trade_id,
            None if account is None else self._accounts[account],
            labels[trade.strategy],
            _UNSPECIFIED if kind is None else labels[kind] or _UNSPECIFIED,
            trade.reasoning or _UNSPECIFIED,
            [labels[name] for name in trade.indicators_used],
            trade.risk_reward_ratio,
            None if outcome is None else labels[outcome],
            trade.hold_duration_seconds,
            None if ended is None else timestamp(ended),
            trade.exit_reasoning,
        )
        return b"%s,%s,%s" % (money[:-1], encode_json(rest)[1:-1], self._environment_json)

    def _is_plain(self, trade: TradeLogData) -> bool:
        """Whether everything that cannot be looked up is what it should be."""
        trade_id, order_id, reasoning, told = trade.trade_id, trade.order_id, trade.reasoning, trade.exit_reasoning
        duration, ratio, ended = trade.hold_duration_seconds, trade.risk_reward_ratio, trade.exit_timestamp
        return (
            trade.status in _STATUSES
            and trade.bot_type in self._labels
            and type(trade.indicators_used) is list
            and len(trade.indicators_used) <= _MOST_INDICATORS
            and _is_plain_id(trade_id)
            and (order_id is None or _is_plain_id(order_id))
            and (reasoning is None or (type(reasoning) is str and len(reasoning) <= LONGEST_TEXT))
            and (told is None or (type(told) is str and len(told) <= LONGEST_TEXT))
            and (duration is None or (type(duration) is int and -_INT64 <= duration < _INT64))
            and (ratio is None or (type(ratio) is float and ratio - ratio == 0.0))
            and (ended is None or (type(ended) is datetime and ended.tzinfo is UTC))
            and not (self._redactor.needles and self._is_suspect(f"{trade_id}\n{order_id}\n{reasoning}\n{told}"))
        )

    def _is_suspect(self, text: str) -> bool:
        for needle in self._redactor.needles:  # a loop, because `any` with a generator takes twice as long
            if needle in text:
                return True
        return False

    def _checked(self, trade: TradeLogData, moment: str, entry: bool) -> bytes:
        if not isinstance(trade, TradeLogData):
            raise RecordInvalid(f"{payloads.shortened(trade)} is no trade", "give a TradeLogData")
        repair = Repair(self._redactor)
        said = {name: convert(getattr(trade, name), repair, name) for name, convert in _SAID}
        found = _money(trade, said, repair, entry)
        found |= {
            "trade_id": said["trade_id"],
            "timestamp": moment,
            "symbol": said["symbol"],
            "action": _ACTIONS[said["direction"], entry],
            "order_id": said["order_id"] or said["trade_id"],
        }
        found |= {name: said[source] for name, source in _COPIED.items()}
        found["entry_type"] = found["entry_type"] or _UNSPECIFIED
        found["decision_reasoning"] = found["decision_reasoning"] or _UNSPECIFIED
        found |= self._environment
        if repair.paths:
            found["_repaired"] = repair.paths
        else:
            self._learn(trade, said)
        return encode_json(found)

    def _learn(self, trade: TradeLogData, said: Mapping[str, Any]) -> None:
        """Remember what was found right, by what the bot says, so that the next such trade goes straight through."""
        names = [trade.bot_type, trade.strategy, trade.entry_type, trade.outcome, *trade.indicators_used]
        if len(self._labels) + len(self._symbols) + len(self._accounts) > _MOST_KNOWN:
            return
        for known in (name for name in names if type(name) is str and len(name) <= _LONGEST_LABEL):
            self._labels[known] = self._redactor.clean(known)
        self._symbols[trade.symbol] = said["symbol"]
        if trade.account_id is not None:
            self._accounts[trade.account_id] = said["account_id"]


def _straight_money(trade: TradeLogData, entry: bool) -> bytes | None:
    """The money of a trade that gives it in Decimal; None where it has to be written or refused with more care."""
    quantity, price = trade.quantity, trade.entry_price if entry or trade.exit_price is None else trade.exit_price
    if type(quantity) is int:
        quantity = Decimal(quantity)
    others = (
        trade.stop_loss,
        trade.target,
        trade.profit_loss,
        trade.slippage,
        trade.commission,
        trade.net_profit_loss,
    )
    given = (quantity, price, trade.entry_price, trade.exit_price, *others)
    if not (_MONEY_TYPES.issuperset(map(type, given)) and quantity > 0 and price > 0):
        return None
    encoded = encode_json(_Money(quantity, price, _EXACT.multiply(quantity, price), *others))
    text = encoded.decode()
    is_plain = "E" not in text and "N" not in text and "I" not in text  # no exponent, NaN or Infinity
    return encoded if is_plain and len(encoded) <= _LONGEST_MONEY else None


def _money(trade: TradeLogData, said: Mapping[str, Any], repair: Repair, entry: bool) -> dict[str, Any]:
    """The same for any trade."""
    price = said["entry_price"] if entry or said["exit_price"] is None else said["exit_price"]
    quantity_exact, price_exact = Decimal(said["quantity"]), Decimal(price)
    for name, value in (("quantity", quantity_exact), ("price", price_exact)):
        if value <= 0:
            raise RecordInvalid(
                f"{name} is {value}, it must be positive", "the direction of a trade is said by `direction`"
            )
    return {
        "quantity": said["quantity"],
        "price": price,
        "total_value": payloads.plain(_EXACT.multiply(quantity_exact, price_exact)),
        **{name: said[name] for name in ("stop_loss", "target", "profit_loss")},
        **{name: said[name] for name in ("slippage", "commission", "net_profit_loss")},
    }


def _is_plain_id(value: Any) -> bool:
    return (
        type(value) is str
        and 0 < len(value) <= _LONGEST_ID
        and value.isascii()
        and value.isprintable()
        and ".." not in value
    )


_SAID = payloads.fields_of(TradeLogData)
_COPIED = {
    "account_id": "account_id",
    "strategy_name": "strategy",
    "entry_type": "entry_type",
    "decision_reasoning": "reasoning",
    "indicators_used": "indicators_used",
    "risk_reward_ratio": "risk_reward_ratio",
    "outcome": "outcome",
    "hold_duration_seconds": "hold_duration_seconds",
    "exit_timestamp": "exit_timestamp",
    "exit_reasoning": "exit_reasoning",
}
