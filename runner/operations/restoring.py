"""`tron restore --from`: make a home of a backup.

Everything is read, compared with its hash and written beside the home first, under a name of its own; only then does
the home get it, by one rename. What was there is set aside, never deleted. A restore that is killed leaves the home as
it was.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from runner.errors import ConfigError, StoreError, StoreRejected, StoreUnavailable
from runner.files import publish, sync_folder
from runner.layout import Home
from runner.logging import disk, lines, objects
from runner.logging.journal import is_alive, run_folder, runs, segment_path
from runner.logging.reader import segments
from runner.logging.recovery import intact_end
from runner.operations.manifest import FileEntry, Manifest
from runner.operations.vault import Vault
from runner.stores.base import Archive

Progress = Callable[[int, int], None]
"""Called with the files that are restored so far, and with all of them."""


_MAKING = ".restoring-"


@dataclass(frozen=True, slots=True)
class RestoredHome:
    """A home that was made of a backup. `aside` is where the one that was there lies now; `caught_up` counts records
    of open runs that the archive had beyond the backup."""

    home: Home
    manifest: Manifest
    aside: Path | None
    caught_up: int


def restore_home(
    vault: Vault,
    backup: str,
    into: Path,
    *,
    force: bool = False,
    archive: Archive | None = None,
    on_progress: Progress = lambda done, total: None,
) -> RestoredHome:
    """Make the home `into` of a backup; with `force`, one with records is set aside first.

    `archive` is the one outside the home that its runs were archived to: what it has beyond the backup, of runs that
    were not closed, is put into their journal, so that they can go on from there.

    Raises `ConfigError` where the home has records or is in use, `StoreRejected` where the backup is damaged (the
    error names the file and the piece), `StoreUnavailable` where the disk does not take it.
    """
    into = Path(os.path.abspath(into))
    _check_target(into, force)
    manifest = vault.manifest(backup)
    files = vault.files(manifest)
    _check_whole(manifest, files)
    making = into.with_name(f".{into.name}{_MAKING}{os.getpid()}")
    _clear_away(into)
    try:
        _write_all(vault, files, making, on_progress)
        home = Home(making).create()
        caught_up = catch_up(home, archive) if archive is not None else 0
        aside = _set_aside(into)
        publish(making, into)
    except OSError as error:
        raise StoreUnavailable(
            f"{making} cannot be written: {error.strerror or error}", "free some space, or choose another --into"
        ) from None
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return RestoredHome(Home(into), manifest, aside, caught_up)


def _clear_away(into: Path) -> None:
    """Remove what restores that were killed have left."""
    for left in into.parent.glob(f".{into.name}{_MAKING}*"):
        try:
            os.kill(int(left.name.rpartition("-")[2]), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except (PermissionError, ValueError):
            continue


def has_records(home: Home) -> bool:
    """Whether a home holds anything that a restore would hide."""
    places = (home.journal.glob("*/run.json"), home.archive.glob("tron-*/logs"), home.archive.glob("tron-*/registry"))
    return any(True for found in places for _ in found)


def catch_up(home: Home, archive: Archive) -> int:
    """Put what the archive has beyond the journal of an open run behind it; returns how many records that were.

    A run that was restored from yesterday's backup would else be given a new end in the middle of what it archived
    since.
    """
    batches = objects.index(archive)
    return sum(
        _catch_up_stream(home, archive, info.run, stream, batches[info.run][stream])
        for info in runs(home)
        if not info.closed and info.run in batches
        for stream in batches[info.run]
    )


def _catch_up_stream(home: Home, archive: Archive, run: str, stream: str, batches: list[objects.BatchObject]) -> int:
    folder, prefix = run_folder(home, run), lines.id_prefix(run, stream)
    known = segments(folder, stream)
    following = intact_end(segment_path(folder, stream, known[-1]), prefix, known[-1])[1] if known else batches[0].first
    missing: list[bytes] = []
    for batch in batches:
        if batch.last >= following:
            found = lines.split(objects.raw_lines(archive, batch))
            missing += [line for line in found if lines.offset_of(line, prefix) >= following + len(missing)]
    if missing:
        path = segment_path(folder, stream, known[-1] if known else following)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with path.open("ab") as file:
            file.writelines(missing)
            file.flush()
            os.fsync(file.fileno())
    return len(missing)


def _check_target(into: Path, force: bool) -> None:
    home = Home(into)
    if into.is_symlink() or (into.exists() and not into.is_dir()):
        raise ConfigError(f"{into} is no folder", "choose another with --into")
    if os.path.ismount(into):
        raise ConfigError(
            f"{into} is where a disk is mounted, and nothing can be renamed to that",
            "restore --into a folder below it, and set TRON_HOME to that",
        )
    if disk.is_locked(home.shipper_lock) or any(is_alive(home, folder.name) for folder in _run_folders(home)):
        raise ConfigError(f"the home {into} is in use", "stop its bots and its shipper first")
    if has_records(home) and not force:
        raise ConfigError(
            f"the home {into} has records", "restore --into another folder, or say --force to set it aside"
        )


def _run_folders(home: Home) -> list[Path]:
    return [path for path in home.journal.iterdir() if path.is_dir()] if home.journal.is_dir() else []


def _check_whole(manifest: Manifest, files: list[FileEntry]) -> None:
    paths = {file.path for file in files}
    if len(files) != manifest.files or len(paths) != manifest.files:
        raise StoreRejected(f"the backup lists {len(paths)} files, and its manifest {manifest.files}", "use another")
    if sum(file.size for file in files) != manifest.bytes:
        raise StoreRejected("the backup lists files of another size than its manifest", "use another")


def _write_all(vault: Vault, files: list[FileEntry], top: Path, on_progress: Progress) -> None:
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir(mode=0o700, parents=True)
    needed, free = sum(file.size for file in files), shutil.disk_usage(top).free
    if needed > free:
        raise StoreUnavailable(f"the backup has {needed:,} bytes, and the disk {free:,} free", "free some space")
    for done, file in enumerate(files, 1):
        _write(vault, file, top / file.path)
        on_progress(done, len(files))
    for folder in {path.parent for path in (top / file.path for file in files)}:
        sync_folder(folder)


def _write(vault: Vault, file: FileEntry, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as target:
        for piece in file.pieces:
            content = _piece(vault, file, piece)
            digest.update(content)
            size += len(content)
            target.write(content)
        target.flush()
        os.fsync(descriptor)
    os.utime(path, ns=(file.mtime_ns, file.mtime_ns))
    if size != file.size or digest.hexdigest() != file.sha256:
        raise StoreRejected(f"{file.path} is not what was backed up: its pieces make another file", "use another")


def _piece(vault: Vault, file: FileEntry, piece: str) -> bytes:
    try:
        return vault.get(piece)
    except StoreUnavailable:
        raise
    except StoreError as error:
        raise StoreRejected(f"{file.path} cannot be restored: {error}", error.hint) from None


def _set_aside(into: Path) -> Path | None:
    """Rename what is there, unless it is an empty folder; nothing is deleted."""
    if not into.exists():
        return None
    if not any(into.iterdir()):
        into.rmdir()
        return None
    number = 1 + sum(1 for _ in into.parent.glob(f"{into.name}.old-*"))
    aside = into.with_name(f"{into.name}.old-{number}")
    os.rename(into, aside)
    return aside
