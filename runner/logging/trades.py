"""Trades: from what a bot says (`TradeLogData`) to the audited record (`TradeRecord`).

This is the hottest path of all, so there are two ways, which write the same record:

- `encode` itself takes a trade like one that was seen before: money in Decimal, plain texts, and the same labels, whose
  part of the record is kept encoded. It costs about three microseconds.
- `_checked` takes any trade, field by field, with the checks of `payloads`. It refuses or repairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

import msgspec
from msgspec.structs import astuple

from runner.errors import RecordInvalid
from runner.logging import payloads
from runner.logging.lines import timestamp
from runner.logging.log_types import TradeLogData
from runner.logging.redaction import Redactor
from runner.logging.repair import LONGEST_TEXT, Repair, encode_json

_ACTIONS = {("long", True): "BUY", ("long", False): "SELL", ("short", True): "SELL", ("short", False): "BUY"}
_UNSPECIFIED = "unspecified"
_multiply = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN).multiply
_LONGEST_ID = 128
_MOST_KNOWN = 10_000
_SHORT = 750
"""Bytes of what changes, beside free text. With a number that is too long to be one (400 digits), there are more."""
_LONG = 1 << 30
_EXPONENT, _BACKSLASH, _DELETE = b"E\\\x7f"
_FIRST_TEXT = b'"trade_id":'


class TradeEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """What a logger knows of every trade."""

    execution_mode: str
    session_id: str
    bot_version: str
    config_hash: str


class _Changing(msgspec.Struct, frozen=True, gc=False):
    """What differs from trade to trade. The money stands before any text."""

    quantity: Decimal
    price: Decimal
    total_value: Decimal
    stop_loss: Decimal | None
    target: Decimal | None
    profit_loss: Decimal | None
    slippage: Decimal | None
    commission: Decimal | None
    net_profit_loss: Decimal | None
    timestamp: str
    exit_timestamp: datetime | str | None
    hold_duration_seconds: int | None
    risk_reward_ratio: float | None
    trade_id: str
    order_id: str
    decision_reasoning: str
    exit_reasoning: str | None


class TradeEncoder:
    """Encodes the trades of a logger."""

    def __init__(self, environment: TradeEnvironment, redactor: Redactor) -> None:
        fields = msgspec.structs.asdict(environment).items()
        self._environment = {name: redactor.clean(value) for name, value in fields}
        self._redactor = redactor
        self._secrets = bool(redactor.needles)
        self._known: dict[tuple[Any, ...], bytes] = {}

    def encode(self, trade: Any, moment: str, entry: bool) -> tuple[bytes, bytes]:
        """The `data` of a trade record, in two pieces. `moment` is the time of the execution, as records write it.

        Whatever is not as expected here needs the closer look of `_checked`. Only a Decimal has `is_finite`.
        Raises `RecordInvalid`.
        """
        try:
            # fmt: off
            (trade_id, symbol, strategy, bot_type, direction, quantity, price, status, other, order_id, account_id,
             entry_type, stop, target, reasoning, indicators, ratio, outcome, profit, duration, ended, told,
             slippage, commission, net) = astuple(trade)
            if not entry:
                price, other = other, price
            known = self._known.get((entry, symbol, strategy, bot_type, direction, status, account_id, entry_type,
                                     outcome, type(indicators), *indicators))
            # fmt: on
            if (
                known is not None
                and type(trade) is TradeLogData
                and (quantity.is_finite() and price.is_finite())
                and not (quantity.is_signed() or price.is_signed())
                and (total := _multiply(quantity, price))
                and (other is None or other.is_finite())
                and ((stop is None or stop.is_finite()) and (target is None or target.is_finite()))
                and ((profit is None or profit.is_finite()) and (slippage is None or slippage.is_finite()))
                and ((commission is None or commission.is_finite()) and (net is None or net.is_finite()))
                and (ended is None or ended.tzinfo is UTC)
                and (duration is None or (type(duration) is int and -_LONG < duration < _LONG))
                and (ratio is None or (type(ratio) is float and ratio - ratio == 0.0))
                and (type(trade_id) is str and 0 < len(trade_id) <= _LONGEST_ID and ".." not in trade_id)
                and (order_id is None or _is_id(order_id))
                and ((reasoning is None or type(reasoning) is str) and (told is None or type(told) is str))
                and (not self._secrets or self._pass(trade_id, order_id, reasoning, told))
            ):
                if ended is not None and not ended.microsecond:
                    ended = timestamp(ended)
                # fmt: off
                changing = encode_json(_Changing(
                    quantity, price, total, stop, target, profit, slippage, commission, net, moment, ended, duration,
                    ratio, trade_id, order_id or trade_id, reasoning or _UNSPECIFIED, told,
                ))
                # fmt: on
                if not (
                    _BACKSLASH in changing
                    or _DELETE in changing
                    or (_EXPONENT in changing and changing.index(_EXPONENT) < changing.index(_FIRST_TEXT))
                    or (len(changing) > _SHORT and _is_long(changing, reasoning, told))
                ):
                    return known, changing[1:]
        except (TypeError, AttributeError, ArithmeticError, ValueError):
            pass
        return self._checked(trade, moment, entry)

    def _pass(self, trade_id: str, order_id: str | None, reasoning: str | None, told: str | None) -> bool:
        """Whether no text holds a registered secret. Ids differ each time, other texts come again."""
        redactor = self._redactor
        return (
            not redactor.finds(f"{trade_id}\n{order_id}")
            and (reasoning is None or reasoning in redactor.passed or redactor.passes(reasoning))
            and (told is None or told in redactor.passed or redactor.passes(told))
        )

    def _checked(self, trade: TradeLogData, moment: str, entry: bool) -> tuple[bytes, bytes]:
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
            self._learn(trade, entry, found)
        return b"", encode_json(found)

    def _learn(self, trade: TradeLogData, entry: bool, found: Mapping[str, Any]) -> None:
        """Keep the part of a record that the next trade with the same labels will share."""
        if len(self._known) < _MOST_KNOWN:
            self._known[_labels(trade, entry)] = encode_json({name: found[name] for name in _SHARED})[:-1] + b","


def _labels(trade: TradeLogData, entry: bool) -> tuple[Any, ...]:
    """What the shared part of a trade's record depends on; as `encode` looks for it."""
    return (
        entry,
        trade.symbol,
        trade.strategy,
        trade.bot_type,
        trade.direction,
        trade.status,
        trade.account_id,
        trade.entry_type,
        trade.outcome,
        type(trade.indicators_used),
        *trade.indicators_used,
    )


