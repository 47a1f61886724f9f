"""An archive as it was when a backup was made: what was archived later is not to be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence

from runner.layout import is_batch_object
from runner.stores.base import Archive, Lifecycle, LifecycleRule, ObjectInfo

Ends = Mapping[str, Mapping[str, int]]
"""Next offsets, by run and stream."""


def is_of_then(info: ObjectInfo, ends: Ends, later: Container[str] = ()) -> bool:
    """Whether an object holds nothing from behind `ends`. Runs without an end are whole; those in `later` were not."""
    if info.name.startswith("registry/"):
        return info.name.rpartition("/")[2].removesuffix(".json") not in later
    run = info.metadata.get("run", "")
    if run in later:
        return False
    if run not in ends or not is_batch_object(info.name):
        return True
    last = info.metadata.get("last", "")
    return not last.isdigit() or int(last) < ends[run].get(info.metadata.get("stream", ""), 0)


class ArchiveAsOf:
    """Reads of an archive, without the objects that are from behind `ends`, or of runs in `later`."""

    def __init__(self, archive: Archive, ends: Ends, later: Container[str] = ()) -> None:
        self._archive = archive
        self._ends = ends
        self._later = later

    @property
    def operations(self) -> Counter[str]:
        return self._archive.operations

    def create(self, bucket: str, name: str, body: bytes, *, metadata: Mapping[str, str], content_type: str) -> None:
        self._archive.create(bucket, name, body, metadata=metadata, content_type=content_type)

    def read(self, bucket: str, name: str) -> bytes:
        return self._archive.read(bucket, name)

    def stat(self, bucket: str, name: str) -> ObjectInfo | None:
        return self._archive.stat(bucket, name)

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        return (info for info in self._archive.list(bucket, prefix) if is_of_then(info, self._ends, self._later))

    def delete(self, bucket: str, name: str) -> None:
        self._archive.delete(bucket, name)

    def lifecycle(self, bucket: str) -> Lifecycle | None:
        return self._archive.lifecycle(bucket)

    def set_lifecycle(self, bucket: str, rules: Sequence[LifecycleRule]) -> None:
        self._archive.set_lifecycle(bucket, rules)

    def close(self) -> None:
        self._archive.close()
