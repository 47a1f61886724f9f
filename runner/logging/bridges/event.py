"""What another logging library said, in one form, and how it becomes a record.

| level                 | record                                             |
|-----------------------|----------------------------------------------------|
| below 20 (DEBUG)      | `debug`                                            |
| 20 (INFO) and above   | `system_event`                                     |
| 30 (WARNING)          | `warning`                                          |
| 40 (ERROR)            | `error`                                            |
| 50 (CRITICAL)         | `error` with severity CRITICAL, urgent             |
"""

from __future__ import annotations

import contextlib
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.logging.core_logger import TradingLogger
from runner.logging.log_types import Severity

LEVELS: Mapping[str, int] = {
    "debug": 10,
    "info": 20,
    "warning": 30,
    "warn": 30,
    "error": 40,
    "err": 40,
    "exception": 40,
    "critical": 50,
    "fatal": 50,
}
"""Levels by the names that logging libraries give them, in small letters."""

_LONGEST_SOURCE = 200
_writing = threading.local()


class LoggedError(Exception):
    """An error that was said in words only: there was no exception."""


@dataclass(frozen=True, slots=True)
class Event:
    """`level` as the standard library counts. `source` says where in the program, as `module.function:line`."""

    level: int
    message: str
    context: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    error: BaseException | None = None

    def write(self, logger: TradingLogger) -> str:
        """Make it a record of `logger`'s run; returns the record's id. Raises what the logger raises.

        An event that arises while its own thread writes another (a `__repr__` that logs) is left out, because writing
        it may never end; then the answer is empty.
        """
        if getattr(_writing, "now", False):
            return ""
        _writing.now = True
        try:
            return self._write(logger)
        finally:
            _writing.now = False

    def _write(self, logger: TradingLogger) -> str:
        if self.level >= LEVELS["error"]:
            return self._write_error(logger)
        if self.level >= LEVELS["warning"]:
            return logger.log_warning(self.message, self._with_exception(), _label(self.source))
        if self.level >= LEVELS["info"]:
            return logger.log_system_event(self.message, beside(self._with_exception(), source=self.source))
        return logger.log_debug(self.message, beside(self._with_exception(), source=self.source))

    def _write_error(self, logger: TradingLogger) -> str:
        is_critical = self.level >= LEVELS["critical"]
        return logger.log_error(
            self.error or LoggedError(self.message),
            beside(self.context, message=self.message) if self.error else self.context,
            _label(self.source),
            severity=Severity.CRITICAL if is_critical else Severity.ERROR,
            urgent=is_critical,
        )

    def _with_exception(self) -> Mapping[str, Any]:
        if self.error is None:
            return self.context
        return beside(self.context, exception="".join(traceback.format_exception(self.error)))


def beside(context: Mapping[str, Any], **ours: str) -> dict[str, Any]:
    """`context` and what is not empty of `ours`. Where the program uses a name itself, ours gets an underscore."""
    joined = dict(context)
    for name, value in ours.items():
        if value:
            joined[f"{name}_" if name in context else name] = value
    return joined


def report(failure: BaseException, what: str) -> None:
    """Say on stderr, in one line, that something could not be recorded; the program goes on."""
    reason = traceback.format_exception_only(failure)[-1].strip()
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"tron: {what} was not recorded: {reason}\n")


def _label(source: str) -> str:
    """`source` as a record takes it."""
    return "".join(letter if letter.isprintable() else "?" for letter in source[:_LONGEST_SOURCE])
