"""The live store on Google Cloud Firestore, in native mode. `firestore_encoding` says how documents lie there.

A commit holds at most 3.5 MB, so that it fits everywhere (the emulator refuses 4 MiB, Google 10 MiB): a larger one is
made in parts, each of them atomic. Each write says which state it replaces: see `firestore_versions`.

Google bills documents, not calls: `writes`, `deletes`, and `reads` of whoever asked. What the store reads for itself
(keys whose write was refused, names of expired documents) is billed too, and counted apart as `own_reads`. `bytes` are
those of the fields as they are sent: measuring a whole request takes as long as sending it.

Queries leave expired documents out here, not there: asking Firestore for it would take an index for each of them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import datetime

from runner.clock import Clock, SystemClock
from runner.errors import StoreError, StoreUnavailable
from runner.stores.base import Document, JsonValue, Watch
from runner.stores.documents import check_names
from runner.stores.firestore_calls import Changed, FirestoreCalls
from runner.stores.firestore_encoding import EPOCH, SEQ, collection_id, decode, path
from runner.stores.firestore_queries import Page, expired_query
from runner.stores.firestore_versions import KEPT, Candidate, Part, Version, Versions, parts, version_of
from runner.stores.firestore_watch import PATIENCE, FirestoreWatch
from runner.stores.write_ramp import WriteRamp

_PAGE = 500
_ATTEMPTS = 10


class FirestoreLiveStore:
    """A `LiveStore` in a database. Any number of threads may use it, and any number of processes may have their own.

    Each call ends within `timeout` seconds, a commit within three times that; with a `ramp`, after it let it pass.
    `kept` is how many keys the store knows the last state of, `patience` how many seconds a watch waits for news of any
    bot before it listens anew. Raises `ConfigError` where there are no credentials.
    """

    def __init__(
        self,
        project: str,
        database: str = "(default)",
        *,
        clock: Clock | None = None,
        timeout: float = 10.0,
        ramp: WriteRamp | None = None,
        kept: int = KEPT,
        patience: float = PATIENCE,
    ) -> None:
        self.operations: Counter[str] = Counter()
        self.clock: Clock = clock or SystemClock()
        self._timeout = timeout
        self._ramp = ramp
        self._patience = patience
        self._calls = FirestoreCalls(project, database, timeout=timeout)
        self._versions = Versions(kept)
        self._turn = threading.Condition()
        self._busy: set[str] = set()
        self._counting = threading.Lock()
        self._written: dict[str, int] = {}
        self._watches: list[FirestoreWatch] = []

    def count(self, **operations: int) -> None:
        """Add to `operations`, from any thread."""
        with self._counting:
            self.operations.update(operations)

    def commit(self, documents: Sequence[Document]) -> int:
        wanted = parts(self._calls.database, self._calls.root, documents)
        self.count(commits=1)
        deadline = time.monotonic() + 3 * self._timeout
        written = 0
        for part in wanted:
            deadline += self._ramp.wait(len(part.candidates)) if self._ramp is not None else 0.0
            written += self._commit(part, deadline)
        return written

    def _commit(self, part: Part, deadline: float) -> int:
        """Write what is newer, atomically; what changed in between is read, and compared again."""
        with self._alone_with({one.name for one in part.candidates}):
            seen = self._versions.of(one.name for one in part.candidates)
            for _ in range(_ATTEMPTS):
                newer = [one for one in part.candidates if one.newer_than(seen.get(one.name))]
                if not newer:
                    return 0
                try:
                    return self._write(part, newer, seen, deadline)
                except Changed:
                    seen |= self._look_up([one.name for one in newer], deadline)
        raise StoreUnavailable("other writers change the same documents all the time", "it is tried again")

    def _write(
        self, part: Part, newer: Sequence[Candidate], seen: Mapping[str, Version | None], deadline: float
    ) -> int:
        for one in newer:
            one.replaces(seen.get(one.name))
        request = part.asking_for(newer)
        try:
            times, committed = self._calls.commit(request, timeout=deadline - time.monotonic())
        except StoreError:
            self._versions.forget(one.name for one in newer)
            raise
        for one, updated in zip(newer, times, strict=True):
            self._versions.remember(one.name, Version(one.order, updated))
        self._written.update(dict.fromkeys((one.name.rsplit("/", 2)[1] for one in newer), committed))
        self.count(writes=len(newer), bytes=sum(one.size for one in newer))
        return sum(one.newer_than(seen.get(one.name)) for one in newer)

    def _look_up(self, names: Sequence[str], deadline: float) -> dict[str, Version | None]:
        """How these documents are stored now; None for those that are not."""
        self.count(own_reads=len(names))
        stored = self._calls.read(names, only=(EPOCH, SEQ), timeout=deadline - time.monotonic())
        found = {message.name: version_of(message) for message in stored}
        for name in names:
            self._versions.remember(name, found.get(name))
        return {name: found.get(name) for name in names}

    @contextmanager
    def _alone_with(self, names: Set[str]) -> Iterator[None]:
        """Hold off other threads that write to the same keys."""
        with self._turn:
            self._turn.wait_for(lambda: self._busy.isdisjoint(names))
            self._busy |= names
        try:
            yield
        finally:
            with self._turn:
                self._busy -= names
                self._turn.notify_all()

    def get(self, collection: str, key: str, *, now: datetime | None = None) -> Document | None:
        found = self._calls.read([path(self._calls.root, collection, key)])
        self.count(reads=1)
        document = decode(found[0]) if found else None
        if document is None or (now is not None and document.expire_at <= now):
            return None
        return document

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
        check_names(*(where or {}), *filter(None, [order_by]))
        page = Page(collection, where or {}, order_by, descending)
        found: list[Document] = []
        read, last = 0, None
        while len(found) < limit:
            size = min(limit - len(found), _PAGE)
            messages = self._calls.query(page.after(last, size))
            read += len(messages)
            found += [document for document in map(decode, messages) if document.expire_at > now]
            if len(messages) < size:
                break
            last = messages[-1]
        self.count(reads=max(1, read))
        return found

    def watch(self, collections: Sequence[str]) -> Watch:
        watch = FirestoreWatch(
            self._calls,
            collections,
            clock=self.clock,
            written=self._last_write,
            count=self.count,
            patience=self._patience,
        )
        self._watches = [*(one for one in self._watches if not one.is_closed), watch]
        return watch

    def _last_write(self, collections: Sequence[str]) -> int:
        """When this store last wrote to one of these collections, in Firestore's nanoseconds."""
        return max((self._written.get(collection_id(one), 0) for one in collections), default=0)

    def delete_expired(self, *, now: datetime, limit: int = 500) -> int:
        deleted = 0
        for collection in self._calls.collections():
            while deleted < limit and (count := self._delete_page(collection, now, min(limit - deleted, _PAGE))):
                deleted += count
        return deleted

    def _delete_page(self, collection: str, now: datetime, size: int) -> int:
        """Delete a page of documents, but for those that are written to in between."""
        for _ in range(_ATTEMPTS):
            found = self._calls.query(expired_query(collection, now, size))
            self.count(own_reads=max(1, len(found)))
            if not found:
                return 0
            try:
                self._calls.delete(found)
            except Changed:
                continue
            self._versions.forget(message.name for message in found)
            self.count(deletes=len(found))
            return len(found)
        raise StoreUnavailable("expired documents are written to all the time", "it is tried again")

    def close(self) -> None:
        for watch in self._watches:
            watch.close()
        self._calls.close()
