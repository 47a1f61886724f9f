"""A range of days that somebody asks for: both ends count, and nonsense is refused before any work begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from runner.errors import ConfigError

MOST_DAYS = 5 * 366
"""More than this is refused: a range of ten years is a slip of the hand, and would be listed day by day."""
_HOW = "days are written like 2025-01-31"


@dataclass(frozen=True, slots=True)
class Days:
    """The days from `first` to `last`, both included, in UTC. Raises `ConfigError` for more than `MOST_DAYS`."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ConfigError(f"the range ends on {self.last}, before it begins on {self.first}", "swap the two days")
        if len(self) > MOST_DAYS:
            raise ConfigError(
                f"{self.first} to {self.last} are {len(self):,} days, and at most {MOST_DAYS:,} are taken at once",
                "ask for one year at a time",
            )

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=number) for number in range(len(self)))

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last


def parse_days(since: str, until: str, *, today: date) -> Days | None:
    """The range that two texts name; None when both are empty.

    Without `until` it ends today, without `since` it is the one day `until`. Raises `ConfigError` for a text that is no
    day, a day in the future, a range that is reversed or too long.
    """
    if not since and not until:
        return None
    last = parse_day(until, today=today) if until else today
    return Days(parse_day(since, today=today) if since else last, last)


def parse_day(text: str, *, today: date) -> date:
    """One day as YYYY-MM-DD. Raises `ConfigError` for anything else, and for a day after `today`."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is not a day", _HOW) from None
    if text != day.isoformat():
        raise ConfigError(f"{text!r} is not a day", _HOW)
    if day > today:
        raise ConfigError(f"{day} is in the future", f"today is {today} (UTC)")
    return day
