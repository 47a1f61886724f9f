"""A run: one writer's journal, its seals, and what it does when its process forks or ends."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
import weakref
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from runner.clock import Clock
from runner.errors import ConfigError, JournalError, JournalFull
from runner.layout import Home
from runner.logging import bell, checkpoint, disk, economy, lines, payloads
from runner.logging.firestore_logger import NAME as LIVE
from runner.logging.firestore_logger import LiveState
from runner.logging.gcs_logger import ArchiveState
from runner.logging.journal import FORMAT, Admission, Journal, RunInfo, read_info, request_path, run_folder
from runner.logging.log_types import DroppedData, Kind, SealData, Severity
from runner.logging.routes import KINDS
from runner.settings import Settings
from runner.version import VERSION

ARCHIVE = "archive"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SEAL_SECONDS = 60.0
_RAM_DISKS = ("tmpfs", "ramfs", "overlay-ram")
_PLAIN, _RESERVED = Admission(), Admission(reserved=True)
"""Seals, and what a run says last, get in through the reserve, so that a run can be closed when the journal is full."""


class Run:
    """The shared core of all loggers of a run."""

    def __init__(self, home: Home, settings: Settings, wall_clock: Clock, info: RunInfo) -> None:
        self.wall_clock = wall_clock
        self.on_ram_disk = is_ram_disk(home)
        self.attentive = self.on_ram_disk  # whether accepted records must be looked at: also where somebody observes
        self._home = home
        self._settings = settings
        self._started = time.monotonic()
        self._closing, self._opening = threading.RLock(), threading.Lock()
        self._errors = 0
        self._dropped: Counter[str] = Counter()
        self._saved: dict[str, int] = {}
        self._closed = self._forked = False
        self._sealed: Mapping[str, Any] = {}
        self.dropping: frozenset[Kind] = frozenset()
        self._look_at_economy = economy.watching(home)
        self._open(info)
        _open_runs.add(self)

    def reopen(self) -> Journal:
        """In a forked child: a journal of its own, for it must not write its parent's run."""
        with self._opening:
            if self._forked:
                bot, bot_type = self.info.bot, self.info.bot_type
                self._open(new_info(self._home, self._settings, self.wall_clock, bot, bot_type, None))
            return self._journal

    def envelope(self, settings: Settings) -> dict[str, Any]:
        """What is the same in every record of the run."""
        return {
            "run": self.info.run,
            "bot": self.info.bot,
            "bot_type": self.info.bot_type,
            "session_id": self.info.session_id,
            "bot_version": VERSION,
            "config_hash": settings.config_hash,
            "environment": self.info.environment,
        }

    def await_archive(self, timeout: float) -> bool:
        """Whether every record accepted before this call is archived within `timeout` seconds."""
        target = self.journal.offsets()
        request = request_path(self._home, self.info.run)
        request.touch(mode=0o600)
        bell.ring(self._home)
        deadline = time.monotonic() + timeout
        try:
            while not self._is_archived(target):
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.005)
            return True
        finally:
            request.unlink(missing_ok=True)

    def measures(self) -> dict[str, Any]:
        """Counts of this run: accepted, shipped, lag; `errors` are records that were refused or dropped."""
        archive = checkpoint.load(self._home, self.info.run, ARCHIVE, ArchiveState)
        live = checkpoint.load(self._home, self.info.run, LIVE, LiveState)
        accepted = self.journal.seq
        archived = sum(state.records for state in archive.streams.values())
        return {
            "records": accepted,
            "firestore_writes": live.written,
            "gcs_writes": sum(state.objects for state in archive.streams.values()),
            "errors": self._errors,
            "uptime": time.monotonic() - self._started,
            "buffer_sizes": self._journal.buffered,
            "shipper_lag": accepted - archived,
            "shipper_running": disk.is_locked(self._home.shipper_lock),
            "delivery_rate": archived / accepted if accepted else None,
            "dropped": dict(self._dropped + Counter(self._journal.dropped)),
            "recovered": self._recovered(),
        }

    def count_error(self) -> None:
        """Count a record that was refused."""
        self._errors += 1

    def _recovered(self) -> int:
        """How many records of this bot's dead runs, of those still in the journal, the shipper has saved.

        What a closed run says never changes, so it is read once.
        """
        saved = self._saved
        present = {folder.name for folder in self._home.journal.iterdir()}
        self._saved = {run: records for run, records in saved.items() if run in present}
        for run in present - saved.keys():
            with contextlib.suppress(JournalError):
                info = read_info(run_folder(self._home, run))
                if info is not None and info.closed:
                    is_ours = info.bot == self.info.bot and info.closed == "recovery"
                    self._saved[run] = info.records if is_ours else 0
        return sum(self._saved.values())

    def seal(self, reason: str) -> None:
        """Append a seal over everything that the run has accepted."""
        ends = self._journal.heads()
        streams = {
            name: {"last": last, "head": head} for name, (last, head) in ends.items() if name != "seals" and last >= 0
        }
        if streams != self._sealed:
            data = msgspec.json.encode(SealData(reason=reason, streams=streams))
            self._write(Kind.SEAL, data, _RESERVED)
            self._sealed = streams

    def close(self) -> None:
        """Seal and end the run; once. Raises `JournalError` where the disk has no space left: recovery then ends it."""
        with self._closing:
            if self._closed or self._forked:
                return
            self._closed = True
        _open_runs.discard(self)
        try:
            self._write_dropped(_RESERVED)
            self.seal("close")
        except JournalFull:
            self._journal.leave()
            raise
        self._journal.close()
        bell.ring(self._home)

    def _open(self, info: RunInfo) -> None:
        self.info = info
        self._sealed = {}
        self._seal_due = time.monotonic() + SEAL_SECONDS
        self._journal: Journal = Journal(self._home, info, self._settings.journal, self.wall_clock)
        self._journal.on_idle = self._keep_up
        self.journal: Journal = self._journal
        self._closed = self._forked = False

    def _keep_up(self) -> None:
        """Once a second, from the journal's thread."""
        self.dropping = self._look_at_economy()
        self._write_dropped(_PLAIN)
        if time.monotonic() >= self._seal_due:
            self._seal_due = time.monotonic() + SEAL_SECONDS
            self.seal("interval")

    def _write_dropped(self, admission: Admission) -> None:
        counts = self._journal.take_dropped()
        if not counts:
            return
        try:
            self._write(Kind.DROPPED, msgspec.json.encode(DroppedData(counts=counts)), admission)
            self._dropped.update(counts)
        except JournalFull:
            for kind, count in counts.items():
                self._journal.count_dropped(kind, count)

    def _write(self, kind: Kind, data: bytes, admission: Admission) -> None:
        severity: Severity = KINDS[kind].severity
        fields = {"kind": kind.value, "severity": severity.value, **self.envelope(self._settings)}
        body = b',%s,"data":%s' % (msgspec.json.encode(fields)[1:-1], data)
        self._journal.append(KINDS[kind].stream, body, admission)

    def _is_archived(self, target: Mapping[str, int]) -> bool:
        state = checkpoint.load(self._home, self.info.run, ARCHIVE, ArchiveState)
        return all(
            name in state.streams and state.streams[name].cursor.next >= following
            for name, following in target.items()
            if following
        )

    def abandon(self) -> None:
        """In a forked child: let go of the parent's files."""
        self._journal.abandon()
        self._closing, self._opening = threading.RLock(), threading.Lock()
        self._forked = True
        self.info = msgspec.structs.replace(self.info)  # another object, by which loggers see that they must look again
        self.journal = cast(Journal, _Unopened(self))


