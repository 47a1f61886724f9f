"""The stream follower: journal lines become messages, in order per bot and stream."""

from __future__ import annotations

import msgspec

from runner.errors import StoreRejected
from runner.logging import checkpoint, lines
from runner.logging.follower import Journals, Patience
from runner.logging.journal import RunInfo, run_folder
from runner.logging.reader import Cursor, StreamReader
from runner.logging.recovery import quarantine
from runner.stores.base import Message, Stream

NAME = "stream"


class StreamingState(msgspec.Struct, kw_only=True):
    streams: dict[str, Cursor] = msgspec.field(default_factory=dict)


class PubSubLogger:
    """Ships the journal to a stream. After a crash a message may be published twice: listeners know it by its id."""

    name = NAME

    def __init__(self, journals: Journals, stream: Stream, patience: Patience) -> None:
        self._journals = journals
        self._stream = stream
        self._patience = patience
        self._states: dict[str, StreamingState] = {}
        self._readers: dict[tuple[str, str], StreamReader] = {}

    def step(self, *, drain: bool = False) -> bool:
        shipped = False
        present = self._journals.runs()
        self._let_go(present)
        for info in present:
            fresh = [self._ship(info, stream) for stream in self._journals.streams(info.run)]
            if any(fresh):
                checkpoint.save(self._journals.home, info.run, self.name, self.state(info.run))
                shipped = True
        return shipped

    def wants(self, stream: str) -> bool:
        return True

    def shipped(self, run: str, stream: str) -> Cursor:
        return self.state(run).streams.get(stream, Cursor())

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._stream.close()

    def state(self, run: str) -> StreamingState:
        if run not in self._states:
            self._states[run] = checkpoint.load(self._journals.home, run, self.name, StreamingState)
        return self._states[run]

    def _let_go(self, present: list[RunInfo]) -> None:
        """Forget runs that were swept from the journal."""
        kept = {info.run for info in present}
        self._states = {run: state for run, state in self._states.items() if run in kept}
        for key in [key for key in self._readers if key[0] not in kept]:
            self._readers.pop(key).close()

    def _reader(self, run: str, stream: str) -> StreamReader:
        if (run, stream) not in self._readers:
            cursor = self.state(run).streams.get(stream, Cursor())
            self._readers[run, stream] = StreamReader(run_folder(self._journals.home, run), stream, cursor)
        return self._readers[run, stream]

    def _ship(self, info: RunInfo, stream: str) -> bool:
        reader = self._reader(info.run, stream)
        found = lines.split(reader.read())
        if not found:
            return False
        key = f"{info.bot}:{stream}"
        attributes = {"run": info.run, "bot": info.bot, "stream": stream}
        self._publish([Message(key, line[:-1], attributes) for line in found if lines.is_intact(line)])
        following = self.state(info.run).streams.get(stream, Cursor()).next + len(found)
        cursor = Cursor(next=following, segment=reader.segment, position=reader.position)
        self.state(info.run).streams[stream] = cursor
        return True

    def _publish(self, messages: list[Message]) -> None:
        """Publish in order; a message that can never be published is found by halving, and set aside."""
        try:
            self._patience.call(lambda: self._stream.publish(messages))
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
