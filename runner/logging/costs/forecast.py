"""What a month will cost: what is spent, and the days that are left at the mean of the last complete days.

The range is two standard deviations of the sum that is still to come, from the scatter of those days and from how few
they are: with n days, mean m and deviation s, the rest of r days is r x m, plus or minus 2 x s x sqrt(r + r^2 / n).
With fewer than three complete days nothing is known of the scatter; the range is then from half to twice the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import sqrt
from statistics import fmean, stdev

from runner.logging.costs.bill import NOTHING

DAYS = 14
_ENOUGH = 3
_LEAST_DAY = 1 / 24


@dataclass(frozen=True, slots=True)
class Forecast:
    """US dollars of the whole month: the middle, the range around it, and how it was found."""

    usd: Decimal
    low: Decimal
    high: Decimal
    method: str


def forecast(daily: Mapping[str, Decimal], now: datetime) -> Forecast:
    """The month that `now` is in, from what each of its days (`YYYY-MM-DD`) has cost so far; today is not over."""
    today = f"{now:%Y-%m-%d}"
    so_far = sum(daily.values(), NOTHING)
    left = _days_left(now)
    complete = [float(daily.get(day, NOTHING)) for day in _days_before(now, daily)]
    if not complete:
        return _from_today(so_far, daily.get(today, NOTHING), left)
    known = complete[-DAYS:]
    middle = left * fmean(known)
    if len(known) < _ENOUGH:
        return _ranged(so_far, middle, middle / 2, middle * 2, f"the mean of {len(known)} days; half to twice the rest")
    spread = 2 * stdev(known) * sqrt(left + left * left / len(known))
    method = f"the mean of the last {len(known)} complete days, two standard deviations around it"
    return _ranged(so_far, middle, middle - spread, middle + spread, method)


def _ranged(so_far: Decimal, middle: float, low: float, high: float, method: str) -> Forecast:
    sums = [so_far + Decimal(repr(max(0.0, rest))) for rest in (middle, low, high)]
    return Forecast(sums[0], sums[1], sums[2], method)


def _from_today(so_far: Decimal, today: Decimal, left: float) -> Forecast:
    passed = max(_LEAST_DAY, 1 - left % 1)
    middle = left * float(today) / passed
    return _ranged(so_far, middle, middle / 2, middle * 2, "today's pace so far; half to twice the rest")


def _days_before(now: datetime, daily: Mapping[str, Decimal]) -> Sequence[str]:
    """Every day of the month from the first that cost anything to yesterday."""
    if not daily:
        return []
    first = datetime.fromisoformat(f"{min(daily)}T00:00:00+00:00")
    return [f"{first + timedelta(days=number):%Y-%m-%d}" for number in range((now - first).days)]


def _days_left(now: datetime) -> float:
    """Days of the month that are still to come, with the rest of today."""
    following = (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
    return (following - now).total_seconds() / 86_400
