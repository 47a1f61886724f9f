"""A consistent copy of an embedded live store that is being written, by SQLite's own backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from runner.errors import StoreUnavailable

_BUSY_SECONDS = 10.0


def copy_database(path: Path, target: Path) -> None:
    """Copy the SQLite file `path` to `target`, which must not exist, in one piece. Raises `StoreUnavailable`."""
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as source,
            closing(sqlite3.connect(target, timeout=_BUSY_SECONDS)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        hint = "move the file away; `tron restore --live` rebuilds it from the archive"
        raise StoreUnavailable(f"{path} cannot be copied: {error}", hint) from None


def check_database(path: Path) -> str:
    """What SQLite finds wrong with a file; "" where nothing is."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = str(connection.execute("PRAGMA quick_check").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)
    return "" if found == "ok" else found
