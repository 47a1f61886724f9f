"""The front map: where a line is safe the moment it is stored.

A front is a small file that is allocated on disk, mapped into memory and used as a ring. Storing into it costs no
system call, and the bytes survive the death of the process because they belong to the kernel. They are copied to the
stream's segment soon after (see `journal`), and only then is their place used again.

Layout: a header page of 4096 bytes holding four native 64-bit numbers, then `capacity` bytes of ring.

| number    | meaning                                                          |
|-----------|------------------------------------------------------------------|
| `MAGIC`   | format and version                                               |
| `WRITTEN` | bytes ever stored; the ring position is this modulo the capacity |
| `COPIED`  | bytes that are in segments                                       |
| `SEGMENT` | first offset of the segment that is written now                  |

The writer stores lines itself (`StreamWriter.store`), because nothing may come between the bytes and their count.

Recovery trusts none of these numbers: it looks for every intact line in the ring (`intact_lines`), because after a loss
of power pages may be older than the header, or newer. The format's version that counts is that of `run.json`.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from runner.logging import lines
from runner.logging.disk import allocate, failures_as_journal_errors

HEADER = 4096
MAGIC_V1 = 0x54524F4E_00000001
MAGIC, WRITTEN, COPIED, SEGMENT = range(4)


class Front:
    """The writer's side of a front map."""

    def __init__(self, path: Path, capacity: int) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            allocate(descriptor, HEADER + capacity)
            self.ring = mmap.mmap(descriptor, HEADER + capacity)
            _fault_in(self.ring)
        except BaseException:
            path.unlink()
            raise
        finally:
            os.close(descriptor)
        self.header = memoryview(self.ring)[:HEADER].cast("Q")
        self.header[MAGIC] = MAGIC_V1
        self.capacity = capacity
        self.end = HEADER + capacity

    def slices(self, start: int, end: int) -> list[memoryview]:
        """The bytes between two stream positions: one view, or two where they wrap. Release them before `close`."""
        first, length = start % self.capacity, end - start
        view = memoryview(self.ring)
        if first + length <= self.capacity:
            return [view[HEADER + first : HEADER + first + length]]
        return [view[HEADER + first :], view[HEADER : HEADER + first + length - self.capacity]]

    def sync(self) -> None:
        """Wait until every byte of the front is on disk. Raises `JournalError`."""
        with failures_as_journal_errors():
            self.ring.flush()

    def close(self) -> None:
        self.header.release()
        self.ring.close()


class FrontView:
    """A reader's side, in any process: how far the writer is."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(self.descriptor, HEADER, prot=mmap.PROT_READ)
        except (OSError, ValueError):
            os.close(self.descriptor)
            raise
        self._header = memoryview(self._map).cast("Q")

    @property
    def written(self) -> int:
        return self._header[WRITTEN]

    @property
    def copied(self) -> int:
        return self._header[COPIED]

    @property
    def segment(self) -> int:
        return self._header[SEGMENT]

    def close(self) -> None:
        self._header.release()
        self._map.close()
        os.close(self.descriptor)


def intact_lines(path: Path, run: str, stream: str) -> dict[int, bytes]:
    """Every intact line of a dead writer's front, by offset. Pages may be torn; lines are whole or absent."""
    content = path.read_bytes()
    if len(content) <= HEADER:
        return {}
    ring = content[HEADER:]
    prefix = lines.id_prefix(run, stream)
    found: dict[int, bytes] = {}
    unrolled = ring + ring[: lines.MAX_LINE]
    start = unrolled.find(prefix)
    while 0 <= start < len(ring):
        end = unrolled.find(b"\n", start, start + lines.MAX_LINE) + 1
        line = unrolled[start:end]
        if end and lines.is_intact(line):
            found[lines.offset_of(line, prefix)] = line
        start = unrolled.find(prefix, start + 1)
    found.pop(-1, None)
    return found


def _fault_in(ring: mmap.mmap) -> None:
    for page in range(0, len(ring), mmap.PAGESIZE):
        ring[page] = 0
