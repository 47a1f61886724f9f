"""The logging core: typed records, a journal that survives, followers that ship.

    record -> journal (disk, microseconds)          `TradingLogger`, in the bot's process
    journal -> live store, archive, stream          followers, in the shipper's process

What users import is here; everything else is a room of its own.
"""

from runner.logging.core_logger import TradingLogger, create_trading_logger
from runner.logging.log_types import (
    AuditData,
    DecisionData,
    FillData,
    ForecastData,
    HeartbeatData,
    OrderData,
    PositionData,
    PredictionData,
    RiskEventData,
    Severity,
    TradeLogData,
    UsageData,
)

__all__ = [
    "AuditData",
    "DecisionData",
    "FillData",
    "ForecastData",
    "HeartbeatData",
    "OrderData",
    "PositionData",
    "PredictionData",
    "RiskEventData",
    "Severity",
    "TradeLogData",
    "TradingLogger",
    "UsageData",
    "create_trading_logger",
]
