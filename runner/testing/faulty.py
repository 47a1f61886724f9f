"""Stores that fail on demand. Each wraps a store and asks its `faults` before every operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from runner.stores.base import (
    Archive,
    Document,
    JsonValue,
    Lifecycle,
    LifecycleRule,
    LiveStore,
    Message,
    ObjectInfo,
    Stream,
    Watch,
)
from runner.testing.faults import Faults

Answer = TypeVar("Answer")


def _do(faults: Faults, operation: str, action: Callable[[], Answer]) -> Answer:
    fault = faults(operation)
    if fault is not None and not fault.after:
        raise fault.error
    answer = action()
    if fault is not None:
        raise fault.error
    return answer


class FaultyLiveStore:
    """A live store that fails in `commit`, `get`, `query` and `delete_expired`."""

    def __init__(self, inner: LiveStore, faults: Faults) -> None:
        self.inner = inner
        self.faults = faults

    @property
    def operations(self) -> Counter[str]:
        return self.inner.operations

    def commit(self, documents: Sequence[Document]) -> int:
        return _do(self.faults, "commit", lambda: self.inner.commit(documents))

    def get(self, collection: str, key: str, *, now: datetime | None = None) -> Document | None:
        return _do(self.faults, "get", lambda: self.inner.get(collection, key, now=now))

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
        def ask() -> list[Document]:
            return self.inner.query(
                collection, now=now, where=where, order_by=order_by, descending=descending, limit=limit
            )

        return _do(self.faults, "query", ask)

    def watch(self, collections: Sequence[str]) -> Watch:
        return self.inner.watch(collections)

    def delete_expired(self, *, now: datetime, limit: int = 500) -> int:
        return _do(self.faults, "delete_expired", lambda: self.inner.delete_expired(now=now, limit=limit))

    def close(self) -> None:
        self.inner.close()


class FaultyArchive:
    """An archive that fails in `create`, `read`, `stat`, `list`, `delete`, and with the lifecycle."""

    def __init__(self, inner: Archive, faults: Faults) -> None:
        self.inner = inner
        self.faults = faults

    @property
    def operations(self) -> Counter[str]:
        return self.inner.operations

    def create(self, bucket: str, name: str, body: bytes, *, metadata: Mapping[str, str], content_type: str) -> None:
        def create() -> None:
            self.inner.create(bucket, name, body, metadata=metadata, content_type=content_type)

        _do(self.faults, "create", create)

    def read(self, bucket: str, name: str) -> bytes:
        return _do(self.faults, "read", lambda: self.inner.read(bucket, name))

    def stat(self, bucket: str, name: str) -> ObjectInfo | None:
        return _do(self.faults, "stat", lambda: self.inner.stat(bucket, name))

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        return _do(self.faults, "list", lambda: self.inner.list(bucket, prefix))

    def delete(self, bucket: str, name: str) -> None:
        _do(self.faults, "delete", lambda: self.inner.delete(bucket, name))

    def lifecycle(self, bucket: str) -> Lifecycle | None:
        return _do(self.faults, "lifecycle", lambda: self.inner.lifecycle(bucket))

    def set_lifecycle(self, bucket: str, rules: Sequence[LifecycleRule]) -> None:
        _do(self.faults, "set_lifecycle", lambda: self.inner.set_lifecycle(bucket, rules))

    def close(self) -> None:
        self.inner.close()


class FaultyStream:
    """A stream that fails in `publish`."""

    def __init__(self, inner: Stream, faults: Faults) -> None:
        self.inner = inner
        self.faults = faults

    @property
    def operations(self) -> Counter[str]:
        return self.inner.operations

    def publish(self, messages: Sequence[Message]) -> None:
        _do(self.faults, "publish", lambda: self.inner.publish(messages))

    def close(self) -> None:
        self.inner.close()
