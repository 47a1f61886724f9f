"""The walk along one stream: every line of every object, in order, each checked against all that is known of it."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runner.errors import StoreError, StoreUnavailable
from runner.logging import lines
from runner.logging.gcs_logger import chained
from runner.logging.heads import BLOCK, Head
from runner.logging.objects import BatchObject

_LEAP = 1 << 30
"""No `seq` is so far beyond every other one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written. `offset` is where it begins, in `stream` of `run`."""

    what: str
    run: str
    stream: str = ""
    offset: int = 0
    detail: str = ""

    def __str__(self) -> str:
        place = f"run {self.run}" + (f", stream {self.stream}, offset {self.offset}" if self.stream else "")
        return f"{self.what}: {place}: {self.detail}"


class Seqs:
    """Which `seq` of a run were seen, and the first one that was given twice."""

    def __init__(self) -> None:
        self.double = -1
        self._first = 0
        self._seen = bytearray()

    def add(self, texts: list[bytes]) -> bool:
        """Note some; returns whether all are possible."""
        try:
            found = list(map(int, texts))
        except ValueError:
            return False
        highest = max(found, default=-1)
        if highest - len(self._seen) > _LEAP:
            return False
        if highest >= len(self._seen):
            self._seen.extend(bytes(highest + 1 - len(self._seen)))
        seen = self._seen
        for seq in found:
            if seen[seq]:
                self.double = seq
            seen[seq] = 1
        return True

    def pass_before(self, seq: int) -> None:
        """Do not miss what is older: its time is over."""
        self._first = max(self._first, seq)

    def hole(self, end: int) -> int:
        """The first `seq` before `end` that was not seen, or -1."""
        hole = self._seen.find(0, self._first, end)
        behind = max(self._first, len(self._seen))
        return hole if hole >= 0 or end <= behind else behind


class Walk:
    """Where the walk is (`expected`, the next offset), what it has counted, and the first thing it has found."""

    def __init__(
        self,
        run: str,
        stream: str,
        seals: Mapping[int, str],
        seqs: Seqs | None = None,
        over: Callable[[int], int] = lambda offset: -1,
    ) -> None:
        """`seals` are the heads by sealed offset.

        `over` answers for a record whose time in the archive is over (by its offset) with a `seq` that is larger than
        all up to it; for any other with -1.
        """
        self.run, self.stream = run, stream
        self.expected = 0
        self.expired = 0
        """How many records are not there because their time is over."""
        self.finding: Finding | None = None
        self.raw_bytes = 0
        self._seals = seals
        self._sealed = sorted(seals)
        self._sound = 0
        self._seqs = seqs
        self._over = over
        self._prefix = lines.id_prefix(run, stream)
        self._head = Head(run, stream)
        self._chain = ""

    def fail(self, what: str, offset: int, detail: str) -> None:
        self.finding = self.finding or Finding(what, self.run, self.stream, offset, detail)

    def pass_object(self, batch: BatchObject, unpack: Callable[[BatchObject], bytes]) -> None:
        """Check one object: its place, its lines, its hash and its chain."""
        if batch.first > self.expected and (seq := self._over(batch.first - 1)) >= 0:
            self._pass_expired(batch, seq)
        if batch.first > self.expected:
            missing = f"records {self.expected} to {batch.first - 1} are not in the archive"
            return self.fail("gap", self.expected, missing)
        if batch.first < self.expected:
            return self.fail("double", batch.first, f"{batch.name} repeats records from {batch.first} on")
        try:
            raw = unpack(batch)
        except StoreUnavailable:
            raise
        except StoreError as error:
            return self.fail("damaged object", batch.first, str(error))
        self.pass_lines(raw)
        if not self.finding:
            self._check_metadata(batch, raw)
        return None

    def pass_lines(self, raw: bytes) -> None:
        """Check lines one by one: offset, checksum and `seq`; then the head at every sealed offset among them."""
        first, prefix, width = self.expected, self._prefix, len(self._prefix)
        view, starts, seqs = memoryview(raw), [0], list[bytes]()
        position, number = 0, first
        while end := raw.find(b"\n", position) + 1:
            if not raw.startswith(b"%s%012d" % (prefix, number), position):
                return self._misplaced(raw, position, number)
            if raw[end - lines.TRAILER : end] != lines.trailer(view[position : end - lines.TRAILER]):
                return self.fail("edit", number, "the checksum of the line does not match its content")
            start = position + width + _SEQ
            seqs.append(raw[start : raw.find(b",", start)])
            position, number = end, number + 1
            starts.append(position)
        if position < len(raw):
            return self.fail("damaged object", number, "the last line is torn")
        self.expected = number
        self.raw_bytes += len(raw)
        if self._seqs is not None and not self._seqs.add(seqs):
            return self.fail("edit", first, "a seq is no number, or beyond all others of the run")
        return self._check_heads(view, starts, first)

    def _pass_expired(self, batch: BatchObject, seq: int) -> None:
        """Go on behind records whose time is over. Heads cannot be computed without them; hashes and chain can."""
        if self._seqs is not None:
            self._seqs.pass_before(seq)
        self.expired += batch.first - self.expected
        self.expected, self._chain = batch.first, batch.prev

    def _check_metadata(self, batch: BatchObject, raw: bytes) -> None:
        if self.expected != batch.last + 1:
            return self.fail("edit", self.expected, f"{batch.name} names records up to {batch.last}")
        if hashlib.sha256(raw).hexdigest() != batch.raw_sha256:
            return self.fail("edit", batch.first, f"{batch.name} does not hold the lines that its metadata names")
        if batch.prev != self._chain or batch.chain != chained(batch.prev, batch.raw_sha256):
            return self.fail("edit", batch.first, f"{batch.name} does not continue the chain of the object before it")
        self._chain = batch.chain
        return None

    def _misplaced(self, raw: bytes, position: int, expected: int) -> None:
        offset = lines.offset_of(raw[position : position + len(self._prefix) + lines.OFFSET_DIGITS], self._prefix)
        if offset < 0:
            return self.fail("edit", expected, "the line is none of this stream")
        if offset < expected:
            return self.fail("double", expected, f"record {offset} stands again where {expected} belongs")
        if raw.find(b"%s%012d" % (self._prefix, expected), position) >= 0:
            return self.fail("reordering", expected, f"record {offset} stands where {expected} belongs")
        return self.fail("gap", expected, f"records {expected} to {offset - 1} are missing")

    def _check_heads(self, view: memoryview, starts: list[int], first: int) -> None:
        """Hash on over the lines; a seal whose head does not fit means an edit since the last one that did."""
        if self.expired:
            return None
        done = first
        for cut in self._cuts(first, self.expected):
            self._head.feed(view[starts[done - first] : starts[cut - first]])
            done = cut
            if cut % BLOCK == 0:
                self._head.end_block()
            sealed = self._seals.get(cut - 1)
            if sealed is not None and sealed != self._head.hexdigest():
                detail = f"the seal over records 0 to {cut - 1} does not fit them"
                return self.fail("edit", self._sound, f"{detail}: one of {self._sound} to {cut - 1} was changed")
            if sealed is not None:
                self._sound = cut
        return None

    def _cuts(self, first: int, end: int) -> list[int]:
        """Where blocks end and seals stand behind `first`, and `end`."""
        sealed = self._sealed[bisect_left(self._sealed, first) : bisect_left(self._sealed, end)]
        blocks = range(first - first % BLOCK + BLOCK, end, BLOCK)
        return sorted({*(last + 1 for last in sealed), *blocks, *([end] if end > first else [])})


_SEQ = lines.OFFSET_DIGITS + len('","seq":')
