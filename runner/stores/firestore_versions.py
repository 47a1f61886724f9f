"""What is known of documents in Firestore, and which documents are newer than that.

A document must never be replaced by an older state, whoever else writes: another process, a recovery, an old journal
that was found late. So every write says which state it replaces: "none" for a key that was never seen, otherwise the
time of the last update that was seen. Where that is not so, Firestore refuses the whole commit; then the keys are read
and what is stale by now is dropped. Nothing is read before that, because most keys are new.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from google.cloud.firestore_v1 import types

from runner.stores.base import Document
from runner.stores.firestore_encoding import ORDER_BYTES, Message, encode, order_of, path

KEPT = 50_000
COMMIT_BYTES = 3_500_000
COMMIT_DOCUMENTS = 500

_Write: Message = types.Write.pb()
_Request: Message = types.CommitRequest.pb()

Order = tuple[int, int]
"""Epoch and seq."""


@dataclass(frozen=True, slots=True)
class Version:
    """A stored state: its order, and when Firestore took it, in nanoseconds."""

    order: Order
    updated: int


@dataclass(slots=True)
class Candidate:
    """The newest of the states that one commit has for a key: its `Write`, the bytes of its fields, and the orders of
    all of them in turn."""

    name: str
    write: Message
    size: int
    orders: list[Order]

    @property
    def order(self) -> Order:
        return max(self.orders)

    def replaces(self, version: Version | None) -> None:
        """Let the write say what it replaces: this version and no other, or nothing."""
        condition = self.write.current_document
        if version is None:
            condition.exists = False
        else:
            condition.update_time.FromNanoseconds(version.updated)

    def newer_than(self, version: Version | None) -> int:
        """How many of the states are newer than the one before them, where `version` is before the first."""
        newest, count = version.order if version else None, 0
        for order in self.orders:
            if newest is None or order > newest:
                newest, count = order, count + 1
        return count


class Versions:
    """The last `kept` keys that were seen. A key that is forgotten is looked up when its next write is refused."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._known: dict[str, Version] = {}

    def of(self, names: Iterable[str]) -> dict[str, Version | None]:
        """What is known of these."""
        with self._lock:
            return {name: self._known.get(name) for name in names}

    def remember(self, name: str, version: Version | None) -> None:
        """None for a key that has no document."""
        with self._lock:
            self._known.pop(name, None)
            if version is not None:
                self._known[name] = version
            if len(self._known) > self._kept:
                del self._known[next(iter(self._known))]

    def forget(self, names: Iterable[str]) -> None:
        with self._lock:
            for name in names:
                self._known.pop(name, None)


@dataclass(frozen=True, slots=True)
class Part:
    """What one request can commit: the request, whose writes are those of the candidates."""

    request: Message
    candidates: list[Candidate]

    def asking_for(self, chosen: Sequence[Candidate]) -> Message:
        """The request for all of the candidates, or for some."""
        if len(chosen) == len(self.candidates):
            return self.request
        return _Request(database=self.request.database, writes=[one.write for one in chosen])


def version_of(message: Message) -> Version:
    """The version of a Firestore document that was read."""
    return Version(order_of(message), message.update_time.ToNanoseconds())


def parts(database: str, root: str, documents: Sequence[Document]) -> list[Part]:
    """Documents as requests that fit, one candidate a key. Raises `StoreRejected` for a document that is not JSON."""
    states: dict[str, list[Document]] = {}
    for document in documents:
        states.setdefault(path(root, document.collection, document.key), []).append(document)
    packing = _Packing(database)
    for name, found in states.items():
        newest = max(found, key=_order) if len(found) > 1 else found[0]
        for other in found:
            if other is not newest:
                encode(other, name, _Write())
        packing.add(name, newest, [_order(one) for one in found])
    return packing.parts


class _Packing:
    """Fills requests, one after the other. A write is made where it is sent from: copying it costs as much as a
    quarter of making it."""

    def __init__(self, database: str) -> None:
        self.parts: list[Part] = []
        self._database = database
        self._room = 0

    def add(self, name: str, document: Document, orders: list[Order]) -> None:
        if not self.parts or len(self.parts[-1].candidates) == COMMIT_DOCUMENTS:
            self._begin()
        writes = self.parts[-1].request.writes
        write = writes.add()
        size = encode(document, name, write)
        if size + ORDER_BYTES > self._room and len(writes) > 1:
            self._begin()
            moved = self.parts[-1].request.writes.add()
            moved.CopyFrom(write)
            del writes[-1]
            write = moved
        self._room -= size + ORDER_BYTES
        self.parts[-1].candidates.append(Candidate(name, write, size, orders))

    def _begin(self) -> None:
        self.parts.append(Part(_Request(database=self._database), []))
        self._room = COMMIT_BYTES


def _order(document: Document) -> Order:
    return document.epoch, document.seq
