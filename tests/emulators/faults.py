"""Which of the next requests fail, how, and whether the emulator still does what they ask for."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Generic, TypeVar

Status = TypeVar("Status")


@dataclass(frozen=True, slots=True)
class Fault(Generic[Status]):
    """`done`: the request reaches the emulator and only its answer is lost."""

    status: Status
    message: str
    done: bool


class Faults(Generic[Status]):
    """Faults to come, and all requests that were seen. Safe among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._coming: list[tuple[str, Fault[Status]]] = []
        self._seen: list[str] = []

    def fail_next(
        self, status: Status, *, times: int = 1, of: str = "", done: bool = False, message: str = "injected"
    ) -> None:
        """Let the next `times` requests whose name contains `of` fail. `of` is `METHOD /path` or a gRPC method."""
        with self._lock:
            self._coming += [(of, Fault(status, message, done))] * times

    def heal(self) -> None:
        with self._lock:
            self._coming.clear()

    @property
    def seen(self) -> tuple[str, ...]:
        """Names of all requests so far, in order."""
        with self._lock:
            return tuple(self._seen)

    def take(self, name: str) -> Fault[Status] | None:
        """Note a request; its fault, if it has one."""
        with self._lock:
            self._seen.append(name)
            for place, (of, fault) in enumerate(self._coming):
                if of in name:
                    del self._coming[place]
                    return fault
        return None
