"""Kinds of records, their severities and their typed payloads.

A payload is a frozen struct. Its fields are the columns of the warehouse. Their types say how strictly they are taken:

| type               | takes                                               | otherwise                            |
|--------------------|-----------------------------------------------------|--------------------------------------|
| `Number`           | finite Decimal, int or float; a string in the record | `RecordInvalid`                      |
| `Id`               | 1-128 characters, no control characters, no `..`    | `RecordInvalid`                      |
| `Symbol`           | 1-20 characters of `A-Z 0-9 . _ / -`                | `RecordInvalid`                      |
| `Literal`, `date`, `datetime`, `int`, `float`, `bool` | exactly that; datetimes aware | `RecordInvalid`   |
| `str`              | a short label                                       | `RecordInvalid`                      |
| `Text`, `dict[str, Any]` | anything                                      | repaired, and named in `_repaired`   |
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from msgspec import Struct, field

Number = Decimal | int | float
Id = Annotated[str, "id"]
Symbol = Annotated[str, "symbol"]
Text = Annotated[str, "text"]


class Severity(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    NOTICE = "NOTICE"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


class Kind(StrEnum):
    TRADE_ENTRY = "trade_entry"
    TRADE_EXIT = "trade_exit"
    ORDER = "order"
    FILL = "fill"
    POSITION = "position"
    RISK_EVENT = "risk_event"
    AUDIT = "audit"
    DECISION = "decision"
    REFLECTION = "reflection"
    ERROR = "error"
    WARNING = "warning"
    SYSTEM_EVENT = "system_event"
    HEARTBEAT = "heartbeat"
    DEBUG = "debug"
    DROPPED = "dropped"
    METRIC = "metric"
    SUMMARY = "summary"
    PREDICTION = "prediction"
    FORECAST = "forecast"
    USAGE = "usage"
    SEAL = "seal"


class TradeLogData(Struct, frozen=True, kw_only=True, gc=False):
    """What a bot says of a trade: the eight fields that are always known, and what else it knows.

    `direction` is "long" or "short", `status` "open" or "closed". Prices are per unit in the quote currency,
    `slippage` per unit against us, `commission` and profits for the whole quantity.
    """

    trade_id: Id
    symbol: Symbol
    strategy: str
    bot_type: str
    direction: Literal["long", "short"]
    quantity: Number
    entry_price: Number
    status: Literal["open", "closed"]
    exit_price: Number | None = None
    order_id: Id | None = None
    account_id: Id | None = None
    entry_type: str | None = None
    stop_loss: Number | None = None
    target: Number | None = None
    reasoning: Text | None = None
    indicators_used: list[str] = field(default_factory=list)
    risk_reward_ratio: float | None = None
    outcome: str | None = None
    profit_loss: Number | None = None
    hold_duration_seconds: int | None = None
    exit_timestamp: datetime | None = None
    exit_reasoning: Text | None = None
    slippage: Number | None = None
    commission: Number | None = None
    net_profit_loss: Number | None = None


class TradeRecord(Struct, frozen=True, kw_only=True):
    """The 27 fields of an audited trade, and `trade_id`. An exit repeats the entry's order id and adds the outcome."""

    trade_id: Id
    timestamp: datetime
    symbol: Symbol
    action: Literal["BUY", "SELL"]
    quantity: Decimal
    price: Decimal
    total_value: Decimal
    order_id: Id
    execution_mode: str
    account_id: Id | None
    strategy_name: str
    entry_type: str
    stop_loss: Decimal | None
    target: Decimal | None
    decision_reasoning: Text
    indicators_used: list[str]
    risk_reward_ratio: float | None
    outcome: str | None
    profit_loss: Decimal | None
    hold_duration_seconds: int | None
    exit_timestamp: datetime | None
    exit_reasoning: Text | None
    slippage: Decimal | None
    commission: Decimal | None
    net_profit_loss: Decimal | None
    session_id: str
    bot_version: str
    config_hash: str


class OrderData(Struct, frozen=True, kw_only=True):
    order_id: Id
    symbol: Symbol
    side: Literal["BUY", "SELL"]
    quantity: Number
    status: str
    trade_id: Id | None = None
    strategy: str | None = None
    order_type: str = "market"
    limit_price: Number | None = None
    reason: Text | None = None


class FillData(Struct, frozen=True, kw_only=True):
    fill_id: Id
    order_id: Id
    symbol: Symbol
    side: Literal["BUY", "SELL"]
    quantity: Number
    price: Number
    commission: Number
    slippage: Number
    trade_id: Id | None = None


class PositionData(Struct, frozen=True, kw_only=True):
    """A position marked to market. `quantity` is signed (short is negative) and 0 when it was closed."""

    symbol: Symbol
    quantity: Number
    entry_price: Number
    market_price: Number
    unrealized_pnl: Number
    realized_pnl: Number
    trade_id: Id | None = None
    strategy: str | None = None
    opened_at: datetime | None = None
    stop_loss: Number | None = None
    target: Number | None = None