class _Unopened:
    """The journal of a forked child until it is first asked for something: then one is opened."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run.reopen(), name)


def open_run(
    home: Home, settings: Settings, wall_clock: Clock, *, bot: str, bot_type: str, session_id: str | None
) -> Run:
    return Run(home, settings, wall_clock, new_info(home, settings, wall_clock, bot, bot_type, session_id))


def new_info(
    home: Home, settings: Settings, wall_clock: Clock, bot: str, bot_type: str, session_id: str | None
) -> RunInfo:
    """Raises `ConfigError` for names that cannot be file names, and for a session that is no short printable text."""
    for name in (bot, bot_type):
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise ConfigError(f"{name!r} is no name of a bot", "use 1-64 of a-z A-Z 0-9 . _ -, a letter or digit first")
    if session_id and not payloads.is_label(session_id):
        raise ConfigError("the session id is no label", "use at most 200 printable characters")
    run = lines.new_run(wall_clock.time_ns())
    return RunInfo(
        format=FORMAT,
        run=run,
        bot=bot,
        bot_type=bot_type,
        session_id=session_id or run,
        environment=settings.environment,
        epoch=take_epoch(home, bot, wall_clock),
        pid=os.getpid(),
        started=lines.timestamp(wall_clock.now()),
    )


def take_epoch(home: Home, bot: str, clock: Clock) -> int:
    """A number above every earlier one of this bot: milliseconds since 1970, or one more where the clock went back."""
    path = home.state / f"{bot}.epoch"
    lock = disk.FileLock(home.state / ".epochs.lock")
    while not lock.acquire():
        time.sleep(0.001)
    try:
        last = int(path.read_text()) if path.exists() else 0
        epoch = max(last + 1, clock.time_ns() // 1_000_000)
        disk.replace(path, str(epoch).encode())
        return epoch
    except ValueError:
        raise JournalError(f"{path} is damaged", "delete it if no other bot of this name runs") from None
    finally:
        lock.release()


def is_ram_disk(home: Home) -> bool:
    """Whether the home is gone when the machine is."""
    try:
        with open("/proc/self/mounts") as mounts:
            entries = [line.split()[1:3] for line in mounts]
    except OSError:
        return False
    path = str(home.path.resolve())
    holding = [(point, kind) for point, kind in entries if path == point or path.startswith(point.rstrip("/") + "/")]
    return bool(holding) and max(holding, key=lambda entry: len(entry[0]))[1] in _RAM_DISKS


_open_runs: weakref.WeakSet[Run] = weakref.WeakSet()


def _after_fork() -> None:
    for run in list(_open_runs):
        run.abandon()


os.register_at_fork(after_in_child=_after_fork)
