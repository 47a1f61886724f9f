"""Which records a listener has handled, by id: exact, small, and with no window that a late repetition could miss.

Offsets of a run's stream are contiguous, so what was seen is a few ranges for each. With a `path`, they are kept in a
file that is replaced atomically:

    {"<run>:<stream>": [[first, end], ...], ...}        offsets from `first` to `end - 1` were seen

Only the newest `runs` runs are remembered: by then nobody repeats the older ones, and the file stays small.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from pathlib import Path

from runner.errors import StoreRejected, StoreUnavailable
from runner.files import publish, write
from runner.stores.folders import failures_as_unavailable, make_folders

Ranges = list[list[int]]


class Seen:
    """A set of record ids (`<run>:<stream>:<offset>`)."""

    def __init__(self, path: Path | None = None, *, runs: int = 1000) -> None:
        self._path = path
        self._runs = runs
        self._ranges: dict[str, Ranges] = _load(path) if path else {}

    def __contains__(self, record_id: str) -> bool:
        key, offset = _split(record_id)
        ranges = self._ranges.get(key, [])
        place = bisect_right(ranges, offset, key=lambda one: one[0]) - 1
        return place >= 0 and offset < ranges[place][1]

    def add(self, record_id: str) -> None:
        key, offset = _split(record_id)
        if record_id in self:
            return
        ranges = self._ranges.setdefault(key, [])
        place = bisect_right(ranges, offset, key=lambda one: one[0])
        ranges.insert(place, [offset, offset + 1])
        self._join(ranges, place)

    def save(self) -> None:
        """Make what was added durable, where there is a path. Raises `StoreUnavailable`."""
        self._forget_old_runs()
        if self._path is None:
            return
        partial = self._path.with_name(f"{self._path.name}.partial")
        with failures_as_unavailable(self._path):
            make_folders(self._path.parent)
            write(partial, json.dumps(self._ranges, separators=(",", ":")).encode())
            publish(partial, self._path)

    def _join(self, ranges: Ranges, place: int) -> None:
        """Join the range at `place` with those that it touches."""
        if place + 1 < len(ranges) and ranges[place][1] == ranges[place + 1][0]:
            ranges[place][1] = ranges.pop(place + 1)[1]
        if place > 0 and ranges[place - 1][1] == ranges[place][0]:
            ranges[place - 1][1] = ranges.pop(place)[1]

    def _forget_old_runs(self) -> None:
        """The id of a run begins with the time at which it started."""
        runs = sorted({key.partition(":")[0] for key in self._ranges})
        old = set(runs[: -self._runs])
        if old:
            self._ranges = {key: found for key, found in self._ranges.items() if key.partition(":")[0] not in old}


def _split(record_id: str) -> tuple[str, int]:
    key, _, offset = record_id.rpartition(":")
    if not key or not offset.isdecimal():
        raise StoreRejected(f"{record_id!r} is not the id of a record")
    return key, int(offset)


def _load(path: Path) -> dict[str, Ranges]:
    with failures_as_unavailable(path):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return {}
    try:
        ranges: dict[str, Ranges] = json.loads(content)
    except ValueError:
        raise StoreUnavailable(f"{path} is damaged", "remove it: records may then be handled a second time") from None
    return ranges
