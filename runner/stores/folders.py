"""Private folders and locks, for the stores that lie on a disk. Files themselves: see `runner.files`."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.errors import StoreUnavailable
from runner.files import sync_folder

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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, waiting for it; the kernel releases it when the process dies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
