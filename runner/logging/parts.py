"""An archive as readers of records want it: compacted objects are shown as the parts that they hold.

Every reader lists and reads through `view`, so none of them can tell whether a day is compacted, and what was true of a
part (its range, its hashes, its place in the chain, its name in the warehouse) stays true.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from runner.errors import StoreError, StoreRejected, StoreUnavailable
from runner.layout import compacted_name, is_batch_object, is_manifest
from runner.logging import manifests
from runner.logging.manifests import Entry, Manifest
from runner.stores.base import Archive, Lifecycle, LifecycleRule, ObjectInfo

_GROUP = re.compile(r"logs/\d{4}/\d\d/\d\d/[^/]+/[a-z]+_")
_KEPT_BYTES = 32 << 20


class _Place(NamedTuple):
    """Where a part's bytes lie."""

    object: str
    start: int
    size: int


def view(archive: Archive) -> ArchiveOfParts:
    """The archive with every compacted object as its parts; the same one when it is such a view already."""
    return archive if isinstance(archive, ArchiveOfParts) else ArchiveOfParts(archive)


def group_of(name: str) -> str:
    """What objects of one day, bot and stream begin with; the name itself for all others."""
    found = _GROUP.match(name)
    return found.group() if found else name


class ArchiveOfParts:
    """See `view`. For one thread, and for one task: it remembers what it has listed."""

    def __init__(self, inner: Archive) -> None:
        self.inner = inner
        self._places: dict[tuple[str, str], _Place] = {}
        self._bodies: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    @property
    def operations(self) -> Counter[str]:
        return self.inner.operations

    def list(
        self, bucket: str, prefix: str = "", is_settled: Callable[[ObjectInfo], bool] = lambda manifest: False
    ) -> Iterator[ObjectInfo]:
        """As `Archive.list`; a part's metadata are those it was created with.

        A manifest that cannot be used, or whose object is not there, is listed itself. So is one that `is_settled`,
        which is not read.
        """
        for _, group in groupby(self.inner.list(bucket, group_of(prefix)), lambda info: group_of(info.name)):
            yield from (info for info in self._shown(list_(group), is_settled) if info.name.startswith(prefix))

    def stat(self, bucket: str, name: str) -> ObjectInfo | None:
        found = self.inner.stat(bucket, name)
        if found is not None:
            return found
        entry = self._find(bucket, name)
        return None if entry is None else ObjectInfo(bucket, name, entry.size, entry.metadata)

    def read(self, bucket: str, name: str) -> bytes:
        if (bucket, name) not in self._places:
            try:
                return self.inner.read(bucket, name)
            except (StoreUnavailable, StoreRejected):
                raise
            except StoreError:
                if self._find(bucket, name) is None:
                    raise
        place = self._places[bucket, name]
        return self._body(bucket, place.object)[place.start : place.start + place.size]

    def is_alone(self, info: ObjectInfo) -> bool:
        """Whether something that was listed here is an object, and not a part of one."""
        return (info.bucket, info.name) not in self._places

    def create(self, bucket: str, name: str, body: bytes, *, metadata: Mapping[str, str], content_type: str) -> None:
        self.inner.create(bucket, name, body, metadata=metadata, content_type=content_type)

    def delete(self, bucket: str, name: str) -> None:
        self.inner.delete(bucket, name)

    def lifecycle(self, bucket: str) -> Lifecycle | None:
        return self.inner.lifecycle(bucket)

    def set_lifecycle(self, bucket: str, rules: Sequence[LifecycleRule]) -> None:
        self.inner.set_lifecycle(bucket, rules)

    def close(self) -> None:
        self.inner.close()

    def _shown(self, group: Sequence[ObjectInfo], is_settled: Callable[[ObjectInfo], bool]) -> Iterable[ObjectInfo]:
        if not any(compacted_name(info.name) for info in group):
            return group
        sizes = {info.name: info.size for info in group}
        shown = {_key(info): info for info in group if compacted_name(info.name) is None}
        for info in group:
            if is_manifest(info.name):
                manifest = None if is_settled(info) else self._usable(info, sizes)
                parts = [info] if manifest is None else self._parts_of(manifest)
                shown.update({_key(part): part for part in parts})
        return sorted(shown.values(), key=lambda info: info.name)

    def _usable(self, info: ObjectInfo, sizes: Mapping[str, int]) -> Manifest | None:
        try:
            manifest = read_manifest(self.inner, info)
        except StoreUnavailable:
            raise
        except StoreError:
            return None
        return manifest if sizes.get(manifest.object) == manifest.size else None

    def _parts_of(self, manifest: Manifest) -> Iterator[ObjectInfo]:
        for entry in manifest.parts:
            self._places[manifest.bucket, entry.name] = _Place(manifest.object, entry.start, entry.size)
            yield ObjectInfo(manifest.bucket, entry.name, entry.size, entry.metadata)

    def _find(self, bucket: str, name: str) -> Entry | None:
        """A part in the compacted objects of its day, bot and stream."""
        if not is_batch_object(name):
            return None
        group = group_of(name)
        found = list_(self.inner.list(bucket, f"{group}compacted_"))
        sizes = {info.name: info.size for info in found}
        for info in found:
            manifest = self._usable(info, sizes) if is_manifest(info.name) else None
            entry = next((one for one in manifest.parts if one.name == name), None) if manifest else None
            if manifest is not None and entry is not None:
                self._places[bucket, name] = _Place(manifest.object, entry.start, entry.size)
                return entry
        return None

    def _body(self, bucket: str, name: str) -> bytes:
        """A compacted object, kept while its parts are read."""
        body = self._bodies.pop((bucket, name), None)
        if body is None:
            body = self.inner.read(bucket, name)
        self._bodies[bucket, name] = body
        while len(self._bodies) > 1 and sum(map(len, self._bodies.values())) > _KEPT_BYTES:
            self._bodies.popitem(last=False)
        return body


def read_manifest(archive: Archive, info: ObjectInfo) -> Manifest:
    """The manifest in an object of an archive. Raises `StoreRejected` when it is damaged."""
    return manifests.decode(info, archive.read(info.bucket, info.name))


def _key(info: ObjectInfo) -> tuple[str, str]:
    return info.name, info.metadata.get("raw_sha256", "")


list_ = list
"""Inside a class with a method of this name."""
