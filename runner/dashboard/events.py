"""Server-sent events: numbered, kept for a while, fanned out to every open page.

Each event has a cursor, `<epoch>-<number>`; the epoch is one life of the server. A page that comes back with its last
cursor gets what it missed. If that is no longer kept, or the server was restarted, it gets one `resync` event instead
and asks for a new snapshot. So does a page that reads too slowly: its queue is bounded and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass

RING_BYTES = 4 << 20
QUEUE_EVENTS = 256
HEARTBEAT = b"event: hb\ndata: {}\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it goes over the wire."""

    number: int
    chunk: bytes


class Subscription:
    """What one open page has not been sent yet. Everything but `wake` belongs to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self._loop = loop
        self._limit = limit
        self._waiting: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._ended = False

    def wake(self, chunk: bytes, resync: bytes) -> None:
        """Hand over a chunk, from any thread; `resync` takes the place of everything if the page fell behind."""
        self._loop.call_soon_threadsafe(self._offer, chunk, resync)

    def end(self) -> None:
        """No more chunks will come; from any thread."""
        self._loop.call_soon_threadsafe(self._finish)

    async def next(self, timeout: float) -> bytes | None:
        """All waiting chunks as one, a heartbeat after `timeout` seconds of silence, or None at the end."""
        try:
            await asyncio.wait_for(self._changed.wait(), timeout)
        except TimeoutError:
            return HEARTBEAT
        self._changed.clear()
        joined = b"".join(self._waiting)
        self._waiting.clear()
        return joined or (None if self._ended else HEARTBEAT)

    def _offer(self, chunk: bytes, resync: bytes) -> None:
        if len(self._waiting) >= self._limit:
            self._waiting.clear()
            chunk = resync
        self._waiting.append(chunk)
        self._changed.set()

    def _finish(self) -> None:
        self._ended = True
        self._changed.set()


class Hub:
    """Numbers events, keeps the recent ones, and hands them to the subscriptions. Safe to use from any thread."""

    def __init__(self, epoch: str, *, ring_bytes: int = RING_BYTES, queue_events: int = QUEUE_EVENTS) -> None:
        self._epoch = epoch
        self._ring_bytes = ring_bytes
        self._queue_events = queue_events
        self._lock = threading.Lock()
        self._ring: deque[Event] = deque()
        self._kept_bytes = 0
        self._number = 0
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    @property
    def cursor(self) -> str:
        """The cursor of the newest event."""
        return f"{self._epoch}-{self._number}"

    def publish(self, name: str, data: bytes) -> None:
        """Send an event to every page. `data` is JSON without line breaks."""
        with self._lock:
            self._number += 1
            event = Event(self._number, self._encode(name, data))
            self._keep(event)
            resync = self._resync()
            for subscription in self._subscriptions:
                subscription.wake(event.chunk, resync)

    def subscribe(self, since: str) -> Subscription:
        """Start listening behind the cursor `since` (empty: from now on). Call it inside the event loop."""
        subscription = Subscription(asyncio.get_running_loop(), self._queue_events)
        with self._lock:
            missed = self._missed(since)
            if missed:
                subscription.wake(missed, missed)
            if self._closed:
                subscription.end()
            self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every stream, now and in future."""
        with self._lock:
            self._closed = True
            for subscription in self._subscriptions:
                subscription.end()

    def _keep(self, event: Event) -> None:
        self._ring.append(event)
        self._kept_bytes += len(event.chunk)
        while self._kept_bytes > self._ring_bytes and len(self._ring) > 1:
            self._kept_bytes -= len(self._ring.popleft().chunk)

    def _missed(self, since: str) -> bytes:
        if not since:
            return b""
        epoch, _, number = since.rpartition("-")
        if epoch != self._epoch or not number.isdecimal() or int(number) > self._number:
            return self._resync()
        oldest = self._ring[0].number if self._ring else self._number + 1
        if int(number) + 1 < oldest:
            return self._resync()
        return b"".join(event.chunk for event in self._ring if event.number > int(number))

    def _resync(self) -> bytes:
        return self._encode("resync", b"{}")

    def _encode(self, name: str, data: bytes) -> bytes:
        return f"id: {self.cursor}\nevent: {name}\ndata: ".encode() + data + b"\n\n"
