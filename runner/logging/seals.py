"""Seals as an audit reads them: what a run said of itself, and from when on it must hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runner.errors import JournalError
from runner.logging import lines


@dataclass(frozen=True, slots=True)
class Seal:
    """One seal record. `ends` are, by stream, the last offset and the head hash over everything up to it."""

    seq: int
    ts: datetime
    reason: str
    ends: Mapping[str, tuple[int, str]]

    def binds(self, before: datetime) -> bool:
        """Whether everything it seals must be archived by now: it ended the run, or it is older than `before`."""
        return self.reason != "interval" or self.ts <= before


@dataclass(frozen=True, slots=True)
class Seals:
    """All seals of a run that could be read. `bound` are those whose records must be there."""

    every: tuple[Seal, ...]
    bound: tuple[Seal, ...]

    def heads(self, stream: str) -> dict[int, str]:
        """The head at each sealed last offset of a stream."""
        return dict(seal.ends[stream] for seal in self.every if stream in seal.ends)

    def last(self, stream: str) -> int:
        """The last offset that is sealed at all, or -1."""
        return max(self.heads(stream), default=-1)

    def owed(self) -> dict[str, int]:
        """By stream, the last offset that must be there."""
        found: dict[str, int] = {}
        for seal in self.bound:
            for stream, (last, _) in seal.ends.items():
                found[stream] = max(last, found.get(stream, -1))
        return found

    def written_by(self, stream: str, offset: int) -> Seal | None:
        """The first seal that was written after a record. Of the seals' own stream, the seal at that offset."""
        if stream == "seals":
            ordered = sorted(self.every, key=lambda seal: seal.seq)
            return ordered[offset] if offset < len(ordered) else None
        covering = [seal for seal in self.every if seal.ends.get(stream, (-1, ""))[0] >= offset]
        return min(covering, key=lambda seal: seal.seq, default=None)

    @property
    def seq(self) -> int:
        """Every smaller `seq` must be there."""
        return max((seal.seq for seal in self.bound), default=0)


def read_seals(chunks: Iterable[bytes]) -> list[Seal]:
    """Every intact seal in some lines. What is damaged is found by the walk along the stream itself."""
    return [seal for chunk in chunks for line in lines.split(chunk) if (seal := _seal(line)) is not None]


def first_difference(one: bytes, other: bytes) -> int:
    """The number of the first line of `one` that differs from the line of the same id in `other`, or -1.

    What is only in one of them is compared with nothing: the beginning of the other may have expired.
    """
    twins = {line.partition(b",")[0]: line for line in lines.split(other)}
    pairs = ((line, twins.get(line.partition(b",")[0], line)) for line in lines.split(one))
    return next((number for number, (line, twin) in enumerate(pairs) if line != twin), -1)


def _seal(line: bytes) -> Seal | None:
    if not lines.is_intact(line):
        return None
    try:
        record = lines.decode(line)
        data: dict[str, Any] = record["data"]
        ends = {name: (int(end["last"]), str(end["head"])) for name, end in data["streams"].items()}
        return Seal(record["seq"], lines.moment(record["ts"]), data["reason"], ends)
    except (JournalError, KeyError, TypeError, ValueError):
        return None
