"""The embedded archive: a folder of plain files.

    <root>/tron-<bucket>/<name>                      the object's bytes as they were given; `zcat` reads them
    <root>/tron-<bucket>/.metadata/<name>.json       its metadata and content type
    <root>/tron-<bucket>/.partial/                   what is being written; its lock admits one writer at a time
    <root>/tron-<bucket>/.lifecycle.json             the bucket's rules; a folder does nothing by itself, the sweep does

Invariants: an object's bytes appear last, under a synced name, after its metadata; so an object is whole and
described, or absent. A writer that dies leaves at most a file in `.partial` and metadata without an object; the next
writer removes both. Folders are private (0700), and so are files (0600).
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from stat import S_ISREG

from runner.errors import ObjectExists, StoreError, StoreRejected
from runner.files import publish, replace, sync_folder, write
from runner.stores.base import Lifecycle, LifecycleRule, ObjectInfo
from runner.stores.folders import failures_as_unavailable, locked, make_folders

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
_NAME = re.compile(r"(?!\.)[^/\x00-\x1f\x7f\ud800-\udfff]+(/(?!\.)[^/\x00-\x1f\x7f\ud800-\udfff]+)*")
_LONGEST_NAME, _LONGEST_SEGMENT = 1024, 240
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class _Bucket:
    """The paths of a bucket."""

    folder: Path

    @property
    def partial(self) -> Path:
        return self.folder / ".partial"

    @property
    def sidecars(self) -> Path:
        return self.folder / ".metadata"

    @property
    def lifecycle(self) -> Path:
        return self.folder / ".lifecycle.json"

    def body(self, name: str) -> Path:
        return self.folder / name

    def sidecar(self, name: str) -> Path:
        return self.sidecars / f"{name}.json"


class DirectoryArchive:
    """An `Archive` in the folder `root`, made when the first object is created."""

    def __init__(self, root: Path) -> None:
        self.operations: Counter[str] = Counter()
        self.root = root

    def create(self, bucket: str, name: str, body: bytes, *, metadata: Mapping[str, str], content_type: str) -> None:
        place = self._bucket(bucket)
        _check_name(name)
        sidecar = json.dumps({"content_type": content_type, "metadata": dict(metadata)}).encode()
        self.operations["class_a"] += 1
        with failures_as_unavailable(self.root), _collisions_as_rejected(bucket, name):
            make_folders(place.partial)
            with locked(place.partial):
                _sweep(place)
                if place.body(name).is_file():
                    raise ObjectExists(f"{bucket}/{name} exists")
                _create(place, name, body, sidecar)
        self.operations["bytes"] += len(body)

    def read(self, bucket: str, name: str) -> bytes:
        path = self._path(bucket, name)
        self.operations["class_b"] += 1
        with failures_as_unavailable(path):
            try:
                body = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise StoreError(f"there is no object {bucket}/{name}", "`tron verify` names what is missing") from None
        self.operations["read_bytes"] += len(body)
        return body

    def stat(self, bucket: str, name: str) -> ObjectInfo | None:
        self._path(bucket, name)
        self.operations["class_b"] += 1
        return self._info(bucket, name)

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        place = self._bucket(bucket)
        found = 0
        with failures_as_unavailable(place.folder):
            for name in _names(place.folder, "", prefix):
                info = self._info(bucket, name)
                if info is not None:
                    if found % _PAGE == 0:
                        self.operations["class_a"] += 1
                    found += 1
                    yield info
        if found == 0:
            self.operations["class_a"] += 1

    def delete(self, bucket: str, name: str) -> None:
        place = self._bucket(bucket)
        _check_name(name)
        self.operations["deletes"] += 1
        if not place.partial.is_dir():
            return
        with failures_as_unavailable(self.root), locked(place.partial):
            _sweep(place)
            if place.body(name).is_file():
                _delete(place, name)

    def lifecycle(self, bucket: str) -> Lifecycle | None:
        place = self._bucket(bucket)
        self.operations["class_b"] += 1
        with failures_as_unavailable(place.folder):
            try:
                found = json.loads(place.lifecycle.read_bytes())
                return Lifecycle(tuple(LifecycleRule(**rule) for rule in found["rules"]))
            except FileNotFoundError:
                return Lifecycle() if place.folder.is_dir() else None
            except (ValueError, KeyError, TypeError):
                raise StoreRejected(f"{place.lifecycle} is damaged", "delete it, then apply the rules again") from None

    def set_lifecycle(self, bucket: str, rules: Sequence[LifecycleRule]) -> None:
        place = self._bucket(bucket)
        self.operations["class_a"] += 1
        if not place.folder.is_dir():
            raise StoreError(f"there is no bucket {place.folder}", "it is made with its first object")
        content = json.dumps({"rules": [asdict(rule) for rule in sorted(rules)]}).encode()
        with failures_as_unavailable(place.lifecycle):
            replace(place.lifecycle, content)

    def close(self) -> None:
        """Nothing is held open."""

    def _bucket(self, bucket: str) -> _Bucket:
        if not _BUCKET.fullmatch(bucket):
            raise StoreRejected(f"{bucket!r} is not the name of a bucket", "use a-z, 0-9 and dashes")
        return _Bucket(self.root / f"tron-{bucket}")

    def _path(self, bucket: str, name: str) -> Path:
        _check_name(name)
        return self._bucket(bucket).body(name)

    def _info(self, bucket: str, name: str) -> ObjectInfo | None:
        place = self._bucket(bucket)
        with failures_as_unavailable(place.folder):
            metadata = _metadata(place.sidecar(name))
            try:
                found = place.body(name).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return ObjectInfo(bucket, name, found.st_size, metadata) if S_ISREG(found.st_mode) else None


def _metadata(sidecar: Path) -> dict[str, str]:
    """What was said of an object when it was created; nothing when the sidecar was removed or damaged by hand."""
    try:
        metadata: dict[str, str] = json.loads(sidecar.read_bytes())["metadata"]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return {}
    return metadata


def _create(place: _Bucket, name: str, body: bytes, sidecar: bytes) -> None:
    body_path, sidecar_path = place.body(name), place.sidecar(name)
    body_partial, sidecar_partial = place.partial / "body", place.partial / "metadata"
    make_folders(body_path.parent)
    make_folders(sidecar_path.parent)
    try:
        write(body_partial, body)
        write(sidecar_partial, sidecar)
        publish(sidecar_partial, sidecar_path)
        publish(body_partial, body_path)
    except OSError:
        _sweep(place)
        raise


def _delete(place: _Bucket, name: str) -> None:
    """Who dies between the two leaves the sign of a dead writer."""
    body_partial = place.partial / "body"
    body_partial.touch(0o600)
    _remove(place.body(name), place.folder)
    _remove(place.sidecar(name), place.sidecars)
    body_partial.unlink()


def _sweep(place: _Bucket) -> None:
    """Remove what a dead writer left: its partial body is the sign, metadata without an object may be beside it."""
    body_partial = place.partial / "body"
    if not body_partial.exists():
        return
    for name in list(_names(place.sidecars, "", "")):
        if not place.body(name.removesuffix(".json")).is_file():
            _remove(place.sidecars / name, place.sidecars)
    (place.partial / "metadata").unlink(missing_ok=True)
    body_partial.unlink()


def _names(folder: Path, base: str, prefix: str) -> Iterator[str]:
    """Names of the files below `folder` that start with `prefix`, in order, each after `base`."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(
                entry.name + "/" if entry.is_dir() else entry.name
                for entry in entries
                if not entry.name.startswith(".")
            )
    except FileNotFoundError:
        return
    for entry_name in found:
        name = base + entry_name
        if not name.endswith("/"):
            if name.startswith(prefix):
                yield name
        elif name.startswith(prefix) or prefix.startswith(name):
            yield from _names(folder / entry_name, name, prefix)


def _remove(path: Path, top: Path) -> None:
    """Remove a file if it is there, and the folders below `top` that it leaves empty."""
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return
    folder = path.parent
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
    sync_folder(folder)


@contextmanager
def _collisions_as_rejected(bucket: str, name: str) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise StoreRejected(
            f"{bucket}/{name} cannot be created: a part of its name is another object, or it is a part of one",
            "no object's name may be the folder of another's",
        ) from None


def _check_name(name: str) -> None:
    segments = name.encode(errors="surrogatepass").split(b"/")
    fits = sum(map(len, segments)) <= _LONGEST_NAME and max(map(len, segments)) <= _LONGEST_SEGMENT
    if not fits or not _NAME.fullmatch(name):
        raise StoreRejected(
            f"{name!r} is not the name of an object",
            "use segments of 1 to 240 bytes with single slashes between them, none starting with a dot",
        )
