"""Acknowledgements that survive SIGKILL: ids in a shared file, one region a thread.

A region is a count and that many ids. The count is written after the id, so a killed thread acknowledges whole ids.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

THREADS = 4
CAPACITY = 20_000
_ID = 64
_HEADER = 64
_REGION = _HEADER + CAPACITY * _ID


class Acknowledged:
    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.truncate(descriptor, THREADS * _REGION)
        self._map = mmap.mmap(descriptor, THREADS * _REGION)
        os.close(descriptor)

    def add(self, thread: int, number: int, identity: str) -> None:
        """Thread `thread` got its record number `number` acknowledged."""
        start = thread * _REGION
        place = start + _HEADER + number * _ID
        self._map[place : place + _ID] = identity.encode().ljust(_ID)
        self._map[start : start + 8] = (number + 1).to_bytes(8, "little")

    def ids(self) -> list[str]:
        found: list[str] = []
        for start in range(0, THREADS * _REGION, _REGION):
            count = int.from_bytes(self._map[start : start + 8], "little")
            places = range(start + _HEADER, start + _HEADER + count * _ID, _ID)
            found += [self._map[place : place + _ID].decode().strip() for place in places]
        return found

    def close(self) -> None:
        self._map.close()
