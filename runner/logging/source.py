"""Where followers that do not pin the journal read from: the journal, and the archive for what the journal let go."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from runner.errors import JournalError, StoreError, StoreRejected, StoreUnavailable
from runner.logging import lines, objects
from runner.logging.follower import Journals
from runner.logging.journal import RunInfo, run_folder
from runner.logging.objects import BatchObject
from runner.logging.parts import ArchiveOfParts, view
from runner.logging.reader import CHUNK, Cursor, StreamReader
from runner.stores.base import Archive, ObjectInfo

OnDamage = Callable[[StoreError], None]
"""Is told of an archive object that cannot be read; its records are passed by."""


class StreamSource:
    """One stream of a run from a cursor on, in order and without a hole, wherever its lines lie."""

    def __init__(self, journals: Journals, info: RunInfo, stream: str, cursor: Cursor, on_damage: OnDamage) -> None:
        self.cursor = cursor
        self._on_damage = on_damage
        self._journals = journals
        self._info = info
        self._stream = stream
        self._prefix = lines.id_prefix(info.run, stream)
        self._reader = StreamReader(run_folder(journals.home, info.run), stream, cursor)
        self._batches: list[BatchObject] = []
        self._archived = b""
        self._view: ArchiveOfParts

    def read(self, end: int | None = None) -> bytes:
        """The next whole lines, and empty when there are none yet; `cursor` is then behind them.

        `end` is the next offset of a stream that left the journal. Raises `StoreUnavailable`; the next call goes on.
        """
        if self._archived:
            return self._take_archived()
        chunk = self._reader.read()
        following = self._reader.segment if chunk else end
        if following is None or following <= self.cursor.next or (chunk and following == self.cursor.segment):
            return self._advance(chunk)
        if chunk:
            self._reader.seek(Cursor(segment=following))
        return self._fill(following)

    def close(self) -> None:
        self._reader.close()

    def _advance(self, chunk: bytes) -> bytes:
        if chunk:
            following = self._offset_after(chunk)
            self.cursor = Cursor(next=following, segment=self._reader.segment, position=self._reader.position)
        return chunk

    def _fill(self, following: int) -> bytes:
        """Lines before offset `following`, from the archive. What is not there either was lost, and is passed by."""
        batch = self._covering(self.cursor.next, following)
        if batch is None:
            self.cursor = msgspec.structs.replace(self.cursor, next=following)
            return b""
        try:
            raw = objects.raw_lines(self._view, batch)
        except StoreUnavailable:
            raise
        except StoreError as error:
            return self._pass_by(batch, following, error)
        start = raw.find(b"%s%012d" % (self._prefix, max(self.cursor.next, batch.first)))
        end = raw.find(b"%s%012d" % (self._prefix, following)) if following <= batch.last else len(raw)
        if start < 0 or end < 0:
            lacks = f"{batch.bucket}/{batch.name} does not hold the offsets that its metadata names"
            return self._pass_by(batch, following, StoreRejected(lacks))
        self._archived = raw[start:end]
        return self._take_archived()

    def _pass_by(self, batch: BatchObject, following: int, error: StoreError) -> bytes:
        """A damaged object is told, and left to `tron verify`; what is behind it goes on."""
        end = min(batch.last + 1, following)
        lost = f"records {self.cursor.next} to {end - 1} of {self._stream}, run {self._info.run}, are passed by"
        self._on_damage(StoreRejected(f"{lost}: {error}", "see `tron verify`"))
        self.cursor = msgspec.structs.replace(self.cursor, next=end)
        return b""

    def _take_archived(self) -> bytes:
        cut = self._archived.rfind(b"\n", 0, CHUNK) + 1
        chunk, self._archived = self._archived[:cut], self._archived[cut:]
        self.cursor = msgspec.structs.replace(self.cursor, next=self._offset_after(chunk))
        return chunk

    def _covering(self, offset: int, before: int) -> BatchObject | None:
        """The first object with records from `offset` on, and before another."""
        for look in (self._known, self._on_its_days, self._anywhere):
            self._batches = look()
            found = next((batch for batch in self._batches if batch.last >= offset), None)
            if found is not None and found.first < before:
                return found
        return None

    def _known(self) -> list[BatchObject]:
        return self._batches

    def _on_its_days(self) -> list[BatchObject]:
        self._view = view(self._archive)
        return objects.of_stream(
            self._view, self._info, self._stream, self._journals.clock.now().date(), _leave_to_verify
        )

    def _anywhere(self) -> list[BatchObject]:
        """Where a clock that jumped made the days useless."""
        return objects.index(self._view, on_unusable=_leave_to_verify).get(self._info.run, {}).get(self._stream, [])

    @property
    def _archive(self) -> Archive:
        if self._journals.archive is None:
            raise JournalError(
                f"records {self.cursor.next} and following of {self._stream}, run {self._info.run}, left the journal",
                "give the follower the archive that has them",
            )
        return self._journals.archive

    def _offset_after(self, chunk: bytes) -> int:
        last = lines.offset_of(chunk[chunk.rfind(b"\n", 0, -1) + 1 :], self._prefix)
        return last + 1 if last >= 0 else self.cursor.next + chunk.count(b"\n")


def _leave_to_verify(info: ObjectInfo, error: StoreRejected) -> None:
    """An object without usable metadata may be of any run: it is a hole where it is missed."""


class Sources:
    """The sources of a follower, one for each stream of each run that it looks at."""

    def __init__(self, journals: Journals, on_damage: OnDamage = lambda error: None) -> None:
        self._journals = journals
        self._on_damage = on_damage
        self._open: dict[tuple[str, str], StreamSource] = {}
        self._ends: dict[str, dict[str, int]] = {}

    def present(self) -> list[RunInfo]:
        """Runs to look at, oldest first: those in the journal and those that left it too early."""
        owed = self._journals.owed()
        self._ends = {note.info.run: note.ends for note in owed}
        found = sorted([*self._journals.runs(), *(note.info for note in owed)], key=lambda info: info.run)
        kept = {info.run for info in found}
        for key in [key for key in self._open if key[0] not in kept]:
            self._open.pop(key).close()
        return found

    def read(self, info: RunInfo, stream: str, cursor: Cursor) -> tuple[bytes, Cursor]:
        """New lines of a stream behind `cursor`, and the cursor behind them."""
        source = self._open.get((info.run, stream))
        if source is None or source.cursor != cursor:
            source = self._reopen(info, stream, cursor)
        end = self._ends[info.run].get(stream, 0) if info.run in self._ends else None
        return source.read(end), source.cursor

    def _reopen(self, info: RunInfo, stream: str, cursor: Cursor) -> StreamSource:
        key = (info.run, stream)
        if key in self._open:
            self._open[key].close()
        self._open[key] = StreamSource(self._journals, info, stream, cursor, self._on_damage)
        return self._open[key]

    def close(self) -> None:
        for source in self._open.values():
            source.close()
        self._open.clear()
