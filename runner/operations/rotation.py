"""Which backups are kept: the newest of each of the last days, weeks and months that have one.

A day, week (ISO, from Monday) or month without a backup does not count, so that a machine that was off for a while
keeps its old backups. The newest backup is always kept. All times are UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.operations.manifest import created
from runner.operations.vault import Vault


@dataclass(frozen=True, slots=True)
class Periods:
    """How many days, weeks and months keep their newest backup."""

    daily: int = 7
    weekly: int = 4
    monthly: int = 12


@dataclass(frozen=True, slots=True)
class RotationReport:
    """Backups that were kept and deleted, by id, and the bytes that were freed."""

    kept: tuple[str, ...]
    deleted: tuple[str, ...]
    freed: int


def kept(backups: Iterable[str], periods: Periods) -> list[str]:
    """The backups (by id) that the rotation keeps, oldest first."""
    newest_first = sorted(backups, reverse=True)
    found = set(newest_first[:1])
    for count, period in ((periods.daily, _day), (periods.weekly, _week), (periods.monthly, _month)):
        found.update(_newest_of_each(newest_first, count, period))
    return sorted(found)


def rotate(vault: Vault, periods: Periods) -> RotationReport:
    """Delete the backups that are not kept, then the pieces that no backup needs.

    Raises `StoreRejected` before anything is deleted when a backup that is kept cannot be read: nobody knows which
    pieces it needs. A rotation that is interrupted is finished by the next one.
    """
    known = vault.ids()
    staying = kept(known, periods)
    for backup in staying:
        vault.files(vault.manifest(backup))
    doomed = [backup for backup in known if backup not in set(staying)]
    for backup in doomed:
        vault.delete(backup)
    freed = sum(vault.delete_piece(piece) for piece in vault.unused())
    return RotationReport(tuple(staying), tuple(doomed), freed)


def _newest_of_each(newest_first: Sequence[str], count: int, period: Callable[[datetime], object]) -> list[str]:
    found: dict[object, str] = {}
    for backup in newest_first:
        found.setdefault(period(created(backup)), backup)
    return list(found.values())[:count]


def _day(moment: datetime) -> object:
    return moment.date()


def _week(moment: datetime) -> object:
    return moment.isocalendar()[:2]


def _month(moment: datetime) -> object:
    return moment.year, moment.month
