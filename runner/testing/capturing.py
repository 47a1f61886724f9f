"""A logger for tests: the real one over a folder of its own, and what it wrote as dictionaries."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from runner.clock import Clock
from runner.layout import Home
from runner.logging import lines
from runner.logging.core_logger import TradingLogger
from runner.logging.reader import Tail
from runner.settings import Settings, Shipping

Record = dict[str, Any]


class CapturingLogger(TradingLogger):
    """A `TradingLogger` that ships nothing and remembers everything.

    It validates, repairs and redacts like the real one, because it is the real one; its journal lies in a temporary
    folder that goes when it is closed. `options` are those of `TradingLogger`.
    """

    def __init__(self, bot_type: str = "stock-trader", *, clock: Clock | None = None, **options: Any) -> None:
        folder = Path(tempfile.mkdtemp(prefix="tron-capture-"))
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._captured: list[Record] = []
        self._tail = Tail(Home(folder).create(), from_start=True)
        settings = Settings(home=folder, shipping=Shipping(shipper="none"))
        super().__init__(bot_type=bot_type, settings=settings, clock=clock, **options)

    @property
    def captured(self) -> list[Record]:
        """Every record so far, in order; seals, which the logger writes for itself, are left out."""
        if self._remove.alive:
            self.flush()
            self._collect()
        return [record for record in self._captured if record["kind"] != "seal"]

    def of_kind(self, kind: str) -> list[Record]:
        """The payloads (`data`) of the records of one kind, in order."""
        return [record["data"] for record in self.captured if record["kind"] == kind]

    def close(self) -> None:
        super().close()
        if self._remove.alive:
            self._collect()
            self._tail.close()
            self._remove()

    def _collect(self) -> None:
        while found := self._tail.next(0):
            self._captured += [lines.decode(line) for line in found]
        self._captured.sort(key=lambda record: int(record["seq"]))
