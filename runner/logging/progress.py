"""How far a follower that reads line by line has come, in each run: what it works with, and what is durable."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

import msgspec

from runner.layout import Home
from runner.logging import checkpoint
from runner.logging.reader import Cursor


class LineState(msgspec.Struct, kw_only=True):
    """The next line of each stream of a run."""

    streams: dict[str, Cursor] = msgspec.field(default_factory=dict)


State = TypeVar("State", bound=LineState)


class Progress(Generic[State]):
    """The states of one follower. `shipped` may be asked from any thread; it never runs ahead of the checkpoint."""

    def __init__(self, home: Home, follower: str, kind: type[State]) -> None:
        self._home = home
        self._follower = follower
        self._kind = kind
        self._states: dict[str, State] = {}
        self._shipped: dict[tuple[str, str], Cursor] = {}

    def state(self, run: str) -> State:
        """Where the follower works in a run; from its checkpoint at first."""
        if run not in self._states:
            self._states[run] = checkpoint.load(self._home, run, self._follower, self._kind)
            self._publish(run)
        return self._states[run]

    def shipped(self, run: str, stream: str) -> Cursor:
        """How far a stream is shipped for good."""
        return self._shipped.get((run, stream), Cursor())

    def save(self, run: str) -> None:
        """Everything up to the state is shipped: make that durable."""
        checkpoint.save(self._home, run, self._follower, self._states[run])
        self._publish(run)

    def keep(self, runs: Collection[str]) -> None:
        """Forget all other runs: they were swept from the journal."""
        self._states = {run: state for run, state in self._states.items() if run in runs}
        self._shipped = {key: cursor for key, cursor in self._shipped.items() if key[0] in runs}

    def _publish(self, run: str) -> None:
        self._shipped.update({(run, stream): cursor for stream, cursor in self._states[run].streams.items()})
