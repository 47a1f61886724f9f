"""The standard library's `logging`: a handler that makes each of its records a record of the run."""

from __future__ import annotations

import logging
from typing import Any

from runner.logging.bridges.event import Event, beside
from runner.logging.core_logger import TradingLogger

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"asctime", "message", "taskName"}
"""The attributes of every `LogRecord`; what else one carries came as `extra`."""


class TradingHandler(logging.Handler):
    """Writes to `logger`, which stays open when the handler is closed.

    Fields given as `extra` go to the record's context, with the name of the logger that was used as `logger`. As every
    handler it never raises: what cannot be written is told on stderr, unless `logging.raiseExceptions` is off.
    """

    def __init__(self, logger: TradingLogger, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _event_of(record).write(self._logger)
        except Exception:
            self.handleError(record)


def _event_of(record: logging.LogRecord) -> Event:
    extra = {name: value for name, value in vars(record).items() if name not in _OWN}
    return Event(
        level=record.levelno,
        message=record.getMessage(),
        context=beside(extra, logger=record.name, stack=record.stack_info or ""),
        source=f"{record.module}.{record.funcName}:{record.lineno}",
        error=_exception_of(record.exc_info),
    )


def _exception_of(exc_info: Any) -> BaseException | None:
    """The exception, in the forms that `exc_info` of a record takes."""
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    return error if isinstance(error, BaseException) else None
