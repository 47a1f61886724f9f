"""When a store fails, and how: by a script, at random from a seed, or while an outage lasts."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.errors import StoreUnavailable


def _unavailable() -> BaseException:
    return StoreUnavailable("the store is made to fail", "it is a test")


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure. With `after`, the store does what it was asked, and only the answer is lost."""

    error: BaseException = field(default_factory=_unavailable)
    after: bool = False


Faults = Callable[[str], Fault | None]
"""Given the operation that is about to happen ("create", "commit", "publish", ...): the fault to meet, or None."""


def in_turn(*faults: Fault | None) -> Faults:
    """Each operation meets the next one; when all are used up, nothing fails."""
    left = iter(faults)
    return lambda operation: next(left, None)


def at_random(seed: int, share: float = 0.2) -> Faults:
    """A share of all operations fails, half of these after the effect. The same seed gives the same failures."""
    dice = random.Random(seed)

    def choose(operation: str) -> Fault | None:
        return Fault(after=dice.random() < 0.5) if dice.random() < share else None

    return choose


@dataclass(slots=True)
class Outage:
    """Everything fails while `down` is set."""

    down: bool = True

    def __call__(self, operation: str) -> Fault | None:
        return Fault() if self.down else None
