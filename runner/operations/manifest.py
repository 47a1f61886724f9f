"""The manifest of a backup: what was kept, of when, and how to know that it is whole. Format version 1.

A backup place is an archive (a folder, or buckets) with objects that are created once:

    backups/<set>/manifests/<YYYYMMDDTHHMMSSZ>-<first 16 digits of its SHA-256>.json       one a backup, created last
    backups/<set>/pieces/<2 digits>/<SHA-256 of the content>.gz                            content, at most 4 MiB each

Invariants
----------
1. A manifest is created after every piece that it names, so a backup is whole or absent.
2. A piece's name is the hash of its content: what several backups hold in common is kept once, and any change shows.
3. `index` names the pieces that hold the list of files, one `FileEntry` a line, ordered by path.
4. A set belongs to one home (`home`), so its rotation never deletes what another home needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated

import msgspec

from runner.errors import StoreRejected

FORMAT = 1
_ID = re.compile(r"(?P<created>\d{8}T\d{6}Z)-(?P<digest>[0-9a-f]{16})")
_PART = re.compile(r"(?!\.\.?$)[^/\x00]+")

Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, msgspec.Meta(ge=0)]


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One file: its path from the home, bytes, time of change (nanoseconds since 1970), hash and pieces in order."""

    path: str
    size: Size
    mtime_ns: Size
    sha256: Hash
    pieces: tuple[Hash, ...]


class RunHead(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run of the journal was when it was kept. `ends` are the next offsets of its streams.

    `newest` and `newest_ts` are the id and the time of its last record; empty when it has none.
    """

    run: str
    bot: str = ""
    closed: str = ""
    ends: dict[str, int] = {}
    newest: str = ""
    newest_ts: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A whole backup. `covers` says what it holds of each store; `files`, `bytes` and `new_bytes` count.

    `new_bytes` are those of pieces that no earlier backup had, as stored.
    """

    format: int
    created: str
    version: str
    home: str
    environment: str
    config_hash: str
    covers: dict[str, str]
    files: Size
    bytes: Size
    new_bytes: Size
    runs: tuple[RunHead, ...]
    archived: dict[str, dict[str, int]]
    left_out: tuple[str, ...] = ()
    index: tuple[Hash, ...]

    @property
    def newest(self) -> RunHead | None:
        """The run with the newest record of all."""
        return max((head for head in self.runs if head.newest), key=lambda head: head.newest_ts, default=None)


def encode(manifest: Manifest) -> tuple[str, bytes]:
    """A backup's id, and the bytes of its manifest."""
    body = msgspec.json.encode(manifest)
    moment = datetime.fromisoformat(manifest.created)
    return f"{moment:%Y%m%dT%H%M%SZ}-{sha256(body).hexdigest()[:16]}", body


def decode(backup: str, body: bytes) -> Manifest:
    """The manifest of a backup. Raises `StoreRejected` where it is damaged, or of a newer format."""
    if sha256(body).hexdigest()[:16] != backup.partition("-")[2]:
        raise StoreRejected(f"the manifest of backup {backup} is damaged", "use another: `tron backup --list`")
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except msgspec.MsgspecError as error:
        raise StoreRejected(f"backup {backup} cannot be read: {error}", "was it made by a newer version?") from None
    if manifest.format > FORMAT:
        raise StoreRejected(
            f"backup {backup} has format {manifest.format}, this version reads {FORMAT}", "use a newer version"
        )
    return manifest


def created(backup: str) -> datetime:
    """When a backup was made, by its id. Raises `StoreRejected` where it is none."""
    found = _ID.fullmatch(backup)
    if found is None:
        raise StoreRejected(f"{backup!r} is not the id of a backup", "`tron backup --list` shows them")
    return datetime.strptime(found["created"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def encode_files(files: Iterable[FileEntry]) -> bytes:
    return b"".join(msgspec.json.encode(file) + b"\n" for file in sorted(files, key=lambda file: file.path))


def decode_files(content: bytes) -> Iterator[FileEntry]:
    """The files of an index. Raises `StoreRejected` for what is no list of files, and for a path that leads outside."""
    decoder = msgspec.json.Decoder(FileEntry)
    for number, line in enumerate(content.splitlines(), 1):
        try:
            entry = decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise StoreRejected(f"the index of the backup is damaged in line {number}: {error}") from None
        if not all(_PART.fullmatch(part) for part in entry.path.split("/")):
            raise StoreRejected(f"the backup names the path {entry.path!r}, which leads out of a home", "do not use it")
        yield entry
