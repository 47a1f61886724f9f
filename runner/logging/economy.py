"""What a home saves when its budget runs out, as a small file that its processes read: `state/economy.json`.

The shipper writes it (`costs.budgets`), replaced atomically. Every run looks once a second; a missing or damaged file
means that nothing is saved, because saving is never worth a record that nobody meant to lose.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from runner.layout import Home
from runner.logging import disk
from runner.logging.log_types import Kind

DROPPABLE = frozenset({Kind.DEBUG})


class Economy(msgspec.Struct, frozen=True, kw_only=True):
    """The `level` (0: nothing is saved) and since when, why, what follows from it, and which alerts were told when.

    `stretch` is how many times longer live windows are; `dropped` are kinds that are counted instead of written.
    """

    level: int = 0
    since: str = ""
    reason: str = ""
    stretch: float = 1.0
    dropped: tuple[str, ...] = ()
    told: dict[str, str] = msgspec.field(default_factory=dict)


def path(home: Home) -> Path:
    return home.state / "economy.json"


def load(home: Home) -> Economy:
    try:
        return msgspec.json.decode(path(home).read_bytes(), type=Economy)
    except (OSError, msgspec.MsgspecError):
        return Economy()


def save(home: Home, economy: Economy) -> None:
    """Make it known to every process of the home. Raises `JournalError` where the disk refuses."""
    with disk.failures_as_journal_errors():
        disk.replace(path(home), msgspec.json.encode(economy))


def watching(home: Home) -> Callable[[], frozenset[Kind]]:
    """A look at the kinds that are dropped now; it reads the file only when it has changed."""
    seen: tuple[int, int] | None = None
    dropped: frozenset[Kind] = frozenset()

    def look() -> frozenset[Kind]:
        nonlocal seen, dropped
        try:
            found = path(home).stat()
        except OSError:
            seen, dropped = None, frozenset()
            return dropped
        if (found.st_mtime_ns, found.st_ino) != seen:
            seen = found.st_mtime_ns, found.st_ino
            dropped = frozenset(kind for kind in DROPPABLE if kind.value in load(home).dropped)
        return dropped

    return look
