"""Batch objects found in an archive: an index by run and stream, and their lines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from isal import isal_zlib
from isal.igzip_lib import IsalError

from runner.errors import StoreRejected
from runner.layout import is_batch_object
from runner.logging import lines
from runner.logging.journal import RunInfo
from runner.logging.routes import COMPLIANCE_LOGS, STREAMS
from runner.stores.base import Archive, ObjectInfo

PRIMARY = tuple(dict.fromkeys(route.bucket for route in STREAMS.values()))
_GZIP = 31


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
    epoch: int


Index = dict[str, dict[str, list[BatchObject]]]
"""Batch objects by run and stream."""


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
            epoch=int(meta["epoch"]),
        )
    except (KeyError, ValueError):
        raise StoreRejected(
            f"{info.bucket}/{info.name} has no usable metadata", "was it written by another program?"
        ) from None


def index(
    archive: Archive,
    buckets: Iterable[str] = PRIMARY,
    on_unusable: Callable[[ObjectInfo, StoreRejected], None] | None = None,
) -> Index:
    """Every batch object by run and stream, in order of offset.

    Raises `StoreRejected` for an object without usable metadata, unless there is somebody to tell.
    """
    found: Index = {}
    for bucket in buckets:
        for info in archive.list(bucket, "logs/"):
            try:
                batch = batch_object(info)
            except StoreRejected as error:
                if on_unusable is None:
                    raise
                on_unusable(info, error)
                continue
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


def of_stream(archive: Archive, info: RunInfo, stream: str, until: date) -> list[BatchObject]:
    """The objects of one stream of a run, in order of offset, looked for on the days from the run's start on."""
    start = lines.moment(info.started).date() - timedelta(days=1)
    days = (start + timedelta(days=number) for number in range((until - start).days + 2))
    prefixes = (f"logs/{day:%Y/%m/%d}/{info.bot}/{stream}_" for day in days)
    listed = (found for prefix in prefixes for found in archive.list(STREAMS[stream].bucket, prefix))
    batches = (batch_object(found) for found in listed)
    return sorted(batch for batch in batches if batch and (batch.run, batch.stream) == (info.run, stream))


def raw_lines(archive: Archive, batch: BatchObject) -> bytes:
    """The uncompressed lines of an object. Raises `StoreRejected` when they are not what its metadata says."""
    raw = unpack(archive, batch)
    _check_hash(raw, batch.raw_sha256, f"{batch.bucket}/{batch.name}")
    return raw


def unpack(archive: Archive, batch: BatchObject) -> bytes:
    """The uncompressed content of an object, whatever it is. Raises `StoreRejected` when it cannot be unpacked."""
    return _gunzip(archive.read(batch.bucket, batch.name), batch.raw_bytes, f"{batch.bucket}/{batch.name}")


def content(archive: Archive, info: ObjectInfo) -> bytes:
    """Like `raw_lines`, for an object of which only its `raw_bytes` and `raw_sha256` need to be known."""
    place = f"{info.bucket}/{info.name}"
    try:
        size, digest = int(info.metadata["raw_bytes"]), info.metadata["raw_sha256"]
    except (KeyError, ValueError):
        raise StoreRejected(f"the metadata of {place} does not name its raw_bytes and raw_sha256") from None
    raw = _gunzip(archive.read(info.bucket, info.name), size, place)
    _check_hash(raw, digest, place)
    return raw


def _check_hash(raw: bytes, digest: str, place: str) -> None:
    if hashlib.sha256(raw).hexdigest() != digest:
        raise StoreRejected(f"{place} does not hold the lines whose raw_sha256 its metadata names")


def _gunzip(body: bytes, size: int, place: str) -> bytes:
    """The content of all gzip members, never more than the `size` that was announced."""
    members: list[bytes] = []
    while body:
        member = isal_zlib.decompressobj(wbits=_GZIP)
        try:
            members.append(member.decompress(body, size + 1))
        except IsalError as error:  # type: ignore[misc]  # its stub declares the class as an instance
            raise StoreRejected(f"{place} is not gzip: {error}") from None
        if not member.eof:
            raise StoreRejected(f"{place} is cut off, or holds more than the raw_bytes of its metadata")
        body = member.unused_data
    return b"".join(members)
