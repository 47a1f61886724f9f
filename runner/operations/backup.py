"""`tron backup`: keep a home, while its bots run, so that it can be had again.

A backup that is killed leaves pieces without a manifest, which is no backup; the next one uses them. What a backup
holds, and in which order it is taken: `capture`. What it looks like: `manifest`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from runner.clock import Clock
from runner.errors import ConfigError, StoreUnavailable
from runner.files import replace
from runner.layout import Home
from runner.logging import lines
from runner.logging.disk import FileLock
from runner.operations.capture import Capture
from runner.operations.manifest import FORMAT, FileEntry, Manifest, encode_files
from runner.operations.snapshot import Kept
from runner.operations.vault import PIECE, Vault
from runner.settings import Settings
from runner.stores.base import Archive
from runner.version import VERSION

IDENTITY = "backup.json"
"""In the home's `state`: by what its backups know it, also after it was restored elsewhere."""

Progress = Callable[[int, int], None]
"""Called with the files and the bytes that are kept so far."""


class _Identity(msgspec.Struct, frozen=True):
    home: str


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A backup that was made: its id, its manifest, and how long it took (seconds)."""

    backup: str
    manifest: Manifest
    seconds: float


@dataclass(frozen=True, slots=True)
class Source:
    """What is backed up. `archive_folder` is where its archive lies, or None where it is not on this disk."""

    home: Home
    settings: Settings
    archive: Archive
    archive_folder: Path | None

    def covers(self) -> dict[str, str]:
        """What a backup holds of each store."""
        stores = self.settings.stores
        elsewhere = "not copied: it is rebuilt from the archive (`tron restore`)"
        return {
            "journal": "copied",
            "live": elsewhere if stores.live else "copied",
            "archive": "copied" if self.archive_folder else f"listed: {stores.archive} keeps itself",
            "warehouse": elsewhere if stores.warehouse else "copied",
        }


def take(source: Source, vault: Vault, clock: Clock, on_progress: Progress = lambda files, size: None) -> BackupReport:
    """Make a backup. Bots and shippers go on meanwhile.

    Raises `ConfigError` while another backup of this home is made, for a set of another home, and for a symbolic link;
    `StoreUnavailable` where the place cannot be written.
    """
    lock = FileLock(source.home.path / "backup.lock")
    if not lock.acquire():
        raise ConfigError("another backup of this home is being made", "wait for it")
    try:
        return _Taking(source, vault, clock, on_progress).run()
    except OSError as error:
        hint = "check its owner and permissions, `ulimit -n`, and the disk"
        raise StoreUnavailable(f"{error.filename or source.home.path}: {error.strerror or error}", hint) from None
    finally:
        lock.release()


class _Taking:
    def __init__(self, source: Source, vault: Vault, clock: Clock, on_progress: Progress) -> None:
        self._source, self._vault, self._clock = source, vault, clock
        self._on_progress = on_progress
        self._files: list[FileEntry] = []
        self._bytes = 0

    def run(self) -> BackupReport:
        began, created = self._clock.monotonic(), lines.timestamp(self._clock.now())
        home = identity(self._source)
        self._check_owner(home)
        capture = Capture(self._source.home, self._source.archive, self._source.archive_folder)
        for kept in capture.files():
            with kept.content:
                self._keep(kept)
        index = tuple(map(self._vault.put, _cut(encode_files(self._files))))
        manifest = Manifest(
            format=FORMAT,
            created=created,
            version=VERSION,
            home=home,
            environment=self._source.settings.environment,
            config_hash=self._source.settings.config_hash,
            covers=self._source.covers(),
            files=len(self._files),
            bytes=self._bytes,
            new_bytes=self._vault.new_bytes,
            runs=tuple(capture.heads),
            archived=capture.archived,
            left_out=tuple(capture.left_out),
            index=index,
        )
        backup = self._vault.commit(manifest)
        return BackupReport(backup, manifest, self._clock.monotonic() - began)

    def _check_owner(self, home: str) -> None:
        """Two homes in one set would delete each other's backups by rotation."""
        known = self._vault.ids()
        owner = self._vault.manifest(known[-1]).home if known else home
        if owner != home:
            raise ConfigError(
                f"the backups in the set {self._vault.name!r} are of another home",
                "give this home a set of its own: --name, or name in [backup] of tron.toml",
            )

    def _keep(self, kept: Kept) -> None:
        digest, size, pieces = sha256(), 0, list[str]()
        while chunk := kept.content.read(PIECE):
            digest.update(chunk)
            size += len(chunk)
            pieces.append(self._vault.put(chunk))
        self._files.append(
            FileEntry(
                path=kept.path,
                size=size,
                mtime_ns=max(0, kept.mtime_ns),
                sha256=digest.hexdigest(),
                pieces=tuple(pieces),
            )
        )
        self._bytes += size
        self._on_progress(len(self._files), self._bytes)


def identity(source: Source) -> str:
    """By what the backups of a home know it: its archive on Google Cloud, else a number of its own in `state`."""
    if source.archive_folder is None and source.settings.stores.archive:
        return source.settings.stores.archive
    path = source.home.state / IDENTITY
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Identity).home
    except FileNotFoundError:
        found = _Identity(str(uuid.uuid4()))
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path} is damaged: {error}", "delete it, and choose another --name") from None
    try:
        replace(path, msgspec.json.encode(found))
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be written: {error.strerror or error}", "free some space") from None
    return found.home


def _cut(content: bytes) -> list[bytes]:
    return [content[start : start + PIECE] for start in range(0, len(content), PIECE)]
