"""Durable files in private folders, for the stores that lie on a disk.

A file appears whole or not at all: it is written under another name, synced, renamed, and its folder is synced.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.errors import StoreUnavailable

_HINTS = {
    errno.ENOSPC: "the disk is full: free some space, then try again",
    errno.EDQUOT: "the disk quota is used up: free some space, then try again",
    errno.EROFS: "the disk is mounted read-only: choose another folder with TRON_HOME or the store's URL",
    errno.EACCES: "this user may not use the folder: check its owner and permissions",
    errno.EPERM: "this user may not use the folder: check its owner and permissions",
}


@contextmanager
def failures_as_unavailable(place: Path) -> Iterator[None]:
    """Turn what the operating system refuses into `StoreUnavailable`, with what to do about it."""
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "check the disk, then try again")
        raise StoreUnavailable(f"{place}: {error.strerror or error}", hint) from error


def make_folders(folder: Path) -> None:
    """Make a folder and its missing parents, private and durable."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, waiting for it; the kernel releases it when the process dies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes | memoryview) -> None:
    """Write a private file and sync it; what was there before is gone. On failure no file is left."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def publish(temporary: Path, path: Path) -> None:
    """Give a synced file its name, durably. The folder of `path` exists."""
    os.rename(temporary, path)
    sync_folder(path.parent)
