"""Archive objects that cannot be loaded: set aside once, with a reason, and not tried again until somebody asks.

    system-logs/exports/set-aside/<bucket>/<name>.json      one small object for each; its metadata is what it holds

The ledger lies in the archive, because that is the one place which the shipper, the command line and a function share.
An entry names the size and the hash that the object had. An object that was repaired or replaced since has others, so
it is tried again by itself. Whoever may read the archive but not write into it can still export: an object is then set
aside each time anew.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from runner.clock import Clock
from runner.errors import ObjectExists, RunnerError, StoreError, StoreRejected
from runner.logging.core_logger import TradingLogger
from runner.logging.housekeeping import SHIPPER
from runner.logging.routes import SYSTEM_LOGS
from runner.settings import Settings
from runner.stores.base import Archive, ObjectInfo

PREFIX = "exports/set-aside/"
SOURCE = "export"
_LONGEST_REASON = 1000
"""Google Cloud Storage keeps at most 8 KiB of metadata with an object."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """An archive object that could not be loaded, and why. `since` is when that was found out, or empty."""

    bucket: str
    name: str
    reason: str
    since: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Entry:
    aside: SetAside
    size: int
    raw_sha256: str

    def is_about(self, info: ObjectInfo) -> bool:
        """Whether the object is still the one that was set aside."""
        return (self.size, self.raw_sha256) == (info.size, info.metadata.get("raw_sha256", ""))


class SetAsideLedger:
    """What is set aside in an archive. Read once, when it is opened."""

    def __init__(self, archive: Archive, clock: Clock) -> None:
        self._archive = archive
        self._clock = clock
        self._entries = dict(_entries(archive))

    def __iter__(self) -> Iterator[SetAside]:
        """In order of bucket and name."""
        return iter([entry.aside for _, entry in sorted(self._entries.items())])

    def find(self, info: ObjectInfo) -> SetAside | None:
        """What is known of an object; None also when it has changed since."""
        entry = self._entries.get((info.bucket, info.name))
        return entry.aside if entry and entry.is_about(info) else None

    def add(self, info: ObjectInfo, reason: str) -> SetAside:
        """Set an object aside for good."""
        since = self._clock.now().isoformat(timespec="seconds")
        aside = SetAside(info.bucket, info.name, reason[:_LONGEST_REASON], since)
        entry = _Entry(aside, info.size, info.metadata.get("raw_sha256", ""))
        self.forget(info.bucket, info.name)
        self._entries[info.bucket, info.name] = entry
        try:
            self._write(entry)
        except ObjectExists:
            pass  # another exporter found the same
        except StoreError:
            return replace(aside, since="")  # it cannot be remembered here; it is told, and found again next time
        return aside

    def forget(self, bucket: str, name: str) -> None:
        """An object is no longer set aside. One that never was is no error."""
        if self._entries.pop((bucket, name), None) is not None:
            with contextlib.suppress(StoreError):  # whoever may not delete finds the entry again, which does no harm
                self._archive.delete(SYSTEM_LOGS, _name(bucket, name))

    def _write(self, entry: _Entry) -> None:
        said = {**entry.aside.as_dict(), "size": str(entry.size), "raw_sha256": entry.raw_sha256}
        body = json.dumps(said, indent=1).encode()
        plain = {key: value.encode("ascii", "backslashreplace").decode() for key, value in said.items()}
        name = _name(entry.aside.bucket, entry.aside.name)
        self._archive.create(SYSTEM_LOGS, name, body, metadata=plain, content_type="application/json")


def record_in_journal(settings: Settings, clock: Clock) -> Callable[[SetAside], None]:
    """A listener that writes an `error` record, which the shipper makes a live alert of.

    It has a run of its own for each object, so that nothing is held open; they are rare. What goes wrong while telling
    does not stop the export: the ledger and the report still name the object. Where there is no home, none is made.
    """
    shipping = settings.shipping.model_copy(update={"shipper": "none"})
    settings = settings.model_copy(update={"shipping": shipping})

    def tell(aside: SetAside) -> None:
        if not settings.home.is_dir():
            return
        error = StoreRejected(f"{aside.bucket}/{aside.name} cannot be exported: {aside.reason}")
        try:
            with TradingLogger(bot_type=SHIPPER, settings=settings, wall_clock=clock) as logger:
                logger.log_error(error, {"bucket": aside.bucket, "object": aside.name}, SOURCE)
        except (RunnerError, OSError):
            return

    return tell


def _entries(archive: Archive) -> Iterator[tuple[tuple[str, str], _Entry]]:
    for info in archive.list(SYSTEM_LOGS, PREFIX):
        said = info.metadata
        bucket, name = said.get("bucket", ""), said.get("name", "")
        if not bucket or info.name != _name(bucket, name):
            continue
        size = int(said["size"]) if said.get("size", "").isdecimal() else -1
        aside = SetAside(bucket, name, said.get("reason", ""), said.get("since", ""))
        yield (bucket, name), _Entry(aside, size, said.get("raw_sha256", ""))


def _name(bucket: str, name: str) -> str:
    return f"{PREFIX}{bucket}/{name}.json"
