"""Compaction: the many small objects of a day become few large ones, and no record is ever in danger.

A class transition and every request are billed by object, so a day's parts of one bot and stream are joined, byte for
byte, into objects of at most 8 MiB (format: `manifests`). Readers see no difference (`parts`).

For each day, bot and stream, once the day has been over for a day and nothing newer lies in it:

1. Read every part and check it against its own metadata. A damaged one is left where it is, and told.
2. Create the joined object, then its manifest. A name that is taken by the same content is an earlier try of ours.
3. Read both back. Only when they are what was meant are the parts deleted.

Killed anywhere, the next compaction goes on: step 2 finds what is there, and parts that a manifest already proves are
deleted after the object was read and every part in it was checked again. Records that arrive for a day later are
joined among themselves. The compliance bucket is never touched, nor is any object that is not ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import groupby, islice
from typing import Any

from runner.errors import ConfigError, ObjectExists, StoreError, StoreRejected, StoreUnavailable
from runner.layout import CompactedName, compacted_name, is_batch_object, is_manifest, object_day
from runner.logging import lines, manifests
from runner.logging.deadline import Deadline
from runner.logging.manifests import Entry, Manifest
from runner.logging.objects import PRIMARY, checked
from runner.logging.parts import group_of, read_manifest
from runner.logging.retention import BUCKETS, MOVE_ABOVE, QUIET, is_quiet
from runner.logging.routes import COMPLIANCE_LOGS
from runner.logging.unpacking import gunzip, members
from runner.settings import MIB
from runner.stores.base import Archive, ObjectInfo

OBJECT_LIMIT = 8 * MIB
_LEAST = 3
"""Parts that are worth it: what is made of them is two objects."""
_MOST_RUNS = 64
"""Runs in one object: their ranges are told in metadata, which have at most 8 KiB."""
_MOST_VERSIONS = 100
_LARGEST_RAW = 512 * MIB


@dataclass(slots=True)
class CompactionReport:
    """What a compaction did: `parts` joined into `objects` of `bytes` in all, for so many `groups` (day, bot, stream).

    `deleted` counts parts that are gone now, also those an earlier try had joined. `problems` are sentences about what
    was left alone, `failed` about buckets that could not be used; `left` says what the deadline left. With `dry_run`
    nothing was changed.
    """

    dry_run: bool = False
    groups: int = 0
    parts: int = 0
    objects: int = 0
    bytes: int = 0
    deleted: int = 0
    problems: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return not self.left

    def as_dict(self) -> dict[str, Any]:
        names = ("dry_run", "groups", "parts", "objects", "bytes", "deleted", "problems", "failed", "left", "done")
        return {name: getattr(self, name) for name in names}


def compact(
    archive: Archive,
    *,
    now: datetime,
    deadline: Deadline,
    day: date | None = None,
    buckets: Sequence[str] = PRIMARY,
    dry_run: bool = False,
) -> CompactionReport:
    """Compact every day that is over and quiet, oldest first, or one `day` only. Doing it again changes nothing.

    A bucket that cannot be used is told in the report; the others go on. Raises `ConfigError` for the compliance
    bucket.
    """
    if COMPLIANCE_LOGS in buckets:
        raise ConfigError(f"{COMPLIANCE_LOGS} is never compacted", "its objects cannot be deleted before their time")
    report = CompactionReport(dry_run)
    for bucket in buckets:
        run = _Compaction(archive, bucket, now, deadline, report)
        try:
            run.compact(f"logs/{day:%Y/%m/%d}/" if day else "logs/")
        except StoreError as error:
            report.failed.append(f"{bucket}: {error}" + (f" ({error.hint})" if error.hint else ""))
    return report


class _Changed(Exception):
    """Somebody else works on the same objects: leave them to him."""


@dataclass(slots=True)
class _Group:
    """The objects of one day, bot and stream."""

    prefix: str
    day: date
    infos: list[ObjectInfo]

    def named(self) -> dict[str, ObjectInfo]:
        return {info.name: info for info in self.infos}


class _Compaction:
    """The compaction of one bucket."""

    def __init__(
        self, archive: Archive, bucket: str, now: datetime, deadline: Deadline, report: CompactionReport
    ) -> None:
        self._archive = archive
        self._bucket = bucket
        self._now = now
        self._deadline = deadline
        self._report = report

    def compact(self, prefix: str) -> None:
        for group in self._groups(prefix):
            if self._deadline.is_over:
                self._report.left.append(f"{self._bucket}: {group.day} and later")
                return
            try:
                self._compact_group(group)
            except _Changed:
                self._report.left.append(f"{self._bucket}: {group.prefix}, which another compaction works on")

    def _groups(self, prefix: str) -> Iterator[_Group]:
        """Groups of days that are over and quiet, in order of day."""
        for start, found in groupby(self._archive.list(self._bucket, prefix), lambda info: group_of(info.name)):
            day = object_day(start)
            if day is not None and not is_quiet(day, self._now):
                return
            if day is not None and start.endswith("_"):
                yield _Group(start, day, list(found))

    def _compact_group(self, group: _Group) -> None:
        held = self._finish(group)
        candidates = self._ready(group, held)
        self._drop_superseded(group, held, is_settled=not candidates)
        planned = [chunk for chunk in _chunks(candidates) if len(chunk) >= _LEAST]
        self._report.groups += bool(planned)
        for chunk in planned:
            if self._deadline.is_over:
                self._report.left.append(f"{self._bucket}: {group.day} and later")
                return
            self._join(group, chunk)

    def _ready(self, group: _Group, held: dict[str, Entry]) -> list[ObjectInfo]:
        """The parts that may be joined; none while one of them is not quiet, so that all are joined together.

        Left out are those that a cheaper class holds by now: deleting them early would be billed.
        """
        found = []
        for info in group.infos:
            last = self._last(info) if is_batch_object(info.name) and info.name not in held else None
            if last is None or last > self._now:
                continue
            if last > self._now - QUIET:
                return []
            is_moved = (self._now.date() - group.day).days >= _first_move(self._bucket) and info.size > MOVE_ABOVE
            if not is_moved and info.size < OBJECT_LIMIT:
                found.append(info)
        return found

    def _last(self, info: ObjectInfo) -> datetime | None:
        """When a part's last record was written; None, and a problem, where its metadata do not say."""
        try:
            if info.metadata["run"] and int(info.metadata["first"]) >= 0:
                return lines.moment(info.metadata["last_ts"]).astimezone(UTC)
        except (KeyError, ValueError):
            pass
        self._report.problems.append(f"{self._bucket}/{info.name} has no usable metadata: it is left alone")
        return None

    # What is there already

    def _finish(self, group: _Group) -> dict[str, Entry]:
        """Delete parts that an earlier try had joined; returns the entries that manifests hold, by part name."""
        held: dict[str, Entry] = {}
        named = group.named()
        for info in filter(lambda info: is_manifest(info.name), group.infos):
            manifest = self._usable(info, named)
            if manifest is None:
                continue
            held.update({entry.name: entry for entry in manifest.parts})
            there = [entry for entry in manifest.parts if _is_same(named.get(entry.name), entry)]
            if there and not self._report.dry_run:
                self._prove(manifest)
                self._delete(there)
        return held

    def _usable(self, info: ObjectInfo, named: dict[str, ObjectInfo]) -> Manifest | None:
        try:
            manifest = read_manifest(self._archive, info)
        except StoreUnavailable:
            raise
        except StoreRejected as error:
            self._report.problems.append(f"{error}: it is left alone")
            return None
        compacted = named.get(manifest.object)
        if compacted is None or compacted.size != manifest.size:
            self._report.problems.append(f"{self._bucket}/{info.name} describes an object that is not there, or not it")
            return None
        return manifest

    def _prove(self, manifest: Manifest) -> None:
        """Read a compacted object and check every part in it. Raises `StoreRejected`."""
        place = f"{self._bucket}/{manifest.object}"
        body = self._archive.read(self._bucket, manifest.object)
        if len(body) != manifest.size or hashlib.sha256(body).hexdigest() != manifest.sha256:
            raise StoreRejected(f"{place} is not what its manifest says", "its parts are kept: see `tron verify`")
        for entry in manifest.parts:
            piece = body[entry.start : entry.start + entry.size]
            raw = gunzip(piece, int(entry.metadata.get("raw_bytes", 0)), place)
            if hashlib.sha256(raw).hexdigest() != entry.metadata.get("raw_sha256"):
                raise StoreRejected(f"{place} does not hold {entry.name} as it was", "its parts are kept")

    def _drop_superseded(self, group: _Group, held: dict[str, Entry], is_settled: bool) -> None:
        """Delete the objects of tries that never got a manifest, if manifests hold all that is in them.

        Only when nothing is left to join: until then somebody else may be about to write their manifest.
        """
        manifested = {name.object for info in group.infos if is_manifest(info.name) for name in _names(info)}
        hashes = {entry.metadata.get("raw_sha256", "") for entry in held.values()}
        for info in group.infos:
            if not is_settled or compacted_name(info.name) is None or is_manifest(info.name) or info.name in manifested:
                continue
            if self._report.dry_run or not self._holds_only(info, hashes):
                self._report.problems.append(f"{self._bucket}/{info.name} has no manifest: it is left alone")
                continue
            self._archive.delete(self._bucket, info.name)

    def _holds_only(self, info: ObjectInfo, hashes: set[str]) -> bool:
        place = f"{self._bucket}/{info.name}"
        try:
            pieces = members(self._archive.read(self._bucket, info.name), _LARGEST_RAW, place)
        except StoreRejected:
            return False
        return all(hashlib.sha256(raw).hexdigest() in hashes for raw in pieces)

    # What is new

    def _join(self, group: _Group, chunk: Sequence[ObjectInfo]) -> None:
        parts = list(self._checked(chunk))
        if len(parts) < _LEAST:
            return
        self._report.parts += len(parts)
        self._report.objects += 1
        self._report.bytes += sum(len(body) for _, body in parts)
        if self._report.dry_run:
            return
        manifest = self._create(group, parts)
        self._read_back(manifest)
        self._delete(manifest.parts)

    def _checked(self, chunk: Sequence[ObjectInfo]) -> Iterator[tuple[ObjectInfo, bytes]]:
        """Parts that are what their metadata say, with their bytes. In a dry run nothing is read."""
        for info in chunk:
            if self._report.dry_run:
                yield info, bytes(info.size)
                continue
            try:
                body = self._archive.read(info.bucket, info.name)
                checked(info, body)
                yield info, body
            except StoreUnavailable:
                raise
            except StoreRejected as error:
                self._report.problems.append(f"{error}: it is left alone (see `tron verify`)")
            except StoreError:
                raise _Changed from None

    def _create(self, group: _Group, parts: Sequence[tuple[ObjectInfo, bytes]]) -> Manifest:
        """Create the object and its manifest, under the first version whose name is free or ours."""
        named = group.named()
        for version in range(1, _MOST_VERSIONS):
            name = CompactedName.of(parts[0][0].name, version)
            if name.manifest in named:
                continue
            manifest, body = manifests.join(parts, name.object)
            metadata = {"format": manifests.FORMAT, "sha256": manifest.sha256}
            if self._put(name.object, body, metadata) and self._put(
                name.manifest, manifest.encode(), manifest.metadata()
            ):
                return manifest
        raise StoreRejected(
            f"{self._bucket}: every name for the compacted {group.prefix} of {group.day} is taken",
            "find out who writes there",
        )

    def _put(self, name: str, body: bytes, metadata: dict[str, str]) -> bool:
        """Create an object; whether it is there now with this content."""
        try:
            self._archive.create(self._bucket, name, body, metadata=metadata, content_type="application/gzip")
        except ObjectExists:
            there = self._archive.stat(self._bucket, name)
            return there is not None and dict(there.metadata) == metadata
        return True

    def _read_back(self, manifest: Manifest) -> None:
        """Raise unless both objects are in the archive just as they were meant."""
        name = compacted_name(manifest.object)
        info = self._archive.stat(self._bucket, name.manifest) if name else None
        if info is None or read_manifest(self._archive, info) != manifest:
            raise StoreRejected(f"{self._bucket}/{manifest.object}: its manifest did not arrive", "no part was deleted")
        body = self._archive.read(self._bucket, manifest.object)
        if hashlib.sha256(body).hexdigest() != manifest.sha256:
            raise StoreRejected(f"{self._bucket}/{manifest.object} did not arrive as it was", "no part was deleted")

    def _delete(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._archive.delete(self._bucket, entry.name)
            self._report.deleted += 1


def _is_same(info: ObjectInfo | None, entry: Entry) -> bool:
    """Whether an object is the part that a manifest holds."""
    return info is not None and info.size == entry.size and dict(info.metadata) == entry.metadata


def _names(info: ObjectInfo) -> Iterator[CompactedName]:
    name = compacted_name(info.name)
    if name is not None:
        yield name


def _first_move(bucket: str) -> int:
    """Days after which large objects are in a class that charges for early deletion."""
    retention = BUCKETS.get(bucket)
    return min(retention.moves.values(), default=10**6) if retention else 10**6


def _chunks(parts: Sequence[ObjectInfo]) -> Iterator[list[ObjectInfo]]:
    """Parts by run and offset, cut where an object would be too large or hold too many runs."""
    ordered = iter(sorted(parts, key=lambda info: (info.metadata["run"], int(info.metadata["first"]))))
    chunk = list(islice(ordered, 1))
    for info in ordered:
        runs = {one.metadata["run"] for one in [*chunk, info]}
        if sum(one.size for one in chunk) + info.size > OBJECT_LIMIT or len(runs) > _MOST_RUNS:
            yield chunk
            chunk = []
        chunk.append(info)
    if chunk:
        yield chunk
