"""The shipper: one per home. It owns the followers, the stores behind them, recovery, and the sweep of the journal.

`run(follow=True)` stays while bots live and a little longer; `run(follow=False)` ships what there is and returns. Both
first adopt the runs that dead processes left. A second shipper on the same home waits for the first.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from runner.clock import Clock
from runner.errors import RunnerError, StoreUnavailable
from runner.layout import Home
from runner.logging import sweeping
from runner.logging.bell import Bell
from runner.logging.commit import GroupCommit
from runner.logging.disk import FileLock
from runner.logging.firestore_logger import FirestoreLogger
from runner.logging.follower import Follower, Journals, News, Trouble
from runner.logging.housekeeping import SHIPPER, House
from runner.logging.journal import runs
from runner.logging.leftovers import left_lines
from runner.logging.recovery import Recovered
from runner.settings import Settings

__all__ = ["SHIPPER", "Chore", "Ledger", "Reports", "Shipper"]

_PAUSE, _LONGEST_PAUSE = 0.05, 0.25
"""Seconds between two looks at the journal: the longer nothing was there to ship, the fewer looks."""
_SUPERVISE = 0.2
_AHEAD, _LONGEST_TURN = 0.25, 1.0
"""The archive goes first: for so long after it shipped something the others rest, yet never longer than a second."""
_TO_END = 1.0
"""Seconds that a thread which hangs in a store is waited for."""


class Chore(Protocol):
    """Something that the shipper does beside shipping, such as exporting to the warehouse."""

    @property
    def every(self) -> float:
        """Seconds between two times."""
        ...

    def run(self) -> None: ...


class Ledger(Protocol):
    """Writes what the stores were asked for as records of a run of its own, which the shipper ships like any other."""

    @property
    def every(self) -> float: ...

    def run(self) -> None: ...

    def tell(self, news: News) -> None:
        """Record that a trouble began or is over, or that a record was set aside."""
        ...

    def close(self) -> None: ...

    def leave(self) -> None:
        """Keep what was counted and not written for the next ledger of the home."""
        ...


@dataclass(frozen=True, slots=True)
class Reports:
    """Where the shipper says what happens. Each is called from the shipper's threads.

    `trouble` is told at every try that fails, `news` once per outage when it begins and ends. `left` gets the line of
    each critical record that is not archived when the shipper must end (see `leftovers`).
    """

    waiting: Callable[[], None] = lambda: None
    recovered: Callable[[Recovered], None] = lambda recovered: None
    trouble: Callable[[Trouble], None] = lambda trouble: None
    news: Callable[[News], None] = lambda news: None
    left: Callable[[bytes], None] = lambda line: None


class Shipper:
    """Ships one home's journal. Among `followers` those that `pin` (the archive's) decide what may be deleted."""

    def __init__(
        self,
        home: Home,
        followers: Sequence[Follower],
        settings: Settings,
        clock: Clock,
        *,
        stop: threading.Event,
        chores: Sequence[Chore] = (),
        ledger: Ledger | None = None,
        reports: Reports | None = None,
    ) -> None:
        self._home = home
        self._followers = followers
        self._settings = settings
        self._stop = stop
        self._chores: list[Chore] = [*chores, *([ledger] if ledger else [])]
        self._ledger = ledger
        self._reports = reports or Reports()
        self._lock = FileLock(home.shipper_lock)
        self._journals = Journals(home, clock)
        self._house = House(home, followers, settings, clock)
        self._deadline: float | None = None
        self._awaits_bots = False
        self._archived = float("-inf")
        self._resting = threading.Event()
        self._finished = threading.Event()
        self._failure: BaseException | None = None

    def run(self, *, follow: bool, wait: bool = True) -> bool:
        """Ship until there is nothing left to do; returns whether everything was shipped.

        Without `wait`, leave at once when another shipper works on this home: it does what is to be done.
        """
        if not self._take_lock(wait):
            return not wait
        try:
            sweeping.empty_trash(self._home)
            return self._follow() if follow else self._drain_once()
        finally:
            if self._ledger is not None:
                with contextlib.suppress(RunnerError):
                    self._ledger.leave()
            self._lock.release()

    def drain(self, *, await_bots: bool = False) -> None:
        """Ship everything now and end (SIGTERM): at most `shipping.drain_seconds`. Safe in a signal handler.

        With `await_bots`, not before the bots have ended: they were told to end at the same time.
        """
        self._awaits_bots = self._awaits_bots or await_bots
        if self._deadline is None:
            self._deadline = time.monotonic() + self._settings.shipping.drain_seconds

    @property
    def _draining(self) -> bool:
        return self._deadline is not None

    def _take_lock(self, wait: bool) -> bool:
        told = False
        while not self._lock.acquire():
            if not wait:
                return False
            if not told:
                self._reports.waiting()
                told = True
            if self._stop.wait(_SUPERVISE) or self._draining:
                return False
        return True

    def _drain_once(self) -> bool:
        try:
            self._adopt()
            self._ship_everything()
            self._tell_news()
            self._close_ledger()
            self._ship_everything()
            for chore in self._chores:
                chore.run()
            self._house.sweep()
            return self._house.is_shipped()
        finally:
            for follower in self._followers:
                follower.close()

    def _ship_everything(self) -> None:
        """All followers at once: one whose store is down does not keep the others waiting."""
        with ThreadPoolExecutor(len(self._followers), "ship") as threads:
            list(threads.map(self._ship_all, self._followers))

    def _ship_all(self, follower: Follower) -> None:
        """Until nothing of a closed run is left; of a live run, what there is in one more look."""
        while follower.step(drain=True) and not self._stop.is_set():
            if not any(self._journals.unshipped(follower, info.run) for info in runs(self._home) if info.closed):
                follower.step(drain=True)
                return

    def _close_ledger(self) -> None:
        """The last usage records; after this only they are left to ship, and that is not counted again."""
        if self._ledger is not None:
            self._ledger.run()
            self._ledger.close()

    def _follow(self) -> bool:
        commit = GroupCommit(self._home, lambda error: self._reports.trouble(Trouble("commit", error, 1)))
        commit.start()
        working = [self._start(partial(self._work, follower), follower.name) for follower in self._followers]
        chores = self._start(self._do_chores, "chores")
        try:
            self._supervise()
            complete = self._finish(chores)
        finally:
            self._finished.set()
            self._stop.set()
            for thread, follower in zip(working, self._followers, strict=True):
                thread.join(_TO_END)
                if not thread.is_alive():
                    follower.close()
            commit.stop()
        if self._failure is not None:
            raise self._failure
        return complete

    def _start(self, work: Callable[[], None], name: str) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                self._failure = error
                self._stop.set()

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _work(self, follower: Follower) -> None:
        """One follower's thread. Any failure but a bug is told and tried again."""
        bell = Bell(self._home) if isinstance(follower, FirestoreLogger) else None
        urgent, pause = False, _PAUSE
        first = next((one for one in self._followers if one.pins), None)
        while not self._finished.is_set():
            if follower is not first:
                self._let_the_archive_go_first()
            try:
                worked = follower.step(drain=self._draining or urgent)
                follower.patience.succeed()
                if worked and follower is first:
                    self._archived = time.monotonic()
            except StoreUnavailable as error:
                if self._stop.is_set():
                    break
                worked = self._pause_after(follower, error)
            except RunnerError as error:
                worked = self._pause_after(follower, error)
            urgent, pause = False, _PAUSE if worked else min(_LONGEST_PAUSE, pause * 1.5)
            if not worked and bell is not None:
                urgent = bell.wait(pause)
            elif not worked:
                self._finished.wait(pause)
        if bell is not None:
            bell.close()

    def _let_the_archive_go_first(self) -> None:
        """While it is behind, it needs the interpreter that all followers share. In an outage nobody waits for it."""
        until = time.monotonic() + _LONGEST_TURN
        while time.monotonic() < min(until, self._archived + _AHEAD) and not self._draining:
            self._finished.wait(_PAUSE / 2)

    def _pause_after(self, follower: Follower, error: RunnerError) -> bool:
        follower.patience.fail(error)
        self._stop.wait(1.0)
        return False

    def _supervise(self) -> None:
        """Tend the house until it is time to go."""
        quiet_since: float | None = None
        while not self._stop.is_set() and not self._draining:
            self._tend()
            now = time.monotonic()
            quiet_since = (quiet_since or now) if self._house.is_quiet() else None
            if quiet_since is not None and now - quiet_since >= self._settings.shipping.linger_seconds:
                return
            time.sleep(_SUPERVISE)

    def _finish(self, chores: threading.Thread) -> bool:
        """Ship the rest while there is time; returns whether nothing is left. What is left and critical is reported."""
        self.drain()
        self._resting.set()
        self._tend()
        if not self._stop.is_set():
            self._close_ledger()
        if not self._await_shipped():
            self._report_left()
            return False
        chores.join(self._time_left())
        for chore in self._chores if not chores.is_alive() else ():
            self._do_chore(chore)
        return True

    def _await_shipped(self) -> bool:
        if self._awaits_bots:
            self._await_bots()
        while not self._house.is_shipped():
            if self._stop.is_set() or not self._time_left():
                return False
            time.sleep(_PAUSE)
        return True

    def _await_bots(self) -> None:
        """Until the last word of every bot is in the journal; a bot that died without one is adopted."""
        while self._house.alive() and self._time_left() and not self._stop.is_set():
            time.sleep(_PAUSE)
        self._tend()

    def _time_left(self) -> float:
        return max(0.0, (self._deadline or 0.0) - time.monotonic())

    def _report_left(self) -> None:
        archive = next((follower for follower in self._followers if follower.pins), None)
        for line in left_lines(self._journals, archive) if archive else ():
            self._reports.left(line)

    def _tend(self) -> None:
        """What a full disk stops must not stop the followers, which make room on it."""
        try:
            self._adopt()
            self._house.sweep()
            self._tell_news()
        except (RunnerError, OSError) as error:
            self._reports.trouble(Trouble("house", error, 1))

    def _adopt(self) -> None:
        for recovered in self._house.adopt():
            self._reports.recovered(recovered)

    def _tell_news(self) -> None:
        for follower in self._followers:
            while follower.patience.news:
                news = follower.patience.news.popleft()
                self._reports.news(news)
                if self._ledger is not None:
                    self._ledger.tell(news)

    def _do_chores(self) -> None:
        """The chores' thread: a slow one keeps nobody waiting, and one that fails is tried again."""
        due = {id(chore): 0.0 for chore in self._chores}
        while not self._resting.wait(_SUPERVISE):
            for chore in self._chores:
                if time.monotonic() >= due[id(chore)] and not self._resting.is_set():
                    due[id(chore)] = time.monotonic() + chore.every
                    self._do_chore(chore)

    def _do_chore(self, chore: Chore) -> None:
        try:
            chore.run()
        except RunnerError as error:
            self._reports.trouble(Trouble(type(chore).__name__, error, 1))
