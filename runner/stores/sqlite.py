"""The embedded live store: one SQLite file that any number of processes read and write.

    documents(collection, key, fields, epoch, seq, record_id, expire_at, change)   one row a document
    feed(last)                                                                     one row: the last change's number

`fields` is JSON text, `expire_at` microseconds since 1970. Every write of a document takes the next number of the feed
as its `change`, so a watch reads the rows above its cursor, and the feed never grows. The file is a write-ahead log
database: readers never wait for a writer. It holds nothing that the archive does not hold.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

from runner.clock import Clock, SystemClock
from runner.errors import StoreUnavailable
from runner.stores.base import Document, JsonValue, Watch
from runner.stores.documents import check_names, decode_fields, encode_fields, json_types
from runner.stores.folders import failures_as_unavailable, locked, make_folders

FORMAT = 1
POLL_SECONDS = 0.05
BUSY_SECONDS = 5.0

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_TABLES = """
CREATE TABLE documents (
    collection TEXT NOT NULL, key TEXT NOT NULL, fields TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    record_id TEXT NOT NULL, expire_at INTEGER NOT NULL, change INTEGER NOT NULL, PRIMARY KEY (collection, key)
);
CREATE INDEX documents_by_change ON documents (change);
CREATE INDEX documents_by_expiry ON documents (expire_at);
CREATE TABLE feed (last INTEGER NOT NULL);
INSERT INTO feed VALUES (0);
"""

_UPSERT = """
INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (collection, key) DO UPDATE SET fields = excluded.fields, epoch = excluded.epoch, seq = excluded.seq,
    record_id = excluded.record_id, expire_at = excluded.expire_at, change = excluded.change
WHERE (excluded.epoch, excluded.seq) > (documents.epoch, documents.seq)
"""

_SELECT = "SELECT collection, key, fields, epoch, seq, record_id, expire_at FROM documents"

_REBUILD = "move the file away; `tron restore --live` rebuilds it from the archive"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_HINTS = {
    sqlite3.SQLITE_BUSY: "another process has held it for seconds: try again",
    sqlite3.SQLITE_LOCKED: "another process has held it for seconds: try again",
    sqlite3.SQLITE_FULL: "the disk is full: free some space, then try again",
    sqlite3.SQLITE_READONLY: "it may not be written: check the owner and permissions of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "check the owner and permissions of the file and its folder",
}


class SqliteLiveStore:
    """A `LiveStore` in the SQLite file `path`, made when there is none. Any number of threads may use it."""

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self.operations: Counter[str] = Counter()
        self.path = path
        self.clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._connection = _open(path)

    def count(self, **operations: int) -> None:
        """Add to `operations`, from any thread."""
        with self._lock:
            self.operations.update(operations)

    def commit(self, documents: Sequence[Document]) -> int:
        rows = [_row(document) for document in documents]
        with self._lock, _failures_as_unavailable(self.path), _transaction(self._connection, "IMMEDIATE") as connection:
            (last,) = connection.execute("SELECT last FROM feed").fetchone()
            numbered = [(*row, change) for change, row in enumerate(rows, last + 1)]
            written = max(0, connection.executemany(_UPSERT, numbered).rowcount)
            connection.execute("UPDATE feed SET last = ?", (last + len(rows),))
        self.count(commits=1, writes=written, bytes=sum(len(row[2].encode()) for row in rows))
        return written

    def get(self, collection: str, key: str, *, now: datetime | None = None) -> Document | None:
        after = -1 if now is None else _microseconds(now)
        found = self._read(f"{_SELECT} WHERE collection = ? AND key = ? AND expire_at > ?", (collection, key, after))
        return found[0] if found else None

    def query(
        self,
        collection: str,
        *,
        now: datetime,
        where: Mapping[str, JsonValue] | None = None,
        order_by: str = "",
        descending: bool = False,
        limit: int = 1000,
    ) -> list[Document]:
        conditions = ["collection = ?", "expire_at > ?"]
        parameters: list[Any] = [collection, _microseconds(now)]
        for name, value in (where or {}).items():
            types = json_types(value)
            conditions.append(f"json_type(fields, ?) IN ({_marks(types)}) AND json_extract(fields, ?) IS ?")
            parameters += [_path(name), *types, _path(name), value]
        order, order_parameters = _order(order_by, descending)
        if order_by:
            conditions.append("json_type(fields, ?) IS NOT NULL")
            parameters.append(_path(order_by))
        sql = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT ?"
        return self._read(sql, (*parameters, *order_parameters, limit))

    def _read(self, sql: str, parameters: Sequence[Any]) -> list[Document]:
        with self._lock, _failures_as_unavailable(self.path):
            rows = self._connection.execute(sql, parameters).fetchall()
        self.count(reads=max(1, len(rows)))
        return [_document(row) for row in rows]

    def watch(self, collections: Sequence[str]) -> Watch:
        return _SqliteWatch(self, collections)

    def delete_expired(self, *, now: datetime, limit: int = 500) -> int:
        page = "SELECT rowid FROM documents WHERE expire_at <= ? ORDER BY expire_at LIMIT ?"
        with self._lock, _failures_as_unavailable(self.path), _transaction(self._connection, "IMMEDIATE") as connection:
            parameters = (_microseconds(now), limit)
            deleted = connection.execute(f"DELETE FROM documents WHERE rowid IN ({page})", parameters).rowcount
        self.count(deletes=deleted)
        return deleted

    def close(self) -> None:
        with self._lock:
            self._connection.close()


class _SqliteWatch:
    """Asks the file's version number, which costs next to nothing, and reads only when another connection wrote."""

    def __init__(self, store: SqliteLiveStore, collections: Sequence[str]) -> None:
        self._store = store
        self._collections = tuple(collections)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._connection = _open(store.path)
        self._cursor = 0
        self._version: int | None = None

    def next(self, timeout: float) -> list[Document]:
        first = self._version is None
        for _ in range(ceil(max(timeout, 0) / POLL_SECONDS) + 1):
            documents = self._changes()
            if documents or first or self._closed.wait(min(POLL_SECONDS, timeout)):
                return documents
        return []

    def _changes(self) -> list[Document]:
        with self._lock, _failures_as_unavailable(self._store.path):
            if self._closed.is_set() or not self._has_new_version():
                return []
            with _transaction(self._connection, "DEFERRED") as connection:
                (last,) = connection.execute("SELECT last FROM feed").fetchone()
                sql = f"{_SELECT} WHERE change > ? AND collection IN ({_marks(self._collections)}) AND expire_at > ?"
                parameters = (self._cursor, *self._collections, _microseconds(self._store.clock.now()))
                rows = connection.execute(f"{sql} ORDER BY change", parameters).fetchall()
        self._cursor = last
        self._store.count(reads=len(rows))
        return [_document(row) for row in rows]

    def _has_new_version(self) -> bool:
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        changed: bool = version != self._version
        self._version = version
        return changed

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            self._connection.close()


