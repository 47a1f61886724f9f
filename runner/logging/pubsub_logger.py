"""The stream follower: journal lines become messages, in order per bot and stream."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from runner.errors import StoreRejected
from runner.logging import halving, lines
from runner.logging.follower import Journals, Patience
from runner.logging.journal import RunInfo
from runner.logging.progress import LineState, Progress
from runner.logging.reader import Cursor
from runner.logging.recovery import quarantine
from runner.logging.routes import STREAMS
from runner.logging.source import Sources
from runner.stores.base import Message, Stream

NAME = "stream"


class PubSubLogger:
    """Ships `published` streams of the journal. After a crash a message may come twice: listeners know it by its id."""

    name = NAME
    pins = False

    def __init__(
        self, journals: Journals, stream: Stream, patience: Patience, published: Collection[str] = tuple(STREAMS)
    ) -> None:
        self.patience = patience
        self._journals = journals
        self._stream = stream
        self._published = tuple(name for name in STREAMS if name in published)
        self._sources = Sources(journals, patience.refused)
        self._progress = Progress(journals.home, self.name, LineState)

    def step(self, *, drain: bool = False) -> bool:
        shipped = False
        present = self._sources.present()
        self._progress.keep({info.run for info in present})
        for info in present:
            if any([self._ship(info, stream) for stream in self._published]):
                self._progress.save(info.run)
                shipped = True
        return shipped

    def wants(self, stream: str) -> bool:
        return stream in self._published

    def shipped(self, run: str, stream: str) -> Cursor:
        return self._progress.shipped(run, stream)

    def close(self) -> None:
        self._sources.close()
        self._stream.close()

    def _ship(self, info: RunInfo, stream: str) -> bool:
        streams = self._progress.state(info.run).streams
        before = streams.get(stream, Cursor())
        chunk, cursor = self.patience.call(lambda: self._sources.read(info, stream, before))
        if cursor == before:
            return False
        attributes = {"run": info.run, "bot": info.bot, "stream": stream}
        found = (line for line in lines.split(chunk) if lines.is_intact(line))
        messages = [Message(f"{info.bot}:{stream}", line[:-1], attributes) for line in found]
        halving.send(messages, self._publish, self._set_aside)
        streams[stream] = cursor
        return True

    def _publish(self, messages: Sequence[Message]) -> None:
        self.patience.call(lambda: self._stream.publish(messages))

    def _set_aside(self, message: Message, error: StoreRejected) -> None:
        run, stream, offset = lines.decode(message.body)["id"].split(":")
        reason = f"the stream refused it: {error}"
        quarantine(self._journals.home, run, f"stream-{stream}", int(offset), message.body + b"\n", reason)
        self.patience.refused(error)
