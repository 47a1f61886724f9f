"""Stores in memory, gone with the process: bots under test and notebooks use them as they use the real ones."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from runner.clock import Clock, SystemClock
from runner.errors import ObjectExists, StoreError
from runner.stores.base import (
    Document,
    JsonValue,
    Lifecycle,
    LifecycleRule,
    Message,
    ObjectInfo,
    Watch,
    billed_bytes,
)
from runner.stores.documents import check_names, decode_fields, encode_fields, json_types

_SORTS_AS = {"null": 0, "false": 1, "true": 1, "integer": 1, "real": 1, "text": 2}


class MemoryLiveStore:
    """A `LiveStore` in a dictionary."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.operations: Counter[str] = Counter()
        self.clock: Clock = clock or SystemClock()
        self.changed = threading.Condition()
        self._documents: dict[tuple[str, str], tuple[int, Document]] = {}
        self._changes = 0

    def commit(self, documents: Sequence[Document]) -> int:
        texts = [encode_fields(document) for document in documents]
        with self.changed:
            written = sum(self._put(document, text) for document, text in zip(documents, texts, strict=True))
            self.operations.update(commits=1, writes=written, bytes=sum(len(text.encode()) for text in texts))
            self.changed.notify_all()
        return written

    def _put(self, document: Document, text: str) -> bool:
        place = (document.collection, document.key)
        if place in self._documents:
            stored = self._documents[place][1]
            if (document.epoch, document.seq) <= (stored.epoch, stored.seq):
                return False
        self._changes += 1
        self._documents[place] = (self._changes, replace(document, fields=decode_fields(text)))
        return True

    def get(self, collection: str, key: str, *, now: datetime | None = None) -> Document | None:
        with self.changed:
            self.operations["reads"] += 1
            _, document = self._documents.get((collection, key), (0, None))
        if document is None or (now is not None and document.expire_at <= now):
            return None
        return _copy(document)

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
        wanted = dict(where or {})
        check_names(*wanted, *filter(None, [order_by]))
        types = {name: json_types(value) for name, value in wanted.items()}
        found = [
            document
            for document in self._unexpired([collection], now)
            if all(_type(document, name) in types[name] and document.fields[name] == wanted[name] for name in wanted)
            and (not order_by or order_by in document.fields)
        ]
        found.sort(key=lambda document: (_sort_value(document, order_by), document.key), reverse=descending)
        with self.changed:
            self.operations["reads"] += max(1, len(found[:limit]))
        return [_copy(document) for document in found[:limit]]

    def _unexpired(self, collections: Sequence[str], now: datetime, after: int = 0) -> list[Document]:
        with self.changed:
            rows = [row for row in self._documents.values() if row[0] > after]
        rows.sort(key=lambda row: row[0])
        return [document for _, document in rows if document.collection in collections and document.expire_at > now]

    def changes_after(self, cursor: int, collections: Sequence[str]) -> tuple[int, list[Document]]:
        """The last change's number, and the unexpired documents that changed after `cursor`, oldest change first."""
        with self.changed:
            changed = self._unexpired(collections, self.clock.now(), cursor)
            return self._changes, [_copy(document) for document in changed]

    def watch(self, collections: Sequence[str]) -> Watch:
        return _MemoryWatch(self, collections)

    def delete_expired(self, *, now: datetime, limit: int = 500) -> int:
        with self.changed:
            expired = [place for place, (_, document) in self._documents.items() if document.expire_at <= now]
            for place in expired[:limit]:
                del self._documents[place]
            self.operations["deletes"] += len(expired[:limit])
        return len(expired[:limit])

    def close(self) -> None:
        """Nothing to do: the documents stay readable."""


