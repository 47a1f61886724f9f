"""Batch objects found in an archive: an index by run and stream, and their lines.

An archive that was compacted looks as if it was not (see `parts`). Who reads many objects passes a `view` of it, which
reads a compacted object once for all its parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from runner.errors import StoreRejected
from runner.layout import is_batch_object, is_manifest
from runner.logging import lines
from runner.logging.journal import RunInfo
from runner.logging.parts import view
from runner.logging.routes import COMPLIANCE_LOGS, STREAMS
from runner.logging.unpacking import gunzip
from runner.stores.base import Archive, ObjectInfo

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
    epoch: int


OnUnusable = Callable[[ObjectInfo, StoreRejected], None]
"""Is told of an object whose metadata cannot be used."""

Index = dict[str, dict[str, list[BatchObject]]]
"""Batch objects by run and stream."""


def batch_object(info: ObjectInfo) -> BatchObject | None:
    """What an object's metadata says, or None for an object that holds no records (by its name).

    Raises `StoreRejected` for metadata that cannot be used, and for a manifest, which a view lists only when it cannot.
    """
    if is_manifest(info.name):
        raise StoreRejected(
            f"{info.bucket}/{info.name} is damaged, or what it describes is not there", "restore it from a backup"
        )
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
    on_unusable: OnUnusable | None = None,
) -> Index:
    """Every batch object by run and stream, in order of offset.

    Raises `StoreRejected` for an object without usable metadata, unless there is somebody to tell.
    """
    found: Index = {}
    for bucket in buckets:
        for info in view(archive).list(bucket, "logs/"):
            batch = _try_batch(info, on_unusable)
            if batch is not None:
                found.setdefault(batch.run, {}).setdefault(batch.stream, []).append(batch)
    for streams in found.values():
        for batches in streams.values():
            batches.sort()
    return dict(sorted(found.items()))


def _try_batch(info: ObjectInfo, on_unusable: OnUnusable | None) -> BatchObject | None:
    try:
        return batch_object(info)
    except StoreRejected as error:
        if on_unusable is None:
            raise
        on_unusable(info, error)
        return None


def registered_runs(archive: Archive) -> dict[str, str]:
    """The runs that the compliance bucket knows of, with the name of their registry object."""
    names = (info.name for info in archive.list(COMPLIANCE_LOGS, "registry/"))
    return {name.rsplit("/", 1)[1].removesuffix(".json"): name for name in names}


def of_stream(
    archive: Archive, info: RunInfo, stream: str, until: date, on_unusable: OnUnusable | None = None
) -> list[BatchObject]:
    """The objects of one stream of a run, in order of offset, looked for on the days from the run's start on.

    Raises like `index`.
    """
    start = lines.moment(info.started).date() - timedelta(days=1)
    days = (start + timedelta(days=number) for number in range((until - start).days + 2))
    prefixes = (f"logs/{day:%Y/%m/%d}/{info.bot}/{stream}_" for day in days)
    shown = view(archive)
    listed = (found for prefix in prefixes for found in shown.list(STREAMS[stream].bucket, prefix))
    batches = (_try_batch(found, on_unusable) for found in listed)
    return sorted(batch for batch in batches if batch and (batch.run, batch.stream) == (info.run, stream))


def raw_lines(archive: Archive, batch: BatchObject) -> bytes:
    """The uncompressed lines of an object. Raises `StoreRejected` when they are not what its metadata says."""
    raw = unpack(archive, batch)
    _check_hash(raw, batch.raw_sha256, f"{batch.bucket}/{batch.name}")
    return raw


def unpack(archive: Archive, batch: BatchObject) -> bytes:
    """The uncompressed content of an object, whatever it is. Raises `StoreRejected` when it cannot be unpacked."""
    return gunzip(view(archive).read(batch.bucket, batch.name), batch.raw_bytes, f"{batch.bucket}/{batch.name}")


def content(archive: Archive, info: ObjectInfo) -> bytes:
    """Like `raw_lines`, for an object of which only its `raw_bytes` and `raw_sha256` need to be known."""
    return checked(info, view(archive).read(info.bucket, info.name))


def checked(info: ObjectInfo, body: bytes) -> bytes:
    """The uncompressed lines of an object that was read. Raises like `raw_lines`."""
    place = f"{info.bucket}/{info.name}"
    try:
        size, digest = int(info.metadata["raw_bytes"]), info.metadata["raw_sha256"]
    except (KeyError, ValueError):
        raise StoreRejected(f"the metadata of {place} does not name its raw_bytes and raw_sha256") from None
    raw = gunzip(body, size, place)
    _check_hash(raw, digest, place)
    return raw


def _check_hash(raw: bytes, digest: str, place: str) -> None:
    if hashlib.sha256(raw).hexdigest() != digest:
        raise StoreRejected(f"{place} does not hold the lines whose raw_sha256 its metadata names")
