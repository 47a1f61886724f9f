"""Trades: from what a bot says (`TradeLogData`) to the audited record (`TradeRecord`).

This is the hottest path of all, so there are two ways, which write the same record:

- `_straight` takes a trade like one that was seen before: money in Decimal, plain texts, and the same labels, whose
  part of the record is kept encoded. It costs about two microseconds.
- `_checked` takes any trade, field by field, with the checks of `payloads`. It refuses or repairs.
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
_UNSPECIFIED = "unspecified"
_multiply = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN).multiply
_LONGEST_ID = 128
_LONGEST_MONEY = 400
_MOST_KNOWN = 10_000
_INT64 = 1 << 63


class TradeEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """What a logger knows of every trade."""

    execution_mode: str
    session_id: str
    bot_version: str
    config_hash: str


class _Changing(msgspec.Struct, frozen=True, gc=False):
    """What differs from trade to trade. The money stands first, so that its part of the JSON can be looked at."""

    quantity: Decimal
    price: Decimal
    total_value: Decimal
    stop_loss: Decimal | None
    target: Decimal | None
    profit_loss: Decimal | None
    slippage: Decimal | None
    commission: Decimal | None
    net_profit_loss: Decimal | None
    timestamp: datetime | str
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
        self._known: dict[tuple[Any, ...], bytes] = {}

    def encode(self, trade: TradeLogData, moment: datetime | str, *, entry: bool) -> bytes:
        """The `data` of a trade record. Raises `RecordInvalid`.

        `moment` is the time of the execution: text as in a record, or a datetime in UTC that has microseconds.
        """
        try:
            return self._straight(trade, moment, entry) or self._checked(trade, moment, entry)
        except (TypeError, AttributeError, ArithmeticError, UnicodeEncodeError):
            return self._checked(trade, moment, entry)

    def _straight(self, trade: Any, moment: datetime | str, entry: bool) -> bytes | None:
        """None, or one of the errors that `encode` knows, where something has to be looked at more closely."""
        values = _values(trade, entry)
        known = self._known.get((*_labels(trade, entry), *map(type, values)))
        quantity, price, other, stop, target, profit, slippage, commission, net, *rest = values
        ended, duration, ratio, trade_id, order_id, reasoning, told = rest
        if not (
            known is not None
            and quantity > 0
            and price > 0
            and (other is None or other.is_finite())
            and (ended is None or ended.tzinfo is UTC)
            and (duration is None or -_INT64 <= duration < _INT64)
            and (ratio is None or ratio - ratio == 0.0)
            and _are_ids(trade_id, order_id)
        ):
            return None
        changing = _Changing(
            quantity,
            price,
            _multiply(quantity, price),
            stop,
            target,
            profit,
            slippage,
            commission,
            net,
            moment,
            ended if ended is None or ended.microsecond else timestamp(ended),
            duration,
            ratio,
            trade_id,
            order_id or trade_id,
            reasoning or _UNSPECIFIED,
            told,
        )
        encoded = encode_json(changing)
        return b"%s,%s" % (encoded[:-1], known) if self._is_plain(encoded.decode()) else None

    def _is_plain(self, text: str) -> bool:
        """Whether nothing was escaped, no money has an exponent or is NaN or Infinity, and no secret is found."""
        money, _, rest = text.partition('"timestamp"')
        return not (
            "E" in money
            or "N" in money
            or "I" in money
            or "\\" in rest
            or "\x7f" in rest
            or len(money) > _LONGEST_MONEY
            or len(rest) > LONGEST_TEXT
            or (self._redactor.needles and self._redactor.finds(rest))
        )

    def _checked(self, trade: TradeLogData, moment: datetime | str, entry: bool) -> bytes:
        if not isinstance(trade, TradeLogData):
            raise RecordInvalid(f"{payloads.shortened(trade)} is no trade", "give a TradeLogData")
        repair = Repair(self._redactor)
        said = {name: convert(getattr(trade, name), repair, name) for name, convert in _SAID}
        found = _money(trade, said, repair, entry)
        found |= {
            "trade_id": said["trade_id"],
            "timestamp": moment if isinstance(moment, str) else timestamp(moment),
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
        return encode_json(found)

    def _learn(self, trade: TradeLogData, entry: bool, found: Mapping[str, Any]) -> None:
        """Keep the part of a record that the next trade with the same labels, and values of the same types, will share.

        Only types that need no conversion are kept.
        """
        types = tuple(map(type, _values(trade, entry)))
        if len(self._known) < _MOST_KNOWN and all(map(frozenset.__contains__, _FITTING, types)):
            self._known[*_labels(trade, entry), *types] = encode_json({name: found[name] for name in _SHARED})[1:]


def _labels(trade: TradeLogData, entry: bool) -> tuple[Any, ...]:
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


def _values(trade: TradeLogData, entry: bool) -> tuple[Any, ...]:
    """What differs from trade to trade, in the order of `_FITTING`."""
    return (
        trade.quantity,
        trade.entry_price if entry else trade.exit_price,
        trade.exit_price if entry else trade.entry_price,
        trade.stop_loss,
        trade.target,
        trade.profit_loss,
        trade.slippage,
        trade.commission,
        trade.net_profit_loss,
        trade.exit_timestamp,
        trade.hold_duration_seconds,
        trade.risk_reward_ratio,
        trade.trade_id,
        trade.order_id,
        trade.reasoning,
        trade.exit_reasoning,
    )


def _are_ids(trade_id: str, order_id: str | None) -> bool:
    """Whether texts of any length are ids, as far as it does not show when they are written."""
    return (
        0 < len(trade_id) <= _LONGEST_ID
        and ".." not in trade_id
        and (order_id is None or (0 < len(order_id) <= _LONGEST_ID and ".." not in order_id))
    )


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
_MONEY, _OPTIONAL_MONEY = frozenset((Decimal,)), frozenset((Decimal, NoneType))
_FITTING = (
    *(_MONEY, _MONEY, _OPTIONAL_MONEY, _OPTIONAL_MONEY, _OPTIONAL_MONEY),
    *(_OPTIONAL_MONEY, _OPTIONAL_MONEY, _OPTIONAL_MONEY, _OPTIONAL_MONEY),
    *(frozenset((datetime, NoneType)), frozenset((int, NoneType)), frozenset((float, NoneType))),
    *(frozenset((str,)), frozenset((str, NoneType)), frozenset((str, NoneType)), frozenset((str, NoneType))),
)
