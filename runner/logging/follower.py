"""Followers: read from a checkpoint, batch, ship, advance.

A follower looks at every run in the journal. It may ship a batch twice after a crash; its sink makes the second time
harmless. What the store cannot take for now is tried again, in order, for ever; what it will never take is isolated,
set aside with the reason, and passed by.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from runner.clock import Clock
from runner.errors import JournalError, StoreUnavailable
from runner.layout import Home
from runner.logging.journal import RunInfo, run_folder, runs
from runner.logging.owed import Owed, owed_runs
from runner.logging.reader import Cursor, StreamReader, segments
from runner.logging.routes import STREAMS
from runner.logging.run_info import unreadable_runs
from runner.stores.base import Archive

Answer = TypeVar("Answer")


class Follower(Protocol):
    name: str
    pins: bool
    """Whether the journal must keep what this follower has not shipped."""
    patience: Patience

    def step(self, *, drain: bool = False) -> bool:
        """Ship what is due (everything, when draining); returns whether anything was shipped."""
        ...

    def wants(self, stream: str) -> bool:
        """Whether this follower ships a stream at all."""
        ...

    def shipped(self, run: str, stream: str) -> Cursor:
        """How far a stream is shipped for good. May be asked from any thread."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a follower could not do, for alerts: its name, the error, and how many tries it has made."""

    follower: str
    error: Exception
    tries: int


@dataclass(frozen=True, slots=True)
class News:
    """A trouble that began, that is over, or (`refused`) a record that was set aside. Each is told once."""

    what: str
    trouble: Trouble


class Patience:
    """Tries again for ever while a store is unavailable, with backoff and jitter, until `stop` is set.

    `on_trouble` is called at every try that fails; `news` holds beginnings and ends, for whoever takes them out.
    """

    def __init__(
        self, name: str, stop: threading.Event, on_trouble: Callable[[Trouble], None], longest: float = 30
    ) -> None:
        self.news: deque[News] = deque(maxlen=1000)
        self._name = name
        self._stop = stop
        self._on_trouble = on_trouble
        self._longest = longest
        self._unavailable: Trouble | None = None
        self._failed: Trouble | None = None

    def call(self, action: Callable[[], Answer]) -> Answer:
        """What the action answers. Raises `StoreUnavailable` only when told to stop while the store was unavailable."""
        retrying = Retrying(
            retry=retry_if_exception_type(StoreUnavailable),
            wait=wait_random_exponential(multiplier=0.1, max=self._longest),
            stop=lambda state: self._stop.is_set(),
            sleep=self._wait,
            before_sleep=self._tell,
            reraise=True,
        )
        answer = retrying(action)
        if self._unavailable:
            self.news.append(News("over", self._unavailable))
            self._unavailable = None
        return answer

    def fail(self, error: Exception) -> None:
        """A whole step failed, and will be tried again."""
        tries = self._failed.tries + 1 if self._failed else 1
        self._failed = self._begin(Trouble(self._name, error, tries))

    def succeed(self) -> None:
        """A whole step was done."""
        if self._failed:
            self.news.append(News("over", self._failed))
            self._failed = None

    def refused(self, error: Exception) -> None:
        """A record was set aside, and the follower went on."""
        trouble = Trouble(self._name, error, 1)
        self.news.append(News("refused", trouble))
        self._on_trouble(trouble)

    def _wait(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Exception):
            self._unavailable = self._begin(Trouble(self._name, error, state.attempt_number))

    def _begin(self, trouble: Trouble) -> Trouble:
        if trouble.tries == 1:
            self.news.append(News("began", trouble))
        self._on_trouble(trouble)
        return trouble


@dataclass(frozen=True, slots=True)
class Journals:
    """The runs and streams that a follower looks at, and the `archive` that keeps what the journal has let go."""

    home: Home
    clock: Clock
    archive: Archive | None = None

    def runs(self) -> list[RunInfo]:
        return runs(self.home)

    def unreadable(self, present: Collection[str]) -> dict[str, JournalError]:
        """Runs beside `present` that cannot be read, with what is wrong."""
        return unreadable_runs(self.home, present)

    def owed(self) -> list[Owed]:
        """Runs that left the journal, and that a follower which does not pin it may still need."""
        notes = owed_runs(self.home)
        present = {info.run for info in self.runs()} if notes else set()
        return [note for note in notes if note.info.run not in present]

    def streams(self, run: str) -> Iterator[str]:
        folder = run_folder(self.home, run)
        return (name for name in STREAMS if segments(folder, name))

    def unshipped(self, follower: Follower, run: str) -> int:
        """Bytes of a run that the journal holds and a follower has not shipped yet."""
        folder = run_folder(self.home, run)
        return sum(
            StreamReader(folder, stream, follower.shipped(run, stream)).available()
            for stream in self.streams(run)
            if follower.wants(stream)
        )
