"""Batch objects found in an archive: an index by run and stream, and their lines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from isal import isal_zlib
from isal.igzip_lib import IsalError

from runner.errors import StoreRejected
from runner.layout import is_batch_object
from runner.logging.routes import COMPLIANCE_LOGS, STREAMS
from runner.stores.base import Archive, ObjectInfo

_GZIP = 31
PRIMARY = tuple(dict.fromkeys(route.bucket for route in STREAMS.values()))


@dataclass(frozen=True, slots=True, order=True)
class BatchObject:
    """An archived range of a run's stream, as its metadata says."""

    run: str
    stream: str
    first: int
    last: int
    name: str
    bucket: str
    bot: str
    raw_bytes: int
    size: int
    raw_sha256: str
    prev: str
    chain: str


def batch_object(info: ObjectInfo) -> BatchObject | None:
    """What an object's metadata says, or None for an object that holds no records (by its name)."""
    if not is_batch_object(info.name):
        return None
    meta = info.metadata
    try:
        return BatchObject(
            run=meta["run"],
            stream=meta["stream"],
            first=int(meta["first"]),
            last=int(meta["last"]),
            name=info.name,
            bucket=info.bucket,
            bot=meta["bot"],
            raw_bytes=int(meta["raw_bytes"]),
            size=info.size,
            raw_sha256=meta["raw_sha256"],
            prev=meta["prev"],
            chain=meta["chain"],
        )
    except (KeyError, ValueError):
        raise StoreRejected(
            f"{info.bucket}/{info.name} has no usable metadata", "was it written by another program?"
        ) from None


def index(archive: Archive, buckets: Iterable[str] = PRIMARY) -> dict[str, dict[str, list[BatchObject]]]:
    """Every batch object by run and stream, in order of offset."""
    found: dict[str, dict[str, list[BatchObject]]] = {}
    for bucket in buckets:
        for info in archive.list(bucket, "logs/"):
            batch = batch_object(info)
            if batch is not None:
                found.setdefault(batch.run, {}).setdefault(batch.stream, []).append(batch)
    for streams in found.values():
        for batches in streams.values():
            batches.sort()
    return dict(sorted(found.items()))


def registered_runs(archive: Archive) -> dict[str, str]:
    """The runs that the compliance bucket knows of, with the name of their registry object."""
    names = (info.name for info in archive.list(COMPLIANCE_LOGS, "registry/"))
    return {name.rsplit("/", 1)[1].removesuffix(".json"): name for name in names}


def raw_lines(archive: Archive, batch: BatchObject) -> bytes:
    """The uncompressed lines of an object. Raises `StoreRejected` when they are not what its metadata says."""
    raw = _gunzip(archive.read(batch.bucket, batch.name), batch)
    if hashlib.sha256(raw).hexdigest() != batch.raw_sha256:
        raise StoreRejected(f"{batch.bucket}/{batch.name} does not hold the lines that its metadata names")
    return raw


def _gunzip(body: bytes, batch: BatchObject) -> bytes:
    """The content of all gzip members, never more than the metadata announces."""
    members: list[bytes] = []
    while body:
        member = isal_zlib.decompressobj(wbits=_GZIP)
        try:
            members.append(member.decompress(body, batch.raw_bytes + 1))
        except IsalError as error:  # type: ignore[misc]  # its stub declares the class as an instance
            raise StoreRejected(f"{batch.bucket}/{batch.name} is not gzip: {error}") from None
        if not member.eof:
            raise StoreRejected(f"{batch.bucket}/{batch.name} is cut off, or holds more than its metadata names")
        body = member.unused_data
    return b"".join(members)
