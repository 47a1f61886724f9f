"""structlog: a step of its processor chain that makes each event a record of the run."""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

from runner.logging.bridges.event import LEVELS, Event, report
from runner.logging.core_logger import TradingLogger

_CALLSITE = ("module", "func_name", "lineno")
_OURS = frozenset({"event", "level", "exc_info", *_CALLSITE})


class StructlogBridge:
    """Writes every event to `logger` and passes it on unchanged, so it stands before a renderer.

    As the last step, give `then=structlog.DropEvent`: the event ends here and nothing else writes it. The keys of
    `CallsiteParameterAdder` become the record's source. It never raises into the program but for `then`.
    """

    def __init__(self, logger: TradingLogger, *, then: type[BaseException] | None = None) -> None:
        self._logger = logger
        self._then = then

    def __call__(self, wrapped: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        try:
            _event_of(method, event).write(self._logger)
        except Exception as failure:
            report(failure, f"an event of structlog ({method})")
        if self._then is not None:
            raise self._then
        return event


def _event_of(method: str, event: Mapping[str, Any]) -> Event:
    name = str(event.get("level", method)).lower()
    return Event(
        level=LEVELS.get(name, LEVELS["info"]),
        message=str(event.get("event", "")),
        context={key: value for key, value in event.items() if key not in _OURS},
        source=_source(event),
        error=_exception_of(event.get("exc_info", method == "exception")),
    )


def _source(event: Mapping[str, Any]) -> str:
    module, function, line = (event.get(name, "") for name in _CALLSITE)
    return f"{module}.{function}:{line}".strip(".:")


def _exception_of(exc_info: Any) -> BaseException | None:
    """The exception, in the forms that structlog takes: an exception, a triple, or True for the current one."""
    if isinstance(exc_info, BaseException):
        return exc_info
    triple = exc_info if isinstance(exc_info, tuple) else sys.exc_info() if exc_info else (None, None)
    error = triple[1]
    return error if isinstance(error, BaseException) else None
