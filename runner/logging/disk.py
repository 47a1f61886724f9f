"""The journal's disk: allocation, syncing, replacement, locks. What it refuses becomes a `JournalError`."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from runner.errors import JournalError, JournalFull
from runner.files import replace as replace_file

_KEEP_SIZE = 1
_FULL = (errno.ENOSPC, errno.EDQUOT)
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def allocate(descriptor: int, size: int) -> None:
    """Make a file `size` bytes long with every byte backed by disk. Raises `JournalFull`."""
    with failures_as_journal_errors():
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:
            write_at(descriptor, memoryview(bytes(size)), 0)


def reserve(descriptor: int, start: int, length: int) -> None:
    """Back `[start, start + length)` by disk without changing the file's size. Raises `JournalFull`.

    Where the system cannot reserve (not Linux), the write itself meets the full disk.
    """
    if _libc is None:
        return
    arguments = (ctypes.c_int(descriptor), ctypes.c_int(_KEEP_SIZE), ctypes.c_int64(start), ctypes.c_int64(length))
    if _libc.fallocate(*arguments) != 0 and ctypes.get_errno() in _FULL:
        raise _explained(OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno())))


def write_at(descriptor: int, content: memoryview, position: int) -> None:
    """Write all of `content` at a place in a file. Raises `JournalError`."""
    done = 0
    with failures_as_journal_errors():
        while done < len(content):
            done += os.pwrite(descriptor, content[done:] if done else content, position + done)


def sync_data(descriptor: int) -> None:
    """Wait until the file's bytes (and its size) are on disk. Raises `JournalError`."""
    with failures_as_journal_errors():
        if hasattr(os, "fdatasync"):
            os.fdatasync(descriptor)
        else:
            os.fsync(descriptor)


def replace(path: Path, content: bytes) -> None:
    """Replace a file atomically and durably (see `runner.files`). Raises `JournalError`; then it is what it was."""
    with failures_as_journal_errors():
        replace_file(path, content)


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


@contextlib.contextmanager
def failures_as_journal_errors() -> Iterator[None]:
    """What the system refuses, in the words of the error tree: `JournalFull` for a full disk, else `JournalError`."""
    try:
        yield
    except OSError as error:
        raise _explained(error) from None


def _explained(error: OSError) -> JournalError:
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return JournalFull(f"the journal's disk is full: {reason}", "free some space; unshipped records are kept")
    return JournalError(f"the journal's disk failed: {reason}", "see `tron doctor`, and the system's log")
