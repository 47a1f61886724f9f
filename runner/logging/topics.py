"""A view of the journal as log files by topic, for eyes, `grep` and log collectors.

    <folder>/app/app_2025-12-10.log                    kept  30 days: events, heartbeats, metrics, warnings
    <folder>/trading/trading_2025-12-10.log            kept 365 days: trades, orders, positions, risk, decisions
    <folder>/models/predictions_2025-12-10.log         kept  90 days: predictions, forecasts
    <folder>/cloud/usage_2025-12-10.log                kept  90 days: what was asked of the stores
    <folder>/errors/errors_2025-12-10.log              kept 180 days: everything from ERROR up, once more
    <folder>/.checkpoint.json

Files hold the journal's own lines; a file's day is that of the records' `ts`, in UTC. Bots never write here: whoever
wants the view calls `TopicLogs.update` or `follow`. The journal keeps a closed run for an hour after it was archived,
or `TRON_JOURNAL_KEEP` days: what is gone or damaged before the view reads it is counted as missed.

The checkpoint says how far each stream was read. Before lines are appended it also names every file of the batch with
its size; after a crash these files are cut to those sizes and the batch is written again, so that no line is doubled or
lost.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType

import msgspec

from runner.clock import Clock
from runner.errors import ConfigError, JournalError
from runner.layout import Home
from runner.logging import disk, lines
from runner.logging.log_types import Kind, Severity
from runner.logging.reader import Cursor, StreamReader
from runner.logging.routes import KINDS, STREAMS
from runner.logging.run_info import run_folder, runs


@dataclass(frozen=True, slots=True)
class Topic:
    """`<folder>/<name>_<day>.log`, deleted when it is older than `days`."""

    folder: str
    name: str
    days: int


APP = Topic("app", "app", 30)
TRADING = Topic("trading", "trading", 365)
PREDICTIONS = Topic("models", "predictions", 90)
USAGE = Topic("cloud", "usage", 90)
ERRORS = Topic("errors", "errors", 180)
TOPICS = (APP, TRADING, PREDICTIONS, USAGE, ERRORS)

_TRADING_STREAMS = ("trades", "orders", "positions", "risk", "decisions")
_TOPIC_OF: Mapping[str, Topic] = {
    **{kind: TRADING if route.stream in _TRADING_STREAMS else APP for kind, route in KINDS.items()},
    Kind.SUMMARY: TRADING,
    Kind.PREDICTION: PREDICTIONS,
    Kind.FORECAST: PREDICTIONS,
    Kind.USAGE: USAGE,
}
_GRAVE = (Severity.ERROR, Severity.CRITICAL)


class _Head(msgspec.Struct):
    """What a line is filed by."""

    ts: str
    kind: str
    severity: str


class _State(msgspec.Struct, frozen=True):
    """The checkpoint. `unfinished`: sizes of the files of a batch before it, by name; empty when it is complete."""

    cursors: dict[str, dict[str, Cursor]] = {}
    unfinished: dict[str, int] = {}


_head = msgspec.json.Decoder(_Head).decode


class TopicLogs:
    """Keeps the view of `home` in `folder`. One at a time: raises `ConfigError` while another keeps this folder.

    `written` and `missed` count lines since it was opened. Raises `JournalError` when the folder cannot be written.
    """

    def __init__(self, home: Home, folder: Path, clock: Clock) -> None:
        self.written = self.missed = 0
        self._home = home
        self._folder = folder
        self._clock = clock
        with _failures_named(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = disk.FileLock(folder / ".lock")
            if not self._lock.acquire():
                raise ConfigError(f"another process keeps the logs in {folder}", "end it, or choose another folder")
        self._state = self._load()

    def update(self) -> int:
        """Append what the journal holds beyond the last time, delete what is too old; returns the lines appended."""
        before = self.written
        with _failures_named(self._folder):
            self._undo_unfinished()
            while self._append_batch():
                pass
            self._delete_old()
        return self.written - before

    def follow(self, stop: threading.Event, *, every: float = 1.0) -> None:
        """Update every so many seconds until `stop` is set, and then once more."""
        while not stop.wait(every):
            self.update()
        self.update()

    def close(self) -> None:
        self._lock.release()

    def __enter__(self) -> TopicLogs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _append_batch(self) -> bool:
        """Append the next chunk of every stream; returns whether there was any."""
        cursors: dict[str, dict[str, Cursor]] = {}
        found: list[bytes] = []
        for info in runs(self._home):
            known = self._state.cursors.get(info.run, {})
            cursors[info.run] = {
                stream: self._read(info.run, stream, known.get(stream, Cursor()), found) for stream in STREAMS
            }
        if cursors == self._state.cursors:
            return False
        found.sort(key=_age)
        files = _filed(found)
        sizes = {name: _size(self._folder / name) for name in files}
        self._save(_State(self._state.cursors, sizes))
        for name, content in files.items():
            _append(self._folder / name, b"".join(content))
        self._save(_State(cursors))
        self.written += len(found)
        return True

    def _read(self, run: str, stream: str, cursor: Cursor, found: list[bytes]) -> Cursor:
        """Add a stream's next lines to `found`; returns the place behind them."""
        reader = StreamReader(run_folder(self._home, run), stream, cursor)
        chunk = reader.read()
        reader.close()
        prefix, following = lines.id_prefix(run, stream), cursor.next
        for line in lines.split(chunk):
            if lines.is_intact(line):
                offset = lines.offset_of(line, prefix)
                self.missed += offset - following
                following = offset + 1
                found.append(line)
        return Cursor(next=following, segment=reader.segment, position=reader.position)

    def _undo_unfinished(self) -> None:
        for name, size in self._state.unfinished.items():
            if _size(self._folder / name) > size:
                os.truncate(self._folder / name, size)

    def _delete_old(self) -> None:
        today = self._clock.now().date()
        for topic in TOPICS:
            oldest = f"{topic.name}_{today - timedelta(days=topic.days)}.log"
            for path in (self._folder / topic.folder).glob(f"{topic.name}_????-??-??.log"):
                if path.name < oldest:
                    path.unlink()

    def _load(self) -> _State:
        path = self._folder / ".checkpoint.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=_State)
        except FileNotFoundError:
            return _State()
        except msgspec.MsgspecError as error:
            self.close()
            raise JournalError(
                f"{path} is damaged: {error}", f"delete {self._folder} and make the view again from the journal"
            ) from None

    def _save(self, state: _State) -> None:
        disk.replace(self._folder / ".checkpoint.json", msgspec.json.encode(state))
        self._state = state


def topics_of(kind: str, severity: str) -> tuple[Topic, ...]:
    """Where a record is filed: under its kind's topic, and from ERROR up also under `errors`."""
    topic = _TOPIC_OF.get(kind, APP)
    return (topic, ERRORS) if severity in _GRAVE else (topic,)


def _filed(batch: list[bytes]) -> dict[str, list[bytes]]:
    """Lines by the name of the file that they belong in."""
    files: dict[str, list[bytes]] = {}
    for line in batch:
        head = _head(line)
        for topic in topics_of(head.kind, head.severity):
            files.setdefault(f"{topic.folder}/{topic.name}_{head.ts[:10]}.log", []).append(line)
    return files


def _age(line: bytes) -> tuple[str, int]:
    seq, ts = lines.head(line)
    return ts, seq


def _append(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(descriptor, "ab") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _failures_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"the logs in {folder} cannot be written: {error.strerror or error}",
            "free some space, or choose another folder",
        ) from None
