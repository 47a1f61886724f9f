"""The live follower: journal lines become live documents.

Writes are billed by document, so what saves money is coalescing: of all states that a document passes through within a
window, only the last is written. A window ends at `documents` changed documents, after `seconds`, or when a bot asks
(urgent records wake the follower). Heartbeats have a longer window of their own; until it ends, the checkpoint of their
stream stays where it was, so that a shipper which dies in between reads them again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from runner.errors import StoreRejected
from runner.logging import documents, halving, lines
from runner.logging.documents import Place
from runner.logging.follower import Journals, Patience
from runner.logging.journal import RunInfo
from runner.logging.progress import LineState, Progress
from runner.logging.reader import Cursor
from runner.logging.recovery import quarantine
from runner.logging.source import Sources
from runner.stores.base import Document, LiveStore

NAME = "live"
_SLOW, _SLOW_STREAM = "live_system_status", "system"
_COMMIT = 500


class LiveState(LineState, kw_only=True):
    """How far a run's streams are in the live store, how many states were folded and how many documents written.

    `made` is how many documents there were at most: each will expire, and be deleted once.
    """

    folded: int = 0
    written: int = 0
    made: int = 0


@dataclass(frozen=True, slots=True)
class LivePolicy:
    """When a window ends: at so many changed documents, after so many seconds; that of heartbeats after its own."""

    documents: int
    seconds: float
    heartbeat_seconds: float


class FirestoreLogger:
    """Ships the journal to a live store. `stretch` makes all windows so many times longer; any thread may set it.

    `counts` has the `states` that were folded, which is what would have been written without coalescing.
    """

    name = NAME
    pins = False

    def __init__(self, journals: Journals, store: LiveStore, policy: LivePolicy, patience: Patience) -> None:
        self.patience = patience
        self._journals = journals
        self._store = store
        self._policy = policy
        self._sources = Sources(journals, patience.refused)
        self._progress = Progress(journals.home, self.name, LiveState)
        self._folding = documents.Folding(lambda *place: patience.call(lambda: store.get(*place)))
        self.stretch = 1.0
        self.counts: Counter[str] = Counter()
        self._touched: set[str] = set()
        self._held: dict[str, Cursor] = {}
        self._known: set[Place] = set()
        self._since: float | None = None
        self._slow_since: float | None = None

    def step(self, *, drain: bool = False) -> bool:
        present = self._sources.present()
        kept = {info.run for info in present}
        self._progress.keep(kept)
        self._touched &= kept
        self._held = {run: cursor for run, cursor in self._held.items() if run in kept}
        for info in present:
            for stream in documents.STREAMS:
                self._read(info, stream)
        over = any(info.closed and info.run in self._touched for info in present)
        whole = drain or over or self._is_slow_due()
        if self._touched and (whole or self._is_due()):
            self._flush(whole=whole)
            return True
        return False

    def wants(self, stream: str) -> bool:
        return stream in documents.STREAMS

    def shipped(self, run: str, stream: str) -> Cursor:
        return self._progress.shipped(run, stream)

    def close(self) -> None:
        self._sources.close()
        self._store.close()

    def _read(self, info: RunInfo, stream: str) -> None:
        """Fold new lines of a stream."""
        state = self._progress.state(info.run)
        slow = stream == _SLOW_STREAM
        saved = state.streams.get(stream, Cursor())
        before = self._held.get(info.run, saved) if slow else saved
        chunk, cursor = self._patient_read(info, stream, before)
        if cursor == before:
            return
        for line in lines.split(chunk):
            if lines.is_intact(line):
                self._fold(lines.decode(line), info, state)
        if slow:
            self._held[info.run] = cursor
        else:
            state.streams[stream] = cursor
        self._touched.add(info.run)

    def _fold(self, record: documents.Record, info: RunInfo, state: LiveState) -> None:
        place = self._folding.add(record, info.epoch)
        if place is None:
            return
        state.folded += 1
        self.counts["states"] += 1
        if record["kind"] in documents.ONE_EACH:
            state.made += 1
        elif place not in self._known:
            self._known.add(place)
            state.made += 1
        now = self._journals.clock.monotonic()
        if place[0] == _SLOW:
            self._slow_since = now if self._slow_since is None else self._slow_since
        else:
            self._since = now if self._since is None else self._since

    def _patient_read(self, info: RunInfo, stream: str, cursor: Cursor) -> tuple[bytes, Cursor]:
        return self.patience.call(lambda: self._sources.read(info, stream, cursor))

    def _is_due(self) -> bool:
        """Whether the window of the prompt documents ends, or lines were read that change none at all."""
        if self._since is None:
            return self._slow_since is None
        prompt = sum(collection != _SLOW for collection, _ in self._folding.pending)
        age = self._journals.clock.monotonic() - self._since
        return prompt >= self._policy.documents * self.stretch or age >= self._policy.seconds * self.stretch

    def _is_slow_due(self) -> bool:
        if self._slow_since is None:
            return False
        age = self._journals.clock.monotonic() - self._slow_since
        return age >= self._policy.heartbeat_seconds * self.stretch

    def _flush(self, *, whole: bool) -> None:
        """Write what is pending, heartbeats only when their window ended too, and advance the checkpoints."""
        whole = whole or self._slow_since is None
        batch = [one for one in self._folding.pending.values() if whole or one.collection != _SLOW]
        for start in range(0, len(batch), _COMMIT):
            halving.send(batch[start : start + _COMMIT], self._commit, self._set_aside)
        for run in self._touched:
            state = self._progress.state(run)
            state.written += sum(document.fields["run"] == run for document in batch)
            if whole and run in self._held:
                state.streams[_SLOW_STREAM] = self._held.pop(run)
            self._progress.save(run)
        self._folding.forget(batch)
        self._touched = set(self._held)
        self._since = None
        self._slow_since = None if whole else self._slow_since

    def _commit(self, batch: Sequence[Document]) -> None:
        self.patience.call(lambda: self._store.commit(batch))

    def _set_aside(self, document: Document, error: StoreRejected) -> None:
        run, stream, offset = document.record_id.split(":")
        content = msgspec.json.encode(dict(document.fields)) + b"\n"
        quarantine(
            self._journals.home, run, f"live-{stream}", int(offset), content, f"the live store refused it: {error}"
        )
        self.patience.refused(error)