class DecisionData(Struct, frozen=True, kw_only=True):
    """Why something was or was not done. `outcome`: "taken", "vetoed" (by `vetoed_by`), "near" or "skipped"."""

    decision_id: Id
    symbol: Symbol
    strategy: str
    action: str
    outcome: Literal["taken", "vetoed", "near", "skipped"]
    reason: Text
    confidence: float | None = None
    indicators: dict[str, float | None] = field(default_factory=dict)
    vetoed_by: str | None = None
    trade_id: Id | None = None
    context: dict[str, Any] = field(default_factory=dict)


class ReflectionData(Struct, frozen=True, kw_only=True):
    date: date
    text: Text
    context: dict[str, Any] = field(default_factory=dict)


class RiskEventData(Struct, frozen=True, kw_only=True):
    """`event_type` such as "circuit_breaker_trip"; `action_taken` such as "trading_paused" or "position_rejected"."""

    event_type: str
    action_taken: str
    message: Text = ""
    symbol: Symbol | None = None
    daily_pnl: Number | None = None
    daily_pnl_pct: Number | None = None
    drawdown_pct: Number | None = None
    consecutive_losses: int | None = None
    config_snapshot: dict[str, Any] = field(default_factory=dict)


class AuditData(Struct, frozen=True, kw_only=True):
    """Who (the record's `actor`) did what: halt, resume, settings and retention changes."""

    action: str
    subject: str
    reason: Text = ""
    context: dict[str, Any] = field(default_factory=dict)


class ErrorData(Struct, frozen=True, kw_only=True):
    """An exception. `causes` are its chained exceptions, nearest first, each with type, message and stack."""

    type: str
    message: Text
    stack: Text = ""
    causes: list[dict[str, str]] = field(default_factory=list)
    source: str = ""
    context: dict[str, Any] = field(default_factory=dict)


class WarningData(Struct, frozen=True, kw_only=True):
    message: Text
    source: str = ""
    context: dict[str, Any] = field(default_factory=dict)


class EventData(Struct, frozen=True, kw_only=True):
    """A system event or a debug record: a message and free fields."""

    message: Text
    context: dict[str, Any] = field(default_factory=dict)


class HeartbeatData(Struct, frozen=True, kw_only=True):
    status: str
    equity: Number | None = None
    cash: Number | None = None
    open_positions: int | None = None
    trades: int | None = None
    bars: int | None = None
    halted: bool = False
    context: dict[str, Any] = field(default_factory=dict)


class DroppedData(Struct, frozen=True, kw_only=True):
    """How many records were refused, by kind, because the journal was full."""

    counts: dict[str, int]


class MetricData(Struct, frozen=True, kw_only=True):
    name: str
    value: Number
    unit: str = ""
    tags: dict[str, str] = field(default_factory=dict)


class SummaryData(Struct, frozen=True, kw_only=True):
    """One bot's day. `metrics` are numbers by name, as `runner.backtest.metrics` defines them; null when undefined."""

    date: date
    metrics: dict[str, Any]


class PredictionData(Struct, frozen=True, kw_only=True):
    symbol: Symbol
    model: str
    label: str
    probability: float
    threshold: float | None = None
    features: dict[str, float | None] = field(default_factory=dict)


class ForecastData(Struct, frozen=True, kw_only=True):
    symbol: Symbol
    model: str
    forecast_type: str
    horizon_minutes: int
    predicted_value: Number
    confidence: float
    expires_at: datetime


class UsageData(Struct, frozen=True, kw_only=True):
    """What was asked of a store: operations and bytes since the last usage record."""

    service: str
    operation: str
    count: int
    bytes: int = 0
    saved: int = 0


class SealData(Struct, frozen=True, kw_only=True):
    """How far every other stream of the run had come: last offset and head hash (see `audit`). `reason`: "interval",
    "close" or "recovery"."""

    reason: Text
    streams: dict[str, dict[str, Any]]


PAYLOADS: Mapping[Kind, type[Struct]] = {
    Kind.TRADE_ENTRY: TradeRecord,
    Kind.TRADE_EXIT: TradeRecord,
    Kind.ORDER: OrderData,
    Kind.FILL: FillData,
    Kind.POSITION: PositionData,
    Kind.RISK_EVENT: RiskEventData,
    Kind.AUDIT: AuditData,
    Kind.DECISION: DecisionData,
    Kind.REFLECTION: ReflectionData,
    Kind.ERROR: ErrorData,
    Kind.WARNING: WarningData,
    Kind.SYSTEM_EVENT: EventData,
    Kind.HEARTBEAT: HeartbeatData,
    Kind.DEBUG: EventData,
    Kind.DROPPED: DroppedData,
    Kind.METRIC: MetricData,
    Kind.SUMMARY: SummaryData,
    Kind.PREDICTION: PredictionData,
    Kind.FORECAST: ForecastData,
    Kind.USAGE: UsageData,
    Kind.SEAL: SealData,
}
"""The payload of each kind."""
