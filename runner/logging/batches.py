"""Batches: intact lines of contiguous offsets of one stream, cut from the journal to become one object."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from isal import isal_zlib

from runner.logging import lines
from runner.logging.reader import CHUNK, Cursor, StreamReader

_GZIP = 31
"""Says that a gzip header and trailer are wanted, with the largest window."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Its lines, in pieces as they were read: joining them would cost as much as hashing them.

    `end` is the place behind the last line.
    """

    pieces: tuple[bytes, ...]
    first: int
    count: int
    end: Cursor

    @property
    def last(self) -> int:
        return self.first + self.count - 1

    def times(self) -> tuple[str, str]:
        """The `ts` of the first and of the last record."""
        first, last = self.pieces[0], self.pieces[-1]
        return lines.head(first[: first.index(b"\n") + 1])[1], lines.head(last[last.rfind(b"\n", 0, -1) + 1 :])[1]

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for piece in self.pieces:
            digest.update(piece)
        return digest.hexdigest()

    def compressed(self) -> bytes:
        return compress(self.pieces)

    def half(self) -> Batch:
        """The first half, for content that compresses too badly for one object."""
        raw, count = b"".join(self.pieces), self.count // 2
        length = sum(map(len, lines.split(raw)[:count]))
        position = self.end.position - len(raw) + length
        end = Cursor(next=self.first + count, segment=self.end.segment, position=position)
        return Batch((raw[:length],), self.first, count, end)


def compress(pieces: Iterable[bytes]) -> bytes:
    """Pieces as one gzip member, the same for the same content."""
    compressor = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP)
    return b"".join((*map(compressor.compress, pieces), compressor.flush()))


def gather(reader: StreamReader, prefix: bytes, cursor: Cursor, limit: int) -> Batch | None:
    """Intact lines of one segment from the cursor on, about `limit` bytes; None when the very next line is damaged."""
    pieces: list[bytes] = []
    count, size, end = 0, 0, cursor
    while size < limit and (chunk := reader.read(min(CHUNK, limit - size))):
        if count and reader.segment != end.segment:
            break
        good, length = intact_prefix(chunk, prefix, cursor.next + count)
        pieces.append(chunk[:length])
        count, size = count + good, size + length
        position = reader.position - len(chunk) + length
        end = Cursor(next=cursor.next + count, segment=reader.segment, position=position)
        if length < len(chunk):
            break
    return Batch(tuple(pieces), cursor.next, count, end) if count else None


def read_range(reader: StreamReader, end: Cursor) -> bytes:
    """Everything from where the reader is to `end`."""
    pieces: list[bytes] = []
    while (reader.segment, reader.position) < (end.segment, end.position) and (chunk := reader.read()):
        pieces.append(chunk[: len(chunk) - max(0, reader.position - end.position)])
    return b"".join(pieces)


def intact_prefix(chunk: bytes, prefix: bytes, first: int) -> tuple[int, int]:
    """How many of a chunk's first lines (and bytes) are intact and carry the offsets `first`, `first + 1`, ..."""
    view, following, length = memoryview(chunk), first, 0
    while end := chunk.find(b"\n", length) + 1:
        if not chunk.startswith(b"%s%012d" % (prefix, following), length):
            break
        if chunk[end - lines.TRAILER : end] != lines.trailer(view[length : end - lines.TRAILER]):
            break
        following, length = following + 1, end
    return following - first, length


def next_intact(chunk: bytes, prefix: bytes, first: int) -> tuple[int, int]:
    """The offset of a chunk's first intact line at or after `first`, and the bytes before it (all if there is none)."""
    length = 0
    for line in lines.split(chunk):
        offset = lines.offset_of(line, prefix)
        if offset >= first and lines.is_intact(line):
            return offset, length
        length += len(line)
    return first, length
