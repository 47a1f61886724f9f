"""loguru: a sink that makes each of its messages a record of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.logging.bridges.event import Event, beside
from runner.logging.core_logger import TradingLogger


class LoguruSink:
    """Writes to `logger`: `loguru.logger.add(LoguruSink(logger), level="DEBUG")`.

    Bound and extra fields go to the record's context. What cannot be written is raised, and loguru tells it on stderr.
    """

    def __init__(self, logger: TradingLogger) -> None:
        self._logger = logger

    def __call__(self, message: Any) -> None:
        _event_of(message.record).write(self._logger)


def _event_of(record: Mapping[str, Any]) -> Event:
    caught = record["exception"]
    lost = caught.type.__name__ if caught and caught.type and caught.value is None else ""
    return Event(
        level=record["level"].no,
        message=record["message"],
        context=beside(record["extra"], exception=lost),
        source=f"{record['module']}.{record['function']}:{record['line']}",
        error=caught.value if caught else None,
    )
