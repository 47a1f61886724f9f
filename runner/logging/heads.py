"""Head hashes: what a stream's records were, up to an offset, in 32 bytes.

A stream is cut into blocks of 1,024 records. With `||` for concatenation:

    head after 0 records     H0   = SHA-256("<run>:<stream>")
    head after a whole block Hn+1 = SHA-256(Hn || SHA-256(the block's lines))
    head within a block      SHA-256(Hn || SHA-256(the block's lines so far))

So a head depends on every byte of every record before it and on their order, whoever computes it and from whatever
pieces; and the state at a block's start is small enough to be kept in a checkpoint.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable

BLOCK = 1024

_Bytes = bytes | memoryview
Read = Callable[[int, int], Iterable[bytes]]


class Head:
    """The running head of one stream. Feed whole lines in order; call `end_block` where a block ends."""

    def __init__(self, run: str, stream: str, chain: bytes | None = None) -> None:
        self.chain = chain if chain is not None else hashlib.sha256(f"{run}:{stream}".encode()).digest()
        self._block = hashlib.sha256()
        self._empty = True

    def feed(self, data: _Bytes) -> None:
        if len(data):
            self._block.update(data)
            self._empty = False

    def end_block(self) -> None:
        if not self._empty:
            self.chain = self._folded()
            self._block = hashlib.sha256()
            self._empty = True

    def feed_lines(self, first: int, lines: Iterable[bytes]) -> None:
        """Feed lines whose first has offset `first`, ending blocks where offsets say so."""
        pending = list(lines)
        while pending:
            if first % BLOCK == 0:
                self.end_block()
            taken = BLOCK - first % BLOCK
            self.feed(b"".join(pending[:taken]))
            pending, first = pending[taken:], first + taken

    def copy(self) -> Head:
        """A head that goes on from here without changing this one."""
        copied = object.__new__(Head)
        copied.chain, copied._block, copied._empty = self.chain, self._block.copy(), self._empty
        return copied

    def hexdigest(self) -> str:
        return (self.chain if self._empty else self._folded()).hex()

    def _folded(self) -> bytes:
        return hashlib.sha256(self.chain + self._block.digest()).digest()


class RunningHead:
    """The head over what a stream's writer has written, computed when there is time for it.

    Every method takes `read`, which gives the bytes between two positions of the stream. Hashing a piece releases the
    interpreter, so a thread of its own does it beside a busy caller. A signal handler that comes in while its thread is
    hashing changes nothing. Who holds `lock` keeps others from moving `position` on.
    """

    def __init__(self, run: str, stream: str) -> None:
        self.position = 0
        self._head, self._count = Head(run, stream), 0
        self.lock = threading.RLock()
        self._busy = False

    def advance(self, end: int, read: Read) -> None:
        """Take in everything before `end`. Another thread may have been further already."""
        with self.lock:
            if self._busy or end <= self.position:
                return
            self._busy = True
            try:
                self._head, self._count, self.position = (*self._to(end, read), end)
            finally:
                self._busy = False

    def digest(self, end: int, read: Read) -> str:
        """The head over everything before `end`."""
        with self.lock:
            return self._to(end, read)[0].hexdigest()

    def _to(self, end: int, read: Read) -> tuple[Head, int]:
        """The head over everything before `end`, and how many records that are."""
        head, count = self._head.copy(), self._count
        for piece in read(self.position, end) if end > self.position else ():
            count = _feed_piece(head, count, piece)
        return head, count


def _feed_piece(head: Head, count: int, piece: bytes) -> int:
    """Feed bytes that follow `count` ended lines; returns how many have ended then.

    It goes from line to line: `bytes.count` would hold the interpreter for milliseconds.
    """
    view, start, end = memoryview(piece), 0, 0
    while end := piece.find(b"\n", end) + 1:
        count += 1
        if count % BLOCK == 0:
            head.feed(view[start:end])
            head.end_block()
            start = end
    head.feed(view[start:])
    return count
