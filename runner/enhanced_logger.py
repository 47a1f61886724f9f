"""The older logging surface, for bots that were written against it. New bots use `TradingLogger`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from runner.errors import RecordInvalid
from runner.logging.bridges.event import LEVELS, Event, LoggedError
from runner.logging.core_logger import TradingLogger
from runner.logging.log_types import TradeLogData


class EnhancedLogger:
    """Routes everything to a `TradingLogger`, which is `logger`. `options` are those of `TradingLogger`.

    Every `log_*` returns the record's id, and raises `RecordInvalid` and `JournalFull` as the new surface does.
    """

    def __init__(self, bot_type: str = "stock-trader", session_id: str | None = None, **options: Any) -> None:
        self.logger = TradingLogger(session_id, bot_type, **options)

    def log_event(self, message: str, level: str = "INFO", **fields: Any) -> str:
        """Record that something happened. `level` is the name of one, in any letter case."""
        number = LEVELS.get(level.lower())
        if number is None:
            raise RecordInvalid(f"level is {level!r}", f"use one of {', '.join(LEVELS).upper()}")
        return Event(number, message, fields).write(self.logger)

    def log_trade(
        self, trade: TradeLogData | Mapping[str, Any] | None = None, *, urgent: bool = False, **fields: Any
    ) -> str:
        """Record a trade, whole or as its fields: its entry when `status` is "open", its exit when it is "closed"."""
        data = trade if isinstance(trade, TradeLogData) else self._trade({**(trade or {}), **fields})
        log = self.logger.log_trade_exit if data.status == "closed" else self.logger.log_trade_entry
        return log(data, urgent=urgent)

    def log_decision(self, decision: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Record why something was or was not done: the fields of `DecisionData`. `decision_id` may be left out."""
        return self.logger.log_cognitive_decision({"decision_id": str(uuid.uuid4()), **(decision or {}), **fields})

    def log_error(self, error: BaseException | str, context: Mapping[str, Any] | None = None, source: str = "") -> str:
        """Record an exception, or an error that is known in words only."""
        cause = LoggedError(error) if isinstance(error, str) else error
        return self.logger.log_error(cause, context, source)

    def flush(self) -> None:
        self.logger.flush()

    def close(self) -> None:
        self.logger.close()

    def __enter__(self) -> EnhancedLogger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.logger.__exit__(kind, error, traceback)

    def _trade(self, fields: Mapping[str, Any]) -> TradeLogData:
        try:
            return TradeLogData(**{"bot_type": self.logger.bot_type, **fields})
        except TypeError as error:
            known = ", ".join(TradeLogData.__struct_fields__)
            raise RecordInvalid(f"log_trade: {error}", f"fields: {known}") from None