def _is_long(changing: bytes, *texts: str | None) -> bool:
    """Whether a text is too long, or a number."""
    free = sum(len(text) for text in texts if text)
    return free > LONGEST_TEXT or len(changing) - free > _SHORT


def _is_id(text: Any) -> bool:
    """Whether a value is an id, as far as it does not show when it is written."""
    return type(text) is str and 0 < len(text) <= _LONGEST_ID and ".." not in text


def _money(trade: TradeLogData, said: Mapping[str, Any], repair: Repair, entry: bool) -> dict[str, Any]:
    """The same for any trade."""
    price = said["entry_price"] if entry else said["exit_price"]
    if price is None:
        raise RecordInvalid("a trade that ends has no exit_price", "say at which price it was closed")
    quantity_exact, price_exact = Decimal(said["quantity"]), Decimal(price)
    for name, value in (("quantity", quantity_exact), ("price", price_exact)):
        if value <= 0:
            raise RecordInvalid(
                f"{name} is {value}, it must be positive", "the direction of a trade is said by `direction`"
            )
    return {
        "quantity": said["quantity"],
        "price": price,
        "total_value": payloads.plain(_multiply(quantity_exact, price_exact)),
        **{name: said[name] for name in ("stop_loss", "target", "profit_loss")},
        **{name: said[name] for name in ("slippage", "commission", "net_profit_loss")},
    }


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
_SHARED = (
    "symbol",
    "action",
    "account_id",
    "strategy_name",
    "entry_type",
    "indicators_used",
    "outcome",
    "execution_mode",
    "session_id",
    "bot_version",
    "config_hash",
)
