"""An archive that is read until a call's time is over, for work that is worth nothing when it is done by half."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from runner.errors import StoreUnavailable
from runner.stores.base import Archive, ObjectInfo


class _TimedArchive:
    def __init__(self, inner: Archive, seconds_left: Callable[[], float]) -> None:
        self._inner = inner
        self._seconds_left = seconds_left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        for info in self._inner.list(bucket, prefix):
            self._look_at_the_clock()
            yield info

    def read(self, bucket: str, name: str) -> bytes:
        self._look_at_the_clock()
        return self._inner.read(bucket, name)

    def _look_at_the_clock(self) -> None:
        if self._seconds_left() <= 0:
            raise StoreUnavailable(
                "the time was over before everything was read",
                "give the function more time (TRON_FUNCTION_SECONDS), and compact the archive",
            )


def timed(archive: Archive, seconds_left: Callable[[], float]) -> Archive:
    """The archive, which raises `StoreUnavailable` on reading and listing once no second is left."""
    return cast(Archive, _TimedArchive(archive, seconds_left))
