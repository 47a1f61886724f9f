"""The four store protocols, and the values that pass through them.

| protocol    | keeps                                         | embedded         | Google Cloud |
|-------------|-----------------------------------------------|------------------|--------------|
| `LiveStore` | the last state of everything, for dashboards  | SQLite           | Firestore    |
| `Archive`   | immutable objects, for ever                   | a directory      | GCS          |
| `Stream`    | messages, for whoever listens now             | memory           | Pub/Sub      |
| `Warehouse` | tables loaded from archive objects, for SQL   | Parquet + DuckDB | BigQuery     |

Every method raises `StoreUnavailable` when a later try may succeed and `StoreRejected` when this content never can.
Adapters hold no policy: no retries, no batching, no retention. They count what they do in `operations`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

JsonValue = Any
"""str, int, float, bool, None, or lists and string-keyed dictionaries of these. Money is a string."""


@dataclass(frozen=True, slots=True)
class Document:
    """The state of one thing, as the last record left it.

    `epoch` and `seq` order the writes of a key: a store never replaces a document by one with a smaller or equal
    `(epoch, seq)`. Readers never see a document whose `expire_at` has passed.
    """

    collection: str
    key: str
    fields: Mapping[str, JsonValue]
    epoch: int
    seq: int
    record_id: str
    expire_at: datetime


class Watch(Protocol):
    """Changes of some collections as they happen."""

    def next(self, timeout: float) -> list[Document]:
        """Documents changed since the last call, oldest change first; waits up to `timeout` seconds for the first.

        The first call returns every unexpired document, at once. Several changes of one document may arrive as
        its last state.
        """
        ...

    def close(self) -> None: ...


class LiveStore(Protocol):
    @property
    def operations(self) -> Counter[str]:
        """Counts since opening: `writes`, `reads`, `own_reads`, `deletes`, `commits`, `bytes`."""
        ...

    def commit(self, documents: Sequence[Document]) -> int:
        """Write all documents that are newer than what is stored, atomically; returns how many were."""
        ...

    def get(self, collection: str, key: str, *, now: datetime | None = None) -> Document | None:
        """One document, or None. With `now`, an expired document counts as absent."""
        ...

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
        """Unexpired documents whose fields equal `where`, ordered by one field (by key when empty), then by key.

        Documents without the field they are ordered by are left out.
        """
        ...

    def watch(self, collections: Sequence[str]) -> Watch: ...

    def delete_expired(self, *, now: datetime, limit: int = 500) -> int:
        """Delete up to `limit` documents whose `expire_at` has passed; returns how many."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What an archive knows of an object without reading it. `size` is bytes as stored."""

    bucket: str
    name: str
    size: int
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class LifecycleRule:
    """What happens to an object `days` after it was created: it is deleted, or moved to `storage_class`.

    A move may be for objects of more than `above` bytes only.
    """

    days: int
    storage_class: str = ""
    above: int = 0

    def __str__(self) -> str:
        if not self.storage_class:
            return f"delete after {self.days} days"
        size = f" when larger than {self.above} bytes" if self.above else ""
        return f"{self.storage_class} after {self.days} days{size}"


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A bucket's rules: those of our forms, and others (`foreign`) as the store writes them.

    `enforced` is whether the store itself carries the rules out; where it does not, the sweep does.
    """

    rules: tuple[LifecycleRule, ...] = ()
    foreign: tuple[str, ...] = ()
    enforced: bool = False


class Archive(Protocol):
    @property
    def operations(self) -> Counter[str]:
        """Counts since opening: `class_a` (create, list, set_lifecycle), `class_b` (read, stat, lifecycle),
        `deletes`, `bytes`."""
        ...

    def create(self, bucket: str, name: str, body: bytes, *, metadata: Mapping[str, str], content_type: str) -> None:
        """Create an object that must not exist: atomic and durable when it returns. Raises `ObjectExists`."""
        ...

    def read(self, bucket: str, name: str) -> bytes:
        """The stored bytes, as they were given. Raises `StoreError` when there is no such object."""
        ...

    def stat(self, bucket: str, name: str) -> ObjectInfo | None: ...

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """Objects whose name starts with `prefix`, in order of name, with their metadata. A missing bucket is empty."""
        ...

    def delete(self, bucket: str, name: str) -> None:
        """Delete an object; deleting an absent one is no error."""
        ...

    def lifecycle(self, bucket: str) -> Lifecycle | None:
        """A bucket's rules, or None when there is no such bucket."""
        ...

    def set_lifecycle(self, bucket: str, rules: Sequence[LifecycleRule]) -> None:
        """Replace the rules of our forms; foreign ones stay. Raises `StoreError` when there is no such bucket."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Message:
    """One record on its way to listeners. Messages of one `ordering_key` arrive in order."""

    ordering_key: str
    body: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)


def billed_bytes(message: Message) -> int:
    """What Pub/Sub bills of a message: its body, its key and attributes, its time and its id."""
    attributes = sum(len(name.encode()) + len(value.encode()) for name, value in message.attributes.items())
    return len(message.body) + len(message.ordering_key.encode()) + attributes + 40


class Stream(Protocol):
    @property
    def operations(self) -> Counter[str]:
        """Counts since opening: `messages`, `requests`, `bytes`, `bytes_billed`."""
        ...

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish all, in order; returns when the service has acknowledged every one."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Table:
    """The answer to a query. `rows` hold Python values, in the order of `columns`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Part:
    """One archive object to be loaded: where it lies, which table it belongs to, and its uncompressed NDJSON lines.

    One that is not `alone` was compacted: there is no object of its name, only its lines.
    """

    bucket: str
    name: str
    stream: str
    metadata: Mapping[str, str]
    lines: bytes
    alone: bool = True


class Warehouse(Protocol):
    @property
    def operations(self) -> Counter[str]:
        """Counts since opening: `loads`, `queries`, `rows`, `bytes`, `bytes_billed`."""
        ...

    def loaded(self, stream: str) -> frozenset[str]:
        """Names of the archive objects that are in the table already."""
        ...

    def load(self, parts: Sequence[Part]) -> int:
        """Load parts, each atomically; returns the records added. A part that was loaded already adds nothing."""
        ...

    def query(self, sql: str, parameters: Sequence[Any] = (), *, unshipped: Mapping[str, bytes] | None = None) -> Table:
        """Run one read-only statement. `unshipped` adds NDJSON lines, by stream, that are not loaded yet."""
        ...

    def close(self) -> None: ...
