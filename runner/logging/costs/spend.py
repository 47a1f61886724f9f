"""What a home has asked of its stores, day by day: a file a month, `state/spend/YYYY-MM.json`.

The usage records in the archive say the same for the whole fleet; this is the home's own book, which costs nothing to
look at. The shipper alone writes it. What others count, such as dashboards, and what a shipper counts after its last
record, they hand in as small files in `handed-in/`, which the next ledger counts with its own. A damaged month is moved
aside: the usage records still know what was in it.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from runner.errors import RunnerError
from runner.layout import Home
from runner.logging import disk
from runner.settings import Settings
from runner.stores.open import is_remote

Counts = dict[tuple[str, str], tuple[int, int]]
"""Number and bytes, by service and operation."""

CARRIED = {
    "live": {"bytes": "writes"},
    "archive": {"bytes": "class_a", "read_bytes": "class_b"},
    "compliance": {"bytes": "class_a", "read_bytes": "class_b"},
    "stream": {"bytes": "messages", "bytes_billed": "requests"},
    "warehouse": {"bytes": "loads", "bytes_billed": "queries"},
}
"""Which operation carried the bytes that a store counts, by the name it counts them under."""

_Days = dict[str, dict[str, dict[str, tuple[int, int]]]]


def billed_stores(settings: Settings) -> frozenset[str]:
    """The services that Google bills, by the settings: the others are files of this machine, and cost nothing."""
    found = {name for name, url in settings.stores.model_dump().items() if is_remote(url)}
    return frozenset(found | ({"compliance"} if "archive" in found else set()))


def by_operation(store: str, added: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """A store's counters as number and bytes by operation."""
    carried = CARRIED.get(store, {})
    found = {name: [count, 0] for name, count in added.items() if name not in carried}
    for name, operation in carried.items():
        if added.get(name):
            found.setdefault(operation, [0, 0])[1] += added[name]
    return {name: (count, size) for name, (count, size) in sorted(found.items())}


class SpendBook:
    """The book of one home. Raises `JournalError` where the disk refuses."""

    def __init__(self, home: Home) -> None:
        self._folder = home.state / "spend"
        self._handed = self._folder / "handed-in"

    def add(self, day: str, store: str, operations: Mapping[str, tuple[int, int]]) -> None:
        """Add what a store did on a day (`YYYY-MM-DD`)."""
        days = self._load(day[:7])
        book = days.setdefault(day, {}).setdefault(store, {})
        for name, (count, size) in operations.items():
            known = book.get(name, (0, 0))
            book[name] = (known[0] + count, known[1] + size)
        self._save(self._place(day[:7]), days)

    def days(self, month: str) -> dict[str, Counts]:
        """Everything of a month (`YYYY-MM`), by day."""
        return {
            day: {(store, name): one for store, found in stores.items() for name, one in found.items()}
            for day, stores in sorted(self._load(month).items())
        }

    def months(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("????-??.json"))

    def hand_in(self, counted: Mapping[str, Counter[str]]) -> None:
        """Leave counts for the shipper's ledger: what a dashboard read, or a shipper counted after its last record."""
        found = {store: dict(counts) for store, counts in counted.items() if counts}
        if found:
            self._save(self._handed / f"{uuid.uuid4().hex}.json", found)

    def take_handed(self) -> dict[str, Counter[str]]:
        """What was handed in since the last time, once."""
        taken: dict[str, Counter[str]] = {}
        for place in sorted(self._handed.glob("*.json")):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                found = msgspec.json.decode(place.read_bytes(), type=dict[str, dict[str, int]])
                for store, counts in found.items():
                    taken.setdefault(store, Counter()).update(counts)
            place.unlink(missing_ok=True)
        return taken

    def _place(self, month: str) -> Path:
        return self._folder / f"{month}.json"

    def _load(self, month: str) -> _Days:
        place = self._place(month)
        try:
            return msgspec.json.decode(place.read_bytes(), type=_Days)
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError:
            place.replace(place.with_suffix(".damaged"))
            return {}

    def _save(self, place: Path, content: object) -> None:
        with disk.failures_as_journal_errors():
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            disk.replace(place, msgspec.json.encode(content))


class Meter:
    """Hands in what the stores of a process that is no shipper count, every minute and at the end. A context manager.

    A home that cannot be written is no reason to stop a dashboard: what was counted then is lost.
    """

    every = 60.0

    def __init__(self, home: Home, stores: Mapping[str, Counter[str]]) -> None:
        self._book = SpendBook(home)
        self._stores = stores
        self._before: dict[str, Counter[str]] = {store: Counter() for store in stores}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    def hand_in(self) -> None:
        """Hand in what was counted since the last time."""
        now = {store: Counter(counts) for store, counts in self._stores.items()}
        with contextlib.suppress(RunnerError):
            self._book.hand_in({store: counts - self._before[store] for store, counts in now.items()})
        self._before = now

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self.hand_in()

    def _run(self) -> None:
        while not self._end.wait(self.every):
            self.hand_in()
