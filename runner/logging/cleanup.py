"""The steps of the daily cleanup. Each can be stopped at its deadline, done again, and continued by the next one.

Deleted are: live documents that have expired and that the store has left; versions of rewritten objects beyond the five
newest; where the archive does not carry out its lifecycle itself, objects whose time is over; and what the journal
holds of runs that are archived. Never deleted are batch objects within their time, anything in the compliance bucket,
and objects that are not ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from runner.layout import compacted_name, is_batch_object, object_day
from runner.logging.deadline import Deadline
from runner.logging.retention import BUCKETS, LIVE, VERSIONS, is_over
from runner.logging.routes import COMPLIANCE_LOGS
from runner.stores.base import Archive, LiveStore, ObjectInfo

_PAGE = 500
_COUNTED = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REWRITTEN = re.compile(r"(?P<stem>logs/\d{4}/\d\d/\d\d/[^/]+/[^/]+)_v(?P<version>\d+)\.csv\.gz")
_OTHERS = ("exports/", "registry/", "seals/")
"""What else of ours may lie in a bucket, beside `logs/`."""


@dataclass(slots=True)
class CleanupReport:
    """What a cleanup deleted, or would delete in a `dry_run`.

    `documents` of the live store; `versions` of rewritten objects; `objects` whose time was over; journal `runs` and
    `segments`. `bytes` are those of the archive objects. `problems` are sentences about what was left alone; `failed`
    names steps that could not be done and why; `left` says what the deadline left to the next call.
    """

    dry_run: bool = False
    documents: int = 0
    versions: int = 0
    objects: int = 0
    bytes: int = 0
    runs: int = 0
    segments: int = 0
    problems: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return not self.left

    def as_dict(self) -> dict[str, Any]:
        counts = ("dry_run", "documents", "versions", "objects", "bytes", "runs", "segments")
        return {name: getattr(self, name) for name in (*counts, "problems", "failed", "left", "done")}


def clean_documents(live: LiveStore, now: datetime, deadline: Deadline, report: CleanupReport) -> None:
    """Delete live documents that have expired, page by page. Raises `StoreError`."""
    if report.dry_run:
        report.documents += sum(_expired(live, collection, now) for collection in LIVE)
        return
    while not deadline.is_over:
        deleted = live.delete_expired(now=now, limit=_PAGE)
        report.documents += deleted
        if deleted < _PAGE:
            return
    report.left.append("live documents that have expired")


def clean_bucket(archive: Archive, bucket: str, now: datetime, deadline: Deadline, report: CleanupReport) -> None:
    """Delete old versions, and where the archive does not do it itself, what is over. Raises `StoreError`.

    The compliance bucket is left alone, and so is one that the retention table does not name.
    """
    if bucket == COMPLIANCE_LOGS or bucket not in BUCKETS:
        return
    lifecycle = archive.lifecycle(bucket)
    if lifecycle is None:
        return
    run = _Cleaning(archive, bucket, now, report, expires=not lifecycle.enforced)
    for stem, infos in groupby(archive.list(bucket), lambda info: _stem(info.name)):
        if deadline.is_over:
            report.left.append(f"{bucket}: from {stem} on")
            break
        run.clean(list(infos))
    run.tell_foreign()


class _Cleaning:
    """The cleaning of one bucket."""

    def __init__(self, archive: Archive, bucket: str, now: datetime, report: CleanupReport, *, expires: bool) -> None:
        self._archive = archive
        self._bucket = bucket
        self._now = now
        self._report = report
        self._expires = expires
        self._foreign: list[str] = []

    def clean(self, infos: list[ObjectInfo]) -> None:
        """Objects that are versions of one, or a single one that is not rewritten."""
        ours = [info for info in infos if _is_ours(info.name)]
        self._foreign += [info.name for info in infos if not _is_ours(info.name)]
        over = [info for info in ours if self._is_over(info)]
        self._report.objects += self._delete(over)
        kept = [info for info in ours if info not in over]
        versions = sorted((info for info in kept if _REWRITTEN.fullmatch(info.name)), key=_version)
        self._report.versions += self._delete(versions[:-VERSIONS])

    def tell_foreign(self) -> None:
        if self._foreign:
            count = len(self._foreign)
            self._report.problems.append(
                f"{self._bucket} holds {count} object{'s' if count > 1 else ''} that are not ours, such as "
                f"{self._foreign[0]}: left alone"
            )

    def _is_over(self, info: ObjectInfo) -> bool:
        day = object_day(info.name)
        return self._expires and day is not None and is_over(self._bucket, day, self._now)

    def _delete(self, infos: Iterable[ObjectInfo]) -> int:
        count = 0
        for info in infos:
            if not self._report.dry_run:
                self._archive.delete(self._bucket, info.name)
            self._report.bytes += info.size
            count += 1
        return count


def _expired(live: LiveStore, collection: str, now: datetime) -> int:
    """How many documents of a collection have expired, as far as is counted."""
    return sum(document.expire_at <= now for document in live.query(collection, now=_EPOCH, limit=_COUNTED))


def _is_ours(name: str) -> bool:
    if not name.startswith("logs/"):
        return name.startswith(_OTHERS)
    return is_batch_object(name) or compacted_name(name) is not None or _REWRITTEN.fullmatch(name) is not None


def _stem(name: str) -> str:
    found = _REWRITTEN.fullmatch(name)
    return found["stem"] if found else name


def _version(info: ObjectInfo) -> int:
    found = _REWRITTEN.fullmatch(info.name)
    return int(found["version"]) if found else 0
