"""The shipper's house: adopt runs whose writers died, know what is unshipped, sweep what the archive holds."""

from __future__ import annotations

from collections.abc import Sequence

from runner.clock import Clock
from runner.layout import Home
from runner.logging import sweeping
from runner.logging.follower import Follower, Journals
from runner.logging.journal import RunInfo, default_quota, is_alive, runs
from runner.logging.mending import mend
from runner.logging.owed import Owed, owe, settle
from runner.logging.reader import Cursor
from runner.logging.recovery import Recovered, recover
from runner.logging.retention import LOCAL
from runner.logging.run_info import unreadable_runs
from runner.settings import Settings

LOOK_BACK = LOCAL["journal"].total_seconds()
"""Seconds that a closed run stays in the journal after it was archived, so that a tail can look back."""
SHIPPER = "shipper"
"""The bot type of the shipper's own run."""


class House:
    """One home's journal, seen by the shipper that looks after it."""

    def __init__(self, home: Home, followers: Sequence[Follower], settings: Settings, clock: Clock) -> None:
        self._home = home
        self._followers = followers
        self._settings = settings
        self._clock = clock
        self._journals = Journals(home, clock)

    def adopt(self) -> list[Recovered]:
        """Finish the runs of writers that died. A damaged `run.json` of one is made again first."""
        found = runs(self._home)
        damaged = [run for run in unreadable_runs(self._home, {info.run for info in found}) if not self._is_alive(run)]
        if any([mend(self._home, run) for run in damaged]):
            found = runs(self._home)
        dead = [info.run for info in found if not info.closed and not self._is_alive(info.run)]
        return [recover(self._home, run, self._clock, sweeping.block_starts(self._home, run)) for run in dead]

    def _is_alive(self, run: str) -> bool:
        return is_alive(self._home, run)

    def alive(self) -> list[RunInfo]:
        """Runs whose writers live, but for this process's own."""
        return [info for info in self._others() if not info.closed and is_alive(self._home, info.run)]

    def is_quiet(self) -> bool:
        """Whether nobody writes and nothing is left to ship, but for what this process writes itself."""
        mine_open = {info.run for info in runs(self._home) if info.bot_type == SHIPPER and not info.closed}
        return not self.alive() and self.is_shipped(but_for=mine_open)

    def is_shipped(self, but_for: frozenset[str] | set[str] = frozenset()) -> bool:
        """Whether every follower has shipped everything."""
        if any(self._unshipped(info) for info in runs(self._home) if info.run not in but_for):
            return False
        return not any(self._is_owed(note) for note in self._journals.owed())

    def sweep(self) -> None:
        """Delete what is archived: whole closed runs after a while, and segments of live runs."""
        keep = self._settings.journal.keep_days * 86_400
        look_back = 0.0 if self.is_crowded() else LOOK_BACK
        for info in runs(self._home):
            if info.closed and self._age(info) >= max(look_back, keep) and not self._unarchived(info):
                self._delete(info)
        for note in self._journals.owed():
            if not self._is_owed(note):
                settle(self._home, note.info.run)
        if not keep:
            for info in self.alive():
                sweeping.delete_segments(self._home, info.run, self._archived(info.run))

    def is_crowded(self) -> bool:
        """Whether the journal uses more than half of its quota."""
        used = sum(path.stat().st_size for path in self._home.journal.glob("*/*/*.ndjson"))
        return used > (self._settings.journal.quota or default_quota(self._home)) / 2

    def _others(self) -> list[RunInfo]:
        return [info for info in runs(self._home) if info.bot_type != SHIPPER]

    def _delete(self, info: RunInfo) -> None:
        """Delete a closed run. Who is not done with it will read the rest from the archive."""
        if self._unshipped(info):
            pins = [follower for follower in self._followers if follower.pins]
            ends = {
                stream: max(pin.shipped(info.run, stream).next for pin in pins)
                for stream in self._journals.streams(info.run)
            }
            owe(self._home, info, ends)
        sweeping.delete_run(self._home, info.run)

    def _unshipped(self, info: RunInfo) -> int:
        return sum(self._journals.unshipped(follower, info.run) for follower in self._followers)

    def _unarchived(self, info: RunInfo) -> int:
        return sum(self._journals.unshipped(follower, info.run) for follower in self._followers if follower.pins)

    def _is_owed(self, note: Owed) -> bool:
        return any(
            follower.shipped(note.info.run, stream).next < end
            for follower in self._followers
            if not follower.pins
            for stream, end in note.ends.items()
            if follower.wants(stream)
        )

    def _archived(self, run: str) -> dict[str, Cursor]:
        """How far each stream of a run is shipped by every follower that pins it."""
        return {
            stream: min(
                (
                    follower.shipped(run, stream)
                    for follower in self._followers
                    if follower.pins and follower.wants(stream)
                ),
                key=lambda cursor: cursor.next,
            )
            for stream in self._journals.streams(run)
        }

    def _age(self, info: RunInfo) -> float:
        """Seconds since a run was closed."""
        return self._clock.time_ns() / 1e9 - (self._home.journal / info.run / "run.json").stat().st_mtime
