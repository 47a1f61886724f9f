"""Listening to the stream: each record handled once in effect, or simply shown as it arrives.

The stream delivers at least once, in order per bot and stream. A `Listener` turns that into once in effect: it asks
`Seen` before it handles a record, notes it after, and acknowledges last. Only a crash between handling a record and
saving that it was seen handles it again; who cannot bear that saves the record's id together with the effect.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from runner.errors import StoreError
from runner.stores.base import Message
from runner.stores.envelope import Envelope, read_envelope
from runner.stores.seen import Seen

_SECONDS_PER_PULL = 30.0
_BATCHES_AHEAD = 100

Handle = Callable[[Envelope, bytes], None]
"""Takes a record and its body; what it raises gives the record back to the stream."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message on loan. `token` gives it back; `attempt` counts its deliveries from 1, or is 0 where nobody counts."""

    message: Message
    token: str
    attempt: int = 0


class Subscription(Protocol):
    """A place in the stream. What is neither acknowledged nor given back in time is delivered again."""

    def pull(self, timeout: float) -> list[Received]:
        """The next messages; waits up to `timeout` seconds for the first."""
        ...

    def acknowledge(self, received: Sequence[Received]) -> None: ...

    def give_back(self, received: Sequence[Received]) -> None:
        """Let them be delivered again, to anybody, or become dead letters after too many attempts."""
        ...

    def close(self) -> None: ...


class Listener:
    """Handles every record of a subscription once in effect."""

    def __init__(self, subscription: Subscription, seen: Seen) -> None:
        self._subscription = subscription
        self._seen = seen

    def step(self, handle: Handle, *, timeout: float = _SECONDS_PER_PULL) -> int:
        """Handle the next messages; returns how many records were new.

        A message that is no record is given back alone. When `handle` raises, later ones of the same ordering key are
        given back too, so that they stay in order; other keys go on. The first error is raised in the end.
        """
        handled: list[Received] = []
        returned: list[Received] = []
        stopped: set[str] = set()
        errors: list[Exception] = []
        new = 0
        for received in self._subscription.pull(timeout):
            try:
                if received.message.ordering_key not in stopped:
                    new += self._take(received.message, handle)
                    handled.append(received)
                    continue
            except StoreError as error:
                errors.append(error)
            except Exception as error:
                stopped.add(received.message.ordering_key)
                errors.append(error)
            returned.append(received)
        self._settle(handled, returned)
        if errors:
            raise errors[0]
        return new

    def _take(self, message: Message, handle: Handle) -> bool:
        envelope = read_envelope(message.body)
        if envelope.id in self._seen:
            return False
        handle(envelope, message.body)
        self._seen.add(envelope.id)
        return True

    def _settle(self, handled: list[Received], returned: list[Received]) -> None:
        if handled:
            self._seen.save()
            self._subscription.acknowledge(handled)
        if returned:
            self._subscription.give_back(returned)


class StreamTail:
    """New record lines of a subscription as they arrive, each once; a thread of its own waits for them."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._seen = Seen()
        self._arrived: queue.Queue[list[bytes] | StoreError] = queue.Queue(_BATCHES_AHEAD)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._pull, name="stream-tail", daemon=True)
        self._thread.start()

    def next(self, timeout: float) -> list[bytes]:
        """Lines that have not been returned yet, each with its newline; waits up to `timeout` seconds for the first.

        Raises what the subscription raised; the next call goes on.
        """
        deadline = time.monotonic() + timeout
        while not self._closed.is_set():
            try:
                arrived = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return []
            if isinstance(arrived, StoreError):
                raise arrived
            if arrived:
                return arrived
        return []

    def close(self) -> None:
        """Ends a waiting `next`, too."""
        self._closed.set()
        self._subscription.close()
        self._thread.join()
        with contextlib.suppress(queue.Full):
            self._arrived.put_nowait([])

    def _pull(self) -> None:
        while not self._closed.is_set():
            try:
                received = self._subscription.pull(_SECONDS_PER_PULL)
                self._subscription.acknowledge(received)
                self._hand_over(self._new_lines(received))
            except StoreError as error:
                self._hand_over(error)
                self._closed.wait(1.0)

    def _new_lines(self, received: Sequence[Received]) -> list[bytes]:
        found = []
        for one in received:
            record_id = read_envelope(one.message.body).id
            if record_id not in self._seen:
                self._seen.add(record_id)
                found.append(one.message.body + b"\n")
        return found

    def _hand_over(self, arrived: list[bytes] | StoreError) -> None:
        while not self._closed.is_set():
            try:
                return self._arrived.put(arrived, timeout=0.5)
            except queue.Full:
                continue
