"""Exceptions that nobody caught: in the main thread, in other threads, and where Python cannot raise them."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any

from runner.errors import JournalError
from runner.logging import exceptions, lines
from runner.logging.bridges.event import report
from runner.logging.core_logger import TradingLogger
from runner.logging.log_types import Severity
from runner.logging.reader import StreamReader
from runner.logging.run_info import run_folder

_ASKED_FOR = (KeyboardInterrupt, SystemExit, GeneratorExit)


class Excepthook:
    """Records uncaught exceptions with `logger`, then does what was done before. Use `install_excepthook`.

    | where                                | record                                                     |
    |--------------------------------------|------------------------------------------------------------|
    | the main thread, any other thread    | `error`, CRITICAL, urgent; everything before it is synced  |
    | a finaliser or callback (unraisable) | `error`; the program goes on                               |

    A program that is told to end (`KeyboardInterrupt`, `SystemExit`) ends without an error record.
    """

    def __init__(self, logger: TradingLogger) -> None:
        self._logger = logger
        self._before = sys.excepthook
        self._before_in_thread = threading.excepthook
        self._before_unraisable = sys.unraisablehook
        self._hooks = (self._uncaught, self._uncaught_in_thread, self._unraisable)
        sys.excepthook, threading.excepthook, sys.unraisablehook = self._hooks
        self._removed = False

    def remove(self) -> None:
        """Put the earlier hooks back. One that somebody has replaced since is left alone and only passes on."""
        self._removed = True
        if sys.excepthook is self._hooks[0]:
            sys.excepthook = self._before
        if threading.excepthook is self._hooks[1]:
            threading.excepthook = self._before_in_thread
        if sys.unraisablehook is self._hooks[2]:
            sys.unraisablehook = self._before_unraisable

    def __enter__(self) -> Excepthook:
        return self

    def __exit__(self, *raised: object) -> None:
        self.remove()

    def _uncaught(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        self._record(error, "uncaught", {}, Severity.CRITICAL)
        self._before(kind, error, traceback)

    def _uncaught_in_thread(self, args: threading.ExceptHookArgs) -> None:
        thread = args.thread.name if args.thread else ""
        self._record(args.exc_value, "uncaught in a thread", {"thread": thread}, Severity.CRITICAL)
        self._before_in_thread(args)

    def _unraisable(self, args: sys.UnraisableHookArgs) -> None:
        where = getattr(args.object, "__qualname__", type(args.object).__qualname__)
        context = {"object": str(where), "note": args.err_msg or ""}
        self._record(args.exc_value, "unraisable", context, Severity.ERROR)
        self._before_unraisable(args)

    def _record(self, error: BaseException | None, source: str, context: dict[str, Any], severity: Severity) -> None:
        if self._removed or error is None or isinstance(error, _ASKED_FOR):
            return
        urgent = severity is Severity.CRITICAL
        try:
            self._logger.log_error(error, context, source, severity=severity, urgent=urgent)
        except Exception as failure:
            if not _is_recorded(self._logger, error):
                report(failure, type(error).__name__)


def _is_recorded(logger: TradingLogger, error: BaseException) -> bool:
    """Whether the `with` block of a logger, which closed it, has recorded the exception that ended it."""
    known = exceptions.describe(error, "", {})
    reader = StreamReader(run_folder(logger._home, logger.run), "errors")
    try:
        last = b""
        while chunk := reader.read():
            last = lines.split(chunk)[-1]
        data = lines.decode(last)["data"] if last else {}
    except (JournalError, OSError):
        return False
    finally:
        reader.close()
    is_same = data.get("type") == known.type and known.stack.endswith(data.get("stack", ""))
    return is_same and data.get("source") == "uncaught"


def install_excepthook(logger: TradingLogger) -> Excepthook:
    """Record exceptions that nobody catches, until `remove()` is called or the `with` block of the answer ends."""
    return Excepthook(logger)
