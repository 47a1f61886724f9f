"""The stream follower: journal lines become messages, in order per bot and stream."""

from __future__ import annotations

import msgspec

from runner.errors import StoreRejected
from runner.logging import checkpoint, lines
from runner.logging.follower import Journals, Patience
from runner.logging.journal import RunInfo
from runner.logging.reader import Cursor
from runner.logging.recovery import quarantine
from runner.logging.routes import STREAMS
from runner.logging.source import Sources
from runner.stores.base import Message, Stream

NAME = "stream"


class StreamingState(msgspec.Struct, kw_only=True):
    streams: dict[str, Cursor] = msgspec.field(default_factory=dict)


class PubSubLogger:
    """Ships the journal to a stream. After a crash a message may be published twice: listeners know it by its id."""

    name = NAME

    pins = False

    def __init__(self, journals: Journals, stream: Stream, patience: Patience) -> None:
        self.patience = patience
        self._journals = journals
        self._stream = stream
        self._sources = Sources(journals)
        self._states: dict[str, StreamingState] = {}
        self._shipped: dict[tuple[str, str], Cursor] = {}

    def step(self, *, drain: bool = False) -> bool:
        shipped = False
        present = self._sources.present()
        self._let_go(present)
        for info in present:
            if any([self._ship(info, stream) for stream in STREAMS]):
                state = self.state(info.run)
                checkpoint.save(self._journals.home, info.run, self.name, state)
                self._shipped.update({(info.run, stream): cursor for stream, cursor in state.streams.items()})
                shipped = True
        return shipped

    def wants(self, stream: str) -> bool:
        return True

    def shipped(self, run: str, stream: str) -> Cursor:
        return self._shipped.get((run, stream), Cursor())

    def close(self) -> None:
        self._sources.close()
        self._stream.close()

    def state(self, run: str) -> StreamingState:
        if run not in self._states:
            self._states[run] = checkpoint.load(self._journals.home, run, self.name, StreamingState)
            self._shipped.update({(run, stream): cursor for stream, cursor in self._states[run].streams.items()})
        return self._states[run]

    def _let_go(self, present: list[RunInfo]) -> None:
        """Forget runs that were swept from the journal."""
        kept = {info.run for info in present}
        self._states = {run: state for run, state in self._states.items() if run in kept}
        self._shipped = {key: cursor for key, cursor in self._shipped.items() if key[0] in kept}

    def _ship(self, info: RunInfo, stream: str) -> bool:
        before = self.state(info.run).streams.get(stream, Cursor())
        chunk, cursor = self.patience.call(lambda: self._sources.read(info, stream, before))
        if cursor == before:
            return False
        attributes = {"run": info.run, "bot": info.bot, "stream": stream}
        found = (line for line in lines.split(chunk) if lines.is_intact(line))
        self._publish([Message(f"{info.bot}:{stream}", line[:-1], attributes) for line in found])
        self.state(info.run).streams[stream] = cursor
        return True

    def _publish(self, messages: list[Message]) -> None:
        """Publish in order; a message that can never be published is found by halving, and set aside."""
        if not messages:
            return
        try:
            self.patience.call(lambda: self._stream.publish(messages))
        except StoreRejected as error:
            if len(messages) == 1:
                self._set_aside(messages[0], error)
                return
            middle = len(messages) // 2
            self._publish(messages[:middle])
            self._publish(messages[middle:])

    def _set_aside(self, message: Message, error: StoreRejected) -> None:
        run, stream, offset = lines.decode(message.body)["id"].split(":")
        reason = f"the stream refused it: {error}"
        quarantine(self._journals.home, run, f"stream-{stream}", int(offset), message.body + b"\n", reason)
        self.patience.refused(error)
