"""The live follower: journal lines become live documents.

Writes are billed by document, so what saves money is coalescing: of all states that a document passes through within a
window, only the last is written. A window ends at `documents` changed documents, after `seconds`, or when a bot asks
(urgent records wake the follower). Heartbeats alone wait longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from runner.errors import StoreRejected
from runner.logging import documents, lines
from runner.logging.follower import Journals, Patience
from runner.logging.journal import RunInfo
from runner.logging.progress import LineState, Progress
from runner.logging.reader import Cursor
from runner.logging.recovery import quarantine
from runner.logging.source import Sources
from runner.stores.base import Document, LiveStore

NAME = "live"
_SLOW = "live_system_status"
_COMMIT = 500


class LiveState(LineState, kw_only=True):
    """How far a run's streams are in the live store; how many states were folded and how many documents written."""

    folded: int = 0
    written: int = 0


@dataclass(frozen=True, slots=True)
class LivePolicy:
    documents: int
    seconds: float
    heartbeat_seconds: float


class FirestoreLogger:
    """Ships the journal to a live store."""

    name = NAME
    pins = False

    def __init__(self, journals: Journals, store: LiveStore, policy: LivePolicy, patience: Patience) -> None:
        self.patience = patience
        self._journals = journals
        self._store = store
        self._policy = policy
        self._sources = Sources(journals)
        self._progress = Progress(journals.home, self.name, LiveState)
        self._folding = documents.Folding(lambda *place: patience.call(lambda: store.get(*place)))
        self._touched: set[str] = set()
        self._since: float | None = None

    def step(self, *, drain: bool = False) -> bool:
        present = self._sources.present()
        kept = {info.run for info in present}
        self._progress.keep(kept)
        self._touched &= kept
        for info in present:
            for stream in documents.STREAMS:
                self._read(info, stream)
        over = any(info.closed and info.run in self._touched for info in present)
        if self._touched and (drain or over or self._is_due()):
            self._flush()
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
        before = state.streams.get(stream, Cursor())
        chunk, cursor = self._patient_read(info, stream, before)
        if cursor == before:
            return
        for line in lines.split(chunk):
            if lines.is_intact(line) and self._folding.add(lines.decode(line), info.epoch):
                state.folded += 1
                self._since = self._since if self._since is not None else self._journals.clock.monotonic()
        state.streams[stream] = cursor
        self._touched.add(info.run)

    def _patient_read(self, info: RunInfo, stream: str, cursor: Cursor) -> tuple[bytes, Cursor]:
        return self.patience.call(lambda: self._sources.read(info, stream, cursor))

    def _is_due(self) -> bool:
        if self._since is None:
            return True
        age = self._journals.clock.monotonic() - self._since
        prompt = sum(collection != _SLOW for collection, _ in self._folding.pending)
        if prompt:
            return prompt >= self._policy.documents or age >= self._policy.seconds
        return age >= self._policy.heartbeat_seconds

    def _flush(self) -> None:
        batch = list(self._folding.pending.values())
        for start in range(0, len(batch), _COMMIT):
            self._commit(batch[start : start + _COMMIT])
        for run in self._touched:
            self._progress.state(run).written += sum(document.fields["run"] == run for document in batch)
            self._progress.save(run)
        self._folding.clear()
        self._touched.clear()
        self._since = None

    def _commit(self, batch: Sequence[Document]) -> None:
        """Write a batch; a document that can never be written is found by halving, and set aside."""
        try:
            self.patience.call(lambda: self._store.commit(batch))
        except StoreRejected as error:
            if len(batch) == 1:
                self._set_aside(batch[0], error)
                return
            middle = len(batch) // 2
            self._commit(batch[:middle])
            self._commit(batch[middle:])

    def _set_aside(self, document: Document, error: StoreRejected) -> None:
        run, stream, offset = document.record_id.split(":")
        content = msgspec.json.encode(dict(document.fields)) + b"\n"
        quarantine(
            self._journals.home, run, f"live-{stream}", int(offset), content, f"the live store refused it: {error}"
        )
        self.patience.refused(error)
