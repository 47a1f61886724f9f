"""Changes of collections in Firestore, as they happen.

One stream of the API listens to all collections. It begins with every document, then tells each change, and from time
to time that all changes up to some moment were told: only then are they passed on, so the documents of a commit arrive
together. A stream that breaks is opened again. Then every document comes once more, and those that did not change are
passed over; that the first answer may be empty means nothing, because a watch tells of documents and never of absence.

A stream can also fall silent without breaking. Bots write their status every few seconds, so these documents are the
canary: when none has changed for 90 seconds the stream is opened anew. Where there is really nothing going on, that
would read every document every 90 seconds, so the patience doubles each time, up to half an hour, until one changes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from google.cloud.firestore_v1 import types

from runner.clock import Clock
from runner.errors import StoreError, StoreUnavailable
from runner.stores.base import Document
from runner.stores.firestore_calls import FirestoreCalls, Listening
from runner.stores.firestore_encoding import Message, collection_id, decode

CANARY = "live_system_status"
PATIENCE, LONGEST_PATIENCE = 90.0, 1800.0
_SECONDS_TO_ANSWER = 10.0
_SECONDS_TO_SETTLE = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
_SECONDS_TO_END = 5.0
_SECONDS_THAT_PROVE_A_STREAM = 60.0

_Kind = types.TargetChange.TargetChangeType


class Count(Protocol):
    def __call__(self, **operations: int) -> None: ...


@dataclass(slots=True)
class _Target:
    """One collection: the update time of each document that was told, and of those before a reset."""

    told: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    current: bool = False

    def reset(self) -> None:
        """All documents are about to come again."""
        self.before |= self.told
        self.told = {}
        self.current = False

    def is_news(self, name: str, updated: int) -> bool:
        known = self.told.get(name) or self.before.get(name)
        self.told[name] = updated
        return known != updated

    def complete(self) -> None:
        self.current = True
        self.before = {}


class FirestoreWatch:
    """A `Watch`. `written` tells when this process last wrote to the collections: that much is always told at once.

    The stream is opened anew when no canary was heard for `patience` seconds.
    """

    def __init__(
        self,
        calls: FirestoreCalls,
        collections: Sequence[str],
        *,
        clock: Clock,
        written: Callable[[Sequence[str]], int],
        count: Count,
        patience: float = PATIENCE,
    ) -> None:
        self._calls = calls
        self._collections = tuple(dict.fromkeys(collections))
        self._clock = clock
        self._written = written
        self._count = count
        self._canary = CANARY if CANARY in self._collections else ""
        self._targets = {number: _Target() for number, _ in enumerate(self._collections, 1)}
        self._changed = threading.Condition()
        self._coming: dict[str, tuple[int, int, Message]] = {}
        self._news: dict[str, tuple[int, int, Message]] = {}
        self._up_to = 0
        self._failures = 0
        self._trouble: StoreError | None = None
        self._started = self._closed = False
        self._first_patience = self._patience = patience
        self._heard = self._asked = clock.monotonic()
        self._stream: Listening | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="firestore-watch", daemon=True)
        self._thread.start()

    def next(self, timeout: float) -> list[Document]:
        """Raises `StoreUnavailable` while Firestore does not answer, `StoreError` when it refuses."""
        with self._changed:
            self._mind_the_canary()
            first, self._started = not self._started, True
            if first:
                self._changed.wait_for(lambda: self._up_to or self._trouble or self._closed, _SECONDS_TO_ANSWER)
            else:
                self._changed.wait_for(lambda: self._news or self._closed, max(0.0, timeout))
            if self._closed:
                return []
            self._raise_trouble(first)
            if first or self._news:
                self._changed.wait_for(self._has_settled, _SECONDS_TO_SETTLE)
            news, self._news = self._news, {}
        return self._documents(news)

    @property
    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._end.set()
            self._cancel()
            self._changed.notify_all()
        self._thread.join(_SECONDS_TO_END)

    def _documents(self, news: dict[str, tuple[int, int, Message]]) -> list[Document]:
        now = self._clock.now()
        ordered = sorted(news.values(), key=lambda one: (one[0], one[1], one[2].name))
        documents = [document for document in (decode(message) for *_, message in ordered) if document.expire_at > now]
        self._count(reads=len(ordered))
        return documents

    def _raise_trouble(self, first: bool) -> None:
        silent = first and not self._up_to
        silent |= not self._is_current() and self._clock.monotonic() - self._asked > _SECONDS_TO_ANSWER
        if self._trouble is not None:
            raise self._trouble
        if not self._thread.is_alive():
            raise StoreUnavailable("nothing listens to Firestore any more", "open another watch")
        if silent:
            raise StoreUnavailable("Firestore does not answer: no documents came", "is the network up?")

    def _has_settled(self) -> bool:
        """Whether all that this process wrote has come, and nothing is half told."""
        return self._closed or self._up_to >= self._written(self._collections)

    def _mind_the_canary(self) -> None:
        now = self._clock.monotonic()
        if now - self._heard > self._patience:
            self._patience = min(2 * self._patience, LONGEST_PATIENCE)
            self._heard = now
            self._cancel()

    def _cancel(self) -> None:
        if self._stream is not None:
            self._stream.cancel()

    def _run(self) -> None:
        """Listen for as long as the watch is open, with longer pauses while streams are short; the thread's loop."""
        pause = _FIRST_PAUSE
        while not self._end.is_set():
            began = time.monotonic()
            try:
                self._listen()
            except StoreError as error:
                self._failed(error)
            lasted = time.monotonic() - began >= _SECONDS_THAT_PROVE_A_STREAM
            pause = _FIRST_PAUSE if lasted else min(2 * pause, _LONGEST_PAUSE)
            self._end.wait(pause)

    def _failed(self, error: StoreError) -> None:
        """A stream that breaks once is no trouble: it is opened again. One that cannot be opened is."""
        with self._changed:
            self._failures += 1
            if self._failures > 1 or not self._up_to:
                self._trouble = error
            self._changed.notify_all()

    def _listen(self) -> None:
        stream = self._calls.listen([collection_id(name) for name in self._collections])
        with self._changed:
            self._stream = stream
            self._asked = self._clock.monotonic()
            self._coming = {}
            for target in self._targets.values():
                target.reset()
            if self._closed:
                stream.cancel()
        for answer in stream:
            with self._changed:
                self._take(answer)

    def _take(self, answer: Message) -> None:
        kind = answer.WhichOneof("response_type")
        if kind == "document_change":
            self._take_document(answer.document_change)
        elif kind == "target_change":
            self._take_target(answer.target_change)
        elif kind in ("document_delete", "document_remove"):
            name = getattr(answer, kind).document
            for target in self._targets.values():
                target.told.pop(name, None)
            self._coming.pop(name, None)

    def _take_document(self, change: Message) -> None:
        name, updated = change.document.name, change.document.update_time.ToNanoseconds()
        for number in change.target_ids:
            if self._targets[number].is_news(name, updated):
                self._coming[name] = (updated, number, change.document)
                self._hear(number)

    def _hear(self, number: int) -> None:
        if self._canary in ("", self._collections[number - 1]):
            self._heard = self._clock.monotonic()
            self._patience = self._first_patience

    def _take_target(self, change: Message) -> None:
        targets = [self._targets[number] for number in change.target_ids] or list(self._targets.values())
        if change.target_change_type == _Kind.REMOVE:
            raise StoreUnavailable(f"Firestore stopped listening: {change.cause.message}", "it is tried again")
        for target in targets:
            if change.target_change_type == _Kind.RESET:
                target.reset()
            elif change.target_change_type == _Kind.CURRENT:
                target.complete()
        if not change.target_ids and change.HasField("read_time") and self._is_current():
            self._pass_on(change.read_time.ToNanoseconds())

    def _is_current(self) -> bool:
        return all(target.current for target in self._targets.values())

    def _pass_on(self, up_to: int) -> None:
        """All changes up to a moment were told."""
        self._news |= self._coming
        self._coming = {}
        self._up_to = up_to
        self._failures, self._trouble = 0, None
        self._changed.notify_all()
