"""Near misses: when a strategy comes close to a signal and does not give one."""

from __future__ import annotations

NEAR = 0.8
FAR = 0.5


class NearZone:
    """Tells when closeness (0-1) first reaches `NEAR`, and again only after it has been below `FAR`."""

    __slots__ = ("_inside",)

    def __init__(self) -> None:
        self._inside = False

    def entered(self, closeness: float) -> bool:
        if self._inside:
            self._inside = closeness >= FAR
            return False
        self._inside = closeness >= NEAR
        return self._inside

    def leave(self) -> None:
        """Begin anew, after a signal was given."""
        self._inside = False


def share(value: float, start: float, end: float) -> float:
    """How far `value` has come on the way from `start` to `end`, 0 to 1."""
    if start == end:
        return 0.0
    return min(1.0, max(0.0, (value - start) / (end - start)))
