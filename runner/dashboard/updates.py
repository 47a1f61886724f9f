"""Sources: where the page's news come from. One thread each follows the live store and the journal, for all pages.

A source feeds the board and publishes what changed. When it cannot be read, the page says so and the source is tried
again.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from runner.dashboard.equity import EquityMark
from runner.dashboard.events import Hub
from runner.dashboard.queries import KEPT_DOCUMENTS, Board, describe
from runner.errors import RunnerError
from runner.stores.base import LiveStore

POLL_SECONDS = 0.25
PACE_SECONDS = 0.1
RETRY_SECONDS = 2.0

History = Callable[[], Iterable[Mapping[str, Any]]]
"""Rows with `bot`, `run`, `at`, `ts` (aware datetimes or RFC 3339) and `value`: the equity metrics of past runs."""


class RecordTail(Protocol):
    """New records of all runs as they come."""

    def next(self, timeout: float) -> list[bytes]:
        """Raw record lines, old to new; waits up to `timeout` seconds for the first."""
        ...

    def close(self) -> None: ...


class Source(ABC):
    """A thread that follows something until it is stopped."""

    name: str

    def __init__(self, board: Board, hub: Hub) -> None:
        self.board = board
        self.hub = hub
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"dashboard-{self.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop and wait for the thread."""
        self.stopping.set()
        self._thread.join()

    @abstractmethod
    def follow(self) -> None:
        """Open what is followed and publish its changes until `stopping` is set."""

    def works(self) -> None:
        """Say that the source can be read (again)."""
        self._tell(None)

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self.follow()
            except RunnerError as error:
                self._tell({"message": str(error), "hint": error.hint})
                self.stopping.wait(RETRY_SECONDS)

    def _tell(self, trouble: Mapping[str, str] | None) -> None:
        if self.board.set_trouble(self.name, trouble):
            self.hub.publish("troubles", msgspec.json.encode(self.board.troubles))


class DocumentSource(Source):
    """Follows the live store: event `documents`, a list of documents as they are now."""

    name = "live store"

    def __init__(self, board: Board, hub: Hub, live: LiveStore) -> None:
        super().__init__(board, hub)
        self._live = live

    def follow(self) -> None:
        watch = self._live.watch(tuple(KEPT_DOCUMENTS))
        try:
            while not self.stopping.is_set():
                kept = self.board.take_documents(watch.next(POLL_SECONDS))
                self.works()
                if kept:
                    self.hub.publish("documents", msgspec.json.encode([describe(one) for one in kept]))
                    self.stopping.wait(PACE_SECONDS)
        finally:
            watch.close()


class RecordSource(Source):
    """Follows the journal: event `records`, raw lines with the counts; event `equity`, new points of the curves."""

    name = "journal"

    def __init__(self, board: Board, hub: Hub, open_tail: Callable[[], RecordTail], history: History) -> None:
        super().__init__(board, hub)
        self._open_tail = open_tail
        self._history = history

    def follow(self) -> None:
        self.board.forget_records()
        if self.board.take_history(mark_of(row) for row in self._history()):
            self.hub.publish("equity", msgspec.json.encode(self.board.equity))
        tail = self._open_tail()
        try:
            while not self.stopping.is_set():
                lines = [line.rstrip(b"\n") for line in tail.next(POLL_SECONDS)]
                self.works()
                if lines:
                    self._publish(lines)
                    self.stopping.wait(PACE_SECONDS)
        finally:
            tail.close()

    def _publish(self, lines: list[bytes]) -> None:
        arrival = self.board.take_records(lines)
        if arrival.marks:
            self.hub.publish("equity", msgspec.json.encode(self.board.equity_news(arrival.marks)))
        news = {"counts": self.board.counts, "seen": arrival.seen, "records": [msgspec.Raw(x) for x in arrival.lines]}
        self.hub.publish("records", msgspec.json.encode(news))


def mark_of(row: Mapping[str, Any]) -> EquityMark:
    """An equity mark from a row of history."""
    return EquityMark(row["bot"], row["run"], _moment(row["at"]), _moment(row["ts"]), Decimal(str(row["value"])))


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
