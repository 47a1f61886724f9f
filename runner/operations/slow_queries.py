"""The slow-query log: a query that took longer than `[warehouse] slow_query_seconds` leaves a `system_event` record.

The record says how long, how many rows, what was billed, and the statement without anything that could be private: its
literals and comments are taken out, and parameters are never looked at. The hash tells which queries are alike. A
statement is told once an hour at most, with how often it was slow since; a query never fails because it cannot be told.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from runner.clock import Clock
from runner.errors import RunnerError
from runner.logging.core_logger import TradingLogger
from runner.operations.queries import SpeaksGoogleSql
from runner.settings import Settings
from runner.stores.base import Part, Table, Warehouse

MESSAGE = "slow query"
BOT_TYPE = "warehouse"
_TOLD_EVERY = 3600.0
_MOST_STATEMENTS = 100
_LONGEST = 2000
_PRIVATE = re.compile(
    r"--[^\n]*|#[^\n]*|/\*.*?(?:\*/|\Z)"  # comments
    r"|\$(\w*)\$.*?(?:\$\1\$|\Z)"  # texts in dollars
    r"|[rRbBeE]{0,2}(?:'(?:[^'\\]|\\.|'')*(?:'|\Z)|\"(?:[^\"\\]|\\.|\"\")*(?:\"|\Z))"
    r"|\b\d[\w.]*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class SlowQuery:
    """One slow query. `times` is how often the statement was slow since it was last told, this time included."""

    sql_hash: str
    statement: str
    milliseconds: float
    rows: int
    bytes_billed: int
    times: int

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def skeleton(sql: str) -> str:
    """A statement without comments and with a `?` for each literal and number, in single spaces.

    Names in double quotes go as well: on one of the warehouses they are texts.
    """
    return " ".join(_PRIVATE.sub(_placeholder, sql).split())[:_LONGEST]


def _placeholder(found: re.Match[str]) -> str:
    return " " if found.group().startswith(("--", "#", "/*")) else "?"


class WatchedWarehouse:
    """A warehouse whose slow queries are told to `tell`. Everything else is the warehouse's own."""

    def __init__(self, warehouse: Warehouse, seconds: float, clock: Clock, tell: Callable[[SlowQuery], None]) -> None:
        self._warehouse = warehouse
        self._seconds = seconds
        self._clock = clock
        self._tell = tell
        self._lock = Lock()
        self._told: dict[str, float] = {}
        self._since: Counter[str] = Counter()

    @property
    def operations(self) -> Counter[str]:
        return self._warehouse.operations

    def loaded(self, stream: str) -> frozenset[str]:
        return self._warehouse.loaded(stream)

    def load(self, parts: Sequence[Part]) -> int:
        return self._warehouse.load(parts)

    def query(self, sql: str, parameters: Sequence[Any] = (), *, unshipped: Mapping[str, bytes] | None = None) -> Table:
        return self._watched(sql, lambda: self._warehouse.query(sql, parameters, unshipped=unshipped))

    def close(self) -> None:
        self._warehouse.close()

    def _watched(self, sql: str, ask: Callable[[], Table]) -> Table:
        billed, start = self.operations["bytes_billed"], self._clock.monotonic()
        answer = ask()
        taken = self._clock.monotonic() - start
        if taken >= self._seconds:
            self._note(sql, taken, len(answer.rows), self.operations["bytes_billed"] - billed)
        return answer

    def _note(self, sql: str, taken: float, rows: int, billed: int) -> None:
        statement = skeleton(sql)
        digest = hashlib.sha256(statement.encode()).hexdigest()[:16]
        now = self._clock.monotonic()
        with self._lock:
            self._since[digest] += 1
            is_known = digest in self._told
            if (is_known and now - self._told[digest] < _TOLD_EVERY) or (
                not is_known and len(self._told) >= _MOST_STATEMENTS
            ):
                return
            self._told[digest] = now
            times = self._since.pop(digest)
        self._tell(SlowQuery(digest, statement, round(taken * 1000, 1), rows, billed, times))


class WatchedGoogleWarehouse(WatchedWarehouse):
    """The same for a warehouse that takes GoogleSQL as it is."""

    def __init__(
        self,
        warehouse: Warehouse,
        seconds: float,
        clock: Clock,
        tell: Callable[[SlowQuery], None],
        google: SpeaksGoogleSql,
    ) -> None:
        super().__init__(warehouse, seconds, clock, tell)
        self._google = google

    def google_query(
        self, sql: str, parameters: Mapping[str, Any], *, unshipped: Mapping[str, bytes] | None = None
    ) -> Table:
        return self._watched(sql, lambda: self._google.google_query(sql, parameters, unshipped=unshipped))


def watched(warehouse: Warehouse, seconds: float, clock: Clock, tell: Callable[[SlowQuery], None]) -> Warehouse:
    """The warehouse, watched; as it is where `seconds` is 0."""
    if not seconds:
        return warehouse
    if isinstance(warehouse, SpeaksGoogleSql):
        return WatchedGoogleWarehouse(warehouse, seconds, clock, tell, warehouse)
    return WatchedWarehouse(warehouse, seconds, clock, tell)


def record_slow_query(settings: Settings, clock: Clock) -> Callable[[SlowQuery], None]:
    """A listener that writes the record, in a run of its own, so that nothing is held open; the next shipper ships it.

    Where no bot has made the home yet, nothing is written: a question alone must not make one.
    """
    shipping = settings.shipping.model_copy(update={"shipper": "none"})
    quiet = settings.model_copy(update={"shipping": shipping, "console": "off"})

    def tell(slow: SlowQuery) -> None:
        if not settings.home.is_dir():
            return
        try:
            with TradingLogger(bot_type=BOT_TYPE, settings=quiet, wall_clock=clock) as logger:
                logger.log_system_event(MESSAGE, slow.as_dict())
        except (RunnerError, OSError):
            return

    return tell