class _MemoryWatch:
    def __init__(self, store: MemoryLiveStore, collections: Sequence[str]) -> None:
        self._store = store
        self._collections = tuple(collections)
        self._cursor = 0
        self._started = False
        self._closed = False

    def next(self, timeout: float) -> list[Document]:
        with self._store.changed:
            if self._started:
                self._store.changed.wait_for(self._has_news, timeout)
            self._started = True
            if self._closed:
                return []
            self._cursor, documents = self._store.changes_after(self._cursor, self._collections)
            self._store.operations["reads"] += len(documents)
        return documents

    def _has_news(self) -> bool:
        return self._closed or bool(self._store.changes_after(self._cursor, self._collections)[1])

    def close(self) -> None:
        with self._store.changed:
            self._closed = True
            self._store.changed.notify_all()


class MemoryArchive:
    """An `Archive` in a dictionary."""

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._buckets: dict[str, dict[str, tuple[ObjectInfo, bytes]]] = {}
        self._rules: dict[str, tuple[LifecycleRule, ...]] = {}

    def create(self, bucket: str, name: str, body: bytes, *, metadata: Mapping[str, str], content_type: str) -> None:
        with self._lock:
            objects = self._buckets.setdefault(bucket, {})
            self.operations["class_a"] += 1
            if name in objects:
                raise ObjectExists(f"{bucket}/{name} exists")
            objects[name] = (ObjectInfo(bucket, name, len(body), dict(metadata)), bytes(body))
            self.operations["bytes"] += len(body)

    def read(self, bucket: str, name: str) -> bytes:
        with self._lock:
            self.operations["class_b"] += 1
            objects = self._buckets.get(bucket, {})
            if name not in objects:
                raise StoreError(f"there is no object {bucket}/{name}")
            self.operations["read_bytes"] += len(objects[name][1])
            return objects[name][1]

    def stat(self, bucket: str, name: str) -> ObjectInfo | None:
        with self._lock:
            self.operations["class_b"] += 1
            info, _ = self._buckets.get(bucket, {}).get(name, (None, b""))
            return info

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        with self._lock:
            self.operations["class_a"] += 1
            objects = self._buckets.get(bucket, {})
            names = sorted(objects)
            found = [objects[name][0] for name in names[bisect_left(names, prefix) :] if name.startswith(prefix)]
        return iter(found)

    def delete(self, bucket: str, name: str) -> None:
        with self._lock:
            self.operations["deletes"] += 1
            self._buckets.get(bucket, {}).pop(name, None)

    def lifecycle(self, bucket: str) -> Lifecycle | None:
        with self._lock:
            self.operations["class_b"] += 1
            return Lifecycle(self._rules.get(bucket, ())) if bucket in self._buckets else None

    def set_lifecycle(self, bucket: str, rules: Sequence[LifecycleRule]) -> None:
        """Rules are kept and not carried out: the sweep does that."""
        with self._lock:
            self.operations["class_a"] += 1
            if bucket not in self._buckets:
                raise StoreError(f"there is no bucket {bucket}", "it is made with its first object")
            self._rules[bucket] = tuple(sorted(rules))

    def close(self) -> None:
        """Nothing to do: the objects stay readable."""


class MemoryStream:
    """A `Stream` that keeps the last `keep` messages for whoever looks."""

    def __init__(self, keep: int = 10_000) -> None:
        self.operations: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._messages: deque[Message] = deque(maxlen=keep)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The last messages, oldest first."""
        with self._lock:
            return tuple(self._messages)

    def publish(self, messages: Sequence[Message]) -> None:
        with self._lock:
            self._messages.extend(messages)
            size = sum(len(message.body) for message in messages)
            billed = max(1000, sum(map(billed_bytes, messages)))
            self.operations.update(requests=1, messages=len(messages), bytes=size, bytes_billed=billed)

    def close(self) -> None:
        """Nothing to do: the messages stay readable."""


def _copy(document: Document) -> Document:
    return replace(document, fields=decode_fields(encode_fields(document)))


def _type(document: Document, name: str) -> str:
    value = document.fields.get(name, ...)
    if isinstance(value, (list, dict)) or value is ...:
        return ""
    return json_types(value)[0]


def _sort_value(document: Document, order_by: str) -> tuple[int, JsonValue]:
    if not order_by:
        return (0, 0)
    kind = _type(document, order_by)
    return (_SORTS_AS.get(kind, 3), 0 if kind in ("null", "") else document.fields[order_by])
