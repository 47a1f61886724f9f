"""What a look at something found: good, to be fixed, or not to be seen from here; and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `good` is None where it could not be looked at; `advice` says what to do then."""

    name: str
    good: bool | None
    found: str
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "good": self.good, "found": self.found, "advice": self.advice}
