"""The shipper: one per home. It owns the followers, the stores behind them, recovery, and the sweep of the journal.

`run(follow=True)` stays while bots live and a little longer; `run(follow=False)` ships what there is and returns. Both
first adopt the runs that dead processes left. A second shipper on the same home waits for the first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from runner.clock import Clock
from runner.errors import RunnerError, StoreUnavailable
from runner.layout import Home
from runner.logging import sweeping
from runner.logging.bell import Bell
from runner.logging.commit import GroupCommit
from runner.logging.disk import FileLock
from runner.logging.firestore_logger import FirestoreLogger
from runner.logging.follower import Follower, Journals, Trouble
from runner.logging.journal import RunInfo, is_alive, runs
from runner.logging.reader import Cursor
from runner.logging.recovery import Recovered, recover
from runner.settings import Settings

LOOK_BACK = 3600.0
"""Seconds that a closed run stays in the journal after it was archived, so that a tail can look back."""
SHIPPER = "shipper"
"""The bot type of the shipper's own run."""
_PAUSE = 0.05
_SUPERVISE = 0.2


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

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Reports:
    """Where the shipper says what happens. Each is called from the shipper's threads."""

    waiting: Callable[[], None] = lambda: None
    recovered: Callable[[Recovered], None] = lambda recovered: None
    trouble: Callable[[Trouble], None] = lambda trouble: None


class Shipper:
    """Ships one home's journal. `followers` must hold the archive's; it alone decides what may be deleted."""

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
        self._clock = clock
        self._stop = stop
        self._chores: list[Chore] = [*chores, *([ledger] if ledger else [])]
        self._ledger = ledger
        self._reports = reports or Reports()
        self._lock = FileLock(home.shipper_lock)
        self._journals = Journals(home, clock)
        self._draining = threading.Event()
        self._finished = threading.Event()

    def run(self, *, follow: bool) -> bool:
        """Ship until there is nothing left to do; returns whether everything was shipped."""
        if not self._take_lock():
            return False
        try:
            sweeping.empty_trash(self._home)
            return self._follow() if follow else self._drain_once()
        finally:
            for follower in self._followers:
                follower.close()
            self._lock.release()

    def drain(self) -> None:
        """Ship everything now and end (SIGTERM): at most `shipping.drain_seconds`. Safe in a signal handler."""
        self._draining.set()

    def _take_lock(self) -> bool:
        told = False
        while not self._lock.acquire():
            if not told:
                self._reports.waiting()
                told = True
            if self._stop.wait(0.2) or self._draining.is_set():
                return False
        return True

    def _drain_once(self) -> bool:
        self._adopt()
        self._ship_everything()
        self._close_ledger()
        self._ship_everything()
        self._do_chores()
        self._sweep()
        return self._is_all_shipped()

    def _ship_everything(self) -> None:
        for follower in self._followers:
            self._ship_all(follower)

    def _close_ledger(self) -> None:
        """The last usage records; after this only they are left to ship, and that is not counted again."""
        if self._ledger is not None:
            self._ledger.run()
            self._ledger.close()

    def _do_chores(self) -> None:
        for chore in self._chores:
            chore.run()

    def _ship_all(self, follower: Follower) -> None:
        """Until nothing of a closed run is left; of a live run, what there is in one more look."""
        while follower.step(drain=True) and not self._stop.is_set():
            if not any(self._journals.unshipped(follower, info.run) for info in runs(self._home) if info.closed):
                follower.step(drain=True)
                return

    def _follow(self) -> bool:
        commit = GroupCommit(self._home)
        commit.start()
        threads = [
            threading.Thread(target=self._follow_one, args=(follower,), name=follower.name, daemon=True)
            for follower in self._followers
        ]
        for thread in threads:
            thread.start()
        deadline = self._supervise()
        self._close_ledger()
        complete = self._await_shipped(deadline)
        self._finished.set()
        self._stop.set()
        for thread in threads:
            thread.join()
        commit.stop()
        if complete:
            self._do_chores()
        return complete

    def _follow_one(self, follower: Follower) -> None:
        rings = isinstance(follower, FirestoreLogger)
        bell = Bell(self._home) if rings else None
        urgent = False
        while not self._finished.is_set():
            try:
                worked = follower.step(drain=self._draining.is_set() or urgent)
            except StoreUnavailable:
                return
            except RunnerError as error:
                self._reports.trouble(Trouble(follower.name, error, 1))
                worked = self._stop.wait(1.0)
            urgent = False
            if not worked and bell is not None:
                urgent = bell.wait(_PAUSE)
            elif not worked:
                self._finished.wait(_PAUSE)
        if bell is not None:
            bell.close()

    def _supervise(self) -> float:
        """Adopt, sweep and do chores until it is time to go; returns until when the rest may be shipped."""
        idle_since: float | None = None
        due = {id(chore): 0.0 for chore in self._chores}
        while not self._stop.is_set():
            self._adopt()
            self._sweep()
            now = time.monotonic()
            for chore in self._chores:
                if now >= due[id(chore)]:
                    chore.run()
                    due[id(chore)] = now + chore.every
            if self._draining.is_set():
                break
            idle = not self._alive() and self._is_all_shipped()
            idle_since = (idle_since or now) if idle else None
            if idle_since is not None and now - idle_since >= self._settings.shipping.linger_seconds:
                break
            self._draining.wait(_SUPERVISE)
        return time.monotonic() + self._settings.shipping.drain_seconds

    def _await_shipped(self, deadline: float) -> bool:
        while not self._is_all_shipped():
            if self._stop.is_set() or time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE)
        return True

    def _alive(self) -> list[RunInfo]:
        """Runs whose writers live, but for this process's own."""
        return [info for info in runs(self._home) if not info.closed and self._is_written(info)]

    def _is_written(self, info: RunInfo) -> bool:
        return info.bot_type != SHIPPER and is_alive(self._home, info.run)

    def _adopt(self) -> None:
        """Finish the runs of writers that died."""
        for info in runs(self._home):
            if not info.closed and not is_alive(self._home, info.run):
                starts = sweeping.block_starts(self._home, info.run)
                self._reports.recovered(recover(self._home, info.run, self._clock, starts))

    def _is_all_shipped(self) -> bool:
        return not any(self._unshipped(info) for info in runs(self._home))

    def _unshipped(self, info: RunInfo) -> int:
        return sum(self._journals.unshipped(follower, info.run) for follower in self._followers)

    def _sweep(self) -> None:
        keep = max(LOOK_BACK, self._settings.journal.keep_days * 86_400)
        for info in runs(self._home):
            if info.closed and self._age(info) >= keep and not self._unshipped(info):
                sweeping.delete_run(self._home, info.run)
        if not self._settings.journal.keep_days:
            for info in self._alive():
                sweeping.delete_segments(self._home, info.run, self._shipped_by_all(info.run))

    def _shipped_by_all(self, run: str) -> dict[str, Cursor]:
        """How far each stream of a run is shipped by every follower that wants it."""
        return {
            stream: min(
                (follower.shipped(run, stream) for follower in self._followers if follower.wants(stream)),
                key=lambda cursor: cursor.next,
            )
            for stream in self._journals.streams(run)
        }

    def _age(self, info: RunInfo) -> float:
        """Seconds since a run was closed."""
        return self._clock.time_ns() / 1e9 - (self._home.journal / info.run / "run.json").stat().st_mtime
