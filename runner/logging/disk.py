"""Durable files: allocation, atomic replacement, locks.

A file is replaced by writing a temporary one, syncing it, renaming it and syncing the folder, in this order.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sys
from pathlib import Path

from runner.errors import JournalFull

_KEEP_SIZE = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def allocate(descriptor: int, size: int) -> None:
    """Make a file `size` bytes long with every byte backed by disk. Raises `JournalFull`."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:
            os.pwrite(descriptor, bytes(size), 0)
    except OSError as error:
        raise _full(error) from None


def reserve(descriptor: int, start: int, length: int) -> None:
    """Back `[start, start + length)` by disk without changing the file's size. Raises `JournalFull`.

    Where the system cannot reserve (not Linux), the write itself meets the full disk.
    """
    if _libc is None:
        return
    arguments = (ctypes.c_int(descriptor), ctypes.c_int(_KEEP_SIZE), ctypes.c_int64(start), ctypes.c_int64(length))
    if _libc.fallocate(*arguments) != 0 and ctypes.get_errno() in (errno.ENOSPC, errno.EDQUOT):
        raise _full(OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno())))


def sync_data(descriptor: int) -> None:
    """Wait until the file's bytes (and its size) are on disk."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes) -> None:
    """Replace a file atomically and durably: readers see the old content or the new, also after a loss of power."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    sync_folder(path.parent)


class FileLock:
    """An exclusive lock that the kernel releases when its process dies. Closed in forked children, not inherited."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self) -> bool:
        """Take the lock if it is free; never waits."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lock back. In a forked child this only closes the copy: the parent keeps its lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock. Looking never takes it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _full(error: OSError) -> JournalFull:
    return JournalFull(f"the journal's disk is full: {error.strerror}", "free some space; unshipped records are kept")
