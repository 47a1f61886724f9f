"""Records on stdout, one JSON object a line, as Cloud Logging reads them from a container on Cloud Run.

| field                                                          | from                                            |
|----------------------------------------------------------------|-------------------------------------------------|
| `severity`, `time`                                             | `severity`, `ts`                                |
| `message`, and `stack_trace` of an error                       | what the record says in one line                |
| `logging.googleapis.com/insertId`                              | the record's id: entries written twice are one  |
| `logging.googleapis.com/labels`                                | bot, bot_type, environment, kind, run, session_id |
| `logging.googleapis.com/trace`                                 | `trace`, as `projects/<project>/traces/<trace>` |
| `actor`, `at`, `context`, `data`                               | the same                                        |

The journal is the truth and this a view: a line that stdout does not take at once is left out, never waited for.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import msgspec

from runner.errors import RunnerError
from runner.logging import lines
from runner.logging.log_types import Kind, Severity

LARGEST_ENTRY = 200 * 1024
"""Bytes. Cloud Logging takes entries of at most 256 KiB, and counts a little differently."""

_RANK = {severity: rank for rank, severity in enumerate(Severity)}
_LABELS = ("bot", "bot_type", "environment", "kind", "run", "session_id")
_SAME = ("actor", "at", "context", "data")
_GOOGLE = "logging.googleapis.com/"


class Console:
    """Writes accepted records of at least one severity to a stream with a file descriptor, such as `sys.stdout`.

    It never waits and never raises. When the stream is full, records are left out; when it is closed, all are.
    `left_out` counts them, and `warn` is called with a sentence the first time.
    """

    def __init__(
        self,
        stream: TextIO | None,
        *,
        project: str = "",
        at_least: Severity = Severity.WARNING,
        warn: Callable[[str], object] = lambda message: None,
    ) -> None:
        self.left_out = 0
        self._stream = stream
        self._project = project
        self._rank = _RANK[at_least]
        self._warn = warn
        self._rest = b""
        self._lock = threading.Lock()
        _open_consoles.add(self)

    def __call__(self, kind: Kind, severity: Severity, line: bytes) -> None:
        if _RANK[severity] < self._rank:
            return
        entry = encode_entry(entry_of(lines.decode(line), self._project))
        with self._lock:
            taken = self._write(entry)
            self.left_out += not taken
            is_first = not taken and self.left_out == 1
        if is_first:
            state = "closed" if self._stream is None else "full"
            with contextlib.suppress(RunnerError):
                self._warn(f"stdout is {state}: records are left out there, the journal has them")

    def renew_lock(self) -> None:
        """In a forked child, where the thread that held it may be missing."""
        self._lock = threading.Lock()

    def _write(self, entry: bytes) -> bool:
        """Whether the stream took the entry, or its beginning: then the rest goes before the next one."""
        try:
            descriptor = -1 if self._stream is None else self._stream.fileno()
            self._rest = _write_what_fits(descriptor, self._rest)
            if self._rest:
                return False
            self._rest = _write_what_fits(descriptor, entry)
            if self._rest != entry:
                return True
            self._rest = b""
        except (OSError, ValueError):
            self._stream = None
        return False


def entry_of(record: Mapping[str, Any], project: str = "") -> dict[str, Any]:
    """A record as an entry of Cloud Logging."""
    data = record["data"]
    entry: dict[str, Any] = {"severity": record["severity"], "time": record["ts"], "message": _message(record)}
    if record["kind"] == Kind.ERROR:
        entry["stack_trace"] = f"Traceback (most recent call last):\n{data['stack']}{data['type']}: {data['message']}"
    entry[_GOOGLE + "insertId"] = record["id"]
    entry[_GOOGLE + "labels"] = {name: record[name] for name in _LABELS if name in record}
    if "trace" in record:
        entry[_GOOGLE + "trace"] = _trace(record["trace"], project)
    entry.update((name, record[name]) for name in _SAME if name in record)
    return entry


def encode_entry(entry: dict[str, Any]) -> bytes:
    """The entry's line, without its payload where that is too large."""
    encoded = msgspec.json.encode(entry)
    if len(encoded) > LARGEST_ENTRY:
        smaller = {name: value for name, value in entry.items() if name not in ("context", "data")}
        note = f"{len(encoded)} bytes; the journal has them under the insertId"
        encoded = msgspec.json.encode({**smaller, "left_out": note})
    return encoded + b"\n"


def _message(record: Mapping[str, Any]) -> str:
    """The record in one line of words."""
    data, kind = record["data"], record["kind"]
    if kind == Kind.ERROR:
        return f"{data['type']}: {data['message']}"
    if kind == Kind.RISK_EVENT:
        said = f"{data['event_type']}: {data['action_taken']}"
        return f"{said}, {data['message']}" if data["message"] else said
    if kind == Kind.AUDIT:
        return f"{data['action']} {data['subject']}"
    return str(data.get("message") or data.get("reason") or kind)


def _trace(trace: str, project: str) -> str:
    return f"projects/{project}/traces/{trace}" if project and not trace.startswith("projects/") else trace


def _write_what_fits(descriptor: int, content: bytes) -> bytes:
    """Write as much as the descriptor takes without waiting; returns what is left."""
    waiting = select.poll()  # unlike `select`, it takes descriptors of any number
    waiting.register(descriptor, select.POLLOUT)
    while content and waiting.poll(0):
        content = content[os.write(descriptor, content[: select.PIPE_BUF]) :]
    return content


_open_consoles: weakref.WeakSet[Console] = weakref.WeakSet()


def _after_fork() -> None:
    for console in list(_open_consoles):
        console.renew_lock()


os.register_at_fork(after_in_child=_after_fork)
