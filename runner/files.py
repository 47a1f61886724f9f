"""Durable files: they appear whole or not at all, also after a loss of power.

A file is written under another name, synced, renamed, and its folder is synced. What the system refuses is `OSError`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes | memoryview) -> None:
    """Write a private file (0600) and sync it; what was there before is gone. On failure no file is left."""
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


def replace(path: Path, content: bytes) -> None:
    """Replace a file: readers see the old content or the new. When it fails, the file is what it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        write(temporary, content)
        publish(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
