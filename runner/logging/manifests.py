"""Manifests: what a compacted object holds. Format version 1.

    logs/YYYY/MM/DD/<bot>/<stream>_compacted_<HHMMSS>_<run8>-<first>_v<N>.json.gz       parts, byte for byte, joined
    logs/YYYY/MM/DD/<bot>/<stream>_compacted_<HHMMSS>_<run8>-<first>_v<N>.manifest.gz   which they are, and where

A part is a batch object of that day, bot and stream, of any run. gzip members may follow each other, so `zcat` shows
every record of a compacted object, and a slice of it is the part as it was.

Invariants
----------
1. A manifest (gzip of one JSON object) names each part with its place and the metadata that it had. The parts follow
   each other without a gap and fill the object; ranges, hashes and chains are those of the parts, unchanged.
2. The object is created before its manifest, and both are read back before a part is deleted. A compacted object
   without a manifest is a try that was interrupted: its parts are still there.
3. A part that lies by itself and in compacted objects is one part.
4. The manifest's own metadata tell without reading it how many parts there are, which ranges of offsets they cover, and
   a hash over their names.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from isal import igzip

from runner.errors import StoreRejected
from runner.layout import compacted_name
from runner.logging.unpacking import gunzip
from runner.stores.base import ObjectInfo

FORMAT = "1"
_LARGEST = 64 << 20


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A part: its name and metadata, and where its bytes lie in the compacted object."""

    name: str
    start: int
    size: int
    metadata: dict[str, str]

    @property
    def key(self) -> tuple[str, str]:
        """What makes two parts the same one: name and content."""
        return self.name, self.metadata.get("raw_sha256", "")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A compacted object: its bucket, name, size and SHA-256, and its parts in order."""

    format: str = FORMAT
    bucket: str
    object: str
    size: int
    sha256: str
    parts: tuple[Entry, ...]

    def encode(self) -> bytes:
        return bytes(igzip.compress(msgspec.json.encode(self), 1, mtime=0))

    def metadata(self) -> dict[str, str]:
        """What the manifest's object says of it, to be read from a listing."""
        return {
            "format": self.format,
            "object": self.object,
            "sha256": self.sha256,
            "parts": str(len(self.parts)),
            "ranges": " ".join(_ranges(self.parts)),
            "names_sha256": names_hash(entry.name for entry in self.parts),
        }


def join(parts: Sequence[tuple[ObjectInfo, bytes]], name: str) -> tuple[Manifest, bytes]:
    """Parts with their stored bytes as one object of this name."""
    entries, start = [], 0
    for info, body in parts:
        entries.append(Entry(name=info.name, start=start, size=len(body), metadata=dict(info.metadata)))
        start += len(body)
    whole = b"".join(body for _, body in parts)
    digest = hashlib.sha256(whole).hexdigest()
    bucket = parts[0][0].bucket
    return Manifest(bucket=bucket, object=name, size=start, sha256=digest, parts=tuple(entries)), whole


def decode(info: ObjectInfo, body: bytes) -> Manifest:
    """The manifest in an object. Raises `StoreRejected` when it is none, or not the one of its name."""
    place = f"{info.bucket}/{info.name}"
    try:
        manifest = msgspec.json.decode(gunzip(body, _LARGEST, place), type=Manifest)
    except msgspec.MsgspecError as error:
        raise StoreRejected(f"{place} is not a manifest: {error}", "see `tron verify`") from None
    if manifest.format != FORMAT:
        raise StoreRejected(f"{place} has the format {manifest.format}", "read it with a newer release")
    name = compacted_name(info.name)
    if name is None or (manifest.bucket, manifest.object) != (info.bucket, name.object) or not _is_filled(manifest):
        raise StoreRejected(f"{place} does not fit the compacted object that it names", "see `tron verify`")
    if manifest.metadata() != dict(info.metadata):
        raise StoreRejected(f"{place} holds other parts than its metadata name", "see `tron verify`")
    return manifest


def names_hash(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


class Names:
    """Names of parts that something holds (a warehouse), to be compared with manifests that nobody has read."""

    def __init__(self, names: Iterable[str]) -> None:
        self._found: Mapping[tuple[str, str, str], list[tuple[int, str]]] = defaultdict(list)
        for name in names:
            folder, stream, run8, first = _split(name)
            self._found[folder, stream, run8].append((first, name))

    def cover(self, info: ObjectInfo) -> bool:
        """Whether all parts of a manifest are among the names, as the manifest's metadata tell."""
        folder, _, file = info.name.rpartition("/")
        stream = file.partition("_")[0]
        try:
            ranges = [range_.split(":") for range_ in info.metadata["ranges"].split()]
            wanted = [
                name
                for run8, begin, end in ranges
                for first, name in self._found.get((folder, stream, run8), ())
                if int(begin) <= first <= int(end)
            ]
            return names_hash(wanted) == info.metadata["names_sha256"] and len(wanted) == int(info.metadata["parts"])
        except (KeyError, ValueError):
            return False


def _ranges(parts: Iterable[Entry]) -> list[str]:
    """`<run8>:<first offset of the first part>:<first offset of the last part>` for each run."""
    found: dict[str, list[int]] = defaultdict(list)
    for entry in parts:
        _, _, run8, first = _split(entry.name)
        found[run8].append(first)
    return [f"{run8}:{min(firsts)}:{max(firsts)}" for run8, firsts in found.items()]


def _split(name: str) -> tuple[str, str, str, int]:
    """Folder, stream, run8 and first offset of a part's name."""
    folder, _, file = name.rpartition("/")
    stream, _, rest = file.partition("_")
    run8, _, first = rest.split("_")[1].partition("-")
    return folder, stream, run8, int(first)


def _is_filled(manifest: Manifest) -> bool:
    start = 0
    for entry in manifest.parts:
        if entry.start != start or entry.size < 1:
            return False
        start += entry.size
    return bool(manifest.parts) and start == manifest.size