def _open(path: Path) -> sqlite3.Connection:
    with failures_as_unavailable(path), _failures_as_unavailable(path):
        make_folders(path.parent)
        with locked(path.parent):
            if not path.exists():
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                _prepare(connection, path)
            except BaseException:
                connection.close()
                raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
    elif version != FORMAT:
        raise StoreUnavailable(
            f"{path} has format {version}, this version reads format {FORMAT}",
            _REBUILD,
        )


@contextmanager
def _transaction(connection: sqlite3.Connection, mode: str) -> Iterator[sqlite3.Connection]:
    connection.execute(f"BEGIN {mode}")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _failures_as_unavailable(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            raise StoreUnavailable(f"{path} is damaged: {error}", _REBUILD) from error
        raise StoreUnavailable(f"{path}: {error}", _HINTS.get(code, "check the disk, then try again")) from error


def _row(document: Document) -> tuple[str, str, str, int, int, str, int]:
    return (
        document.collection,
        document.key,
        encode_fields(document),
        document.epoch,
        document.seq,
        document.record_id,
        _microseconds(document.expire_at),
    )


def _document(row: tuple[str, str, str, int, int, str, int]) -> Document:
    collection, key, fields, epoch, seq, record_id, expire_at = row
    expiry = _EPOCH + expire_at * _MICROSECOND
    return Document(collection, key, decode_fields(fields), epoch, seq, record_id, expiry)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _path(name: str) -> str:
    check_names(name)
    return f'$."{name}"'


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _order(name: str, descending: bool) -> tuple[str, tuple[str, ...]]:
    direction = "DESC" if descending else "ASC"
    if not name:
        return f"key {direction}", ()
    return f"json_extract(fields, ?) {direction}, key {direction}", (_path(name),)
