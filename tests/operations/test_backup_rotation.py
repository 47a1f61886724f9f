"""The rotation keeps the newest of the last days, weeks and months, and never what another backup needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import StoreRejected
from runner.layout import Home
from runner.operations.manifest import created
from runner.operations.restoring import restore_home
from runner.operations.rotation import Periods, kept, rotate
from runner.stores.memory import MemoryArchive
from tests.operations.backups import House, house

NOON = datetime(2030, 6, 3, 12, tzinfo=UTC)


def backup(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}-{'0' * 16}"


def days_of(backups: list[str]) -> list[str]:
    return [f"{created(one):%Y-%m-%d}" for one in backups]


def test_two_years_of_daily_backups_leave_seven_days_four_weeks_and_twelve_months() -> None:
    daily = [backup(NOON - timedelta(days=number)) for number in range(730)]

    assert days_of(kept(daily, Periods())) == [
        *("2029-07-31", "2029-08-31", "2029-09-30", "2029-10-31", "2029-11-30", "2029-12-31", "2030-01-31"),
        *("2030-02-28", "2030-03-31", "2030-04-30", "2030-05-19", "2030-05-26", "2030-05-28", "2030-05-29"),
        *("2030-05-30", "2030-05-31", "2030-06-01", "2030-06-02", "2030-06-03"),
    ]


def test_of_several_backups_of_a_day_the_newest_stays() -> None:
    hourly = [backup(NOON - timedelta(hours=number)) for number in range(12)]

    assert kept(hourly, Periods(daily=1, weekly=0, monthly=0)) == [backup(NOON)]


def test_a_machine_that_was_off_keeps_its_old_backups() -> None:
    old = [backup(NOON - timedelta(days=400 + number)) for number in range(3)]

    assert kept(old, Periods()) == sorted(old)


@given(
    st.lists(st.integers(0, 10_000), min_size=1, unique=True),
    st.integers(1, 10),
    st.integers(0, 6),
    st.integers(0, 24),
)
def test_the_newest_always_stays_and_rotating_again_deletes_nothing(
    hours: list[int], daily: int, weekly: int, monthly: int
) -> None:
    known = [backup(NOON - timedelta(hours=number)) for number in hours]
    staying = kept(known, Periods(daily, weekly, monthly))

    assert max(known) in staying
    assert len(staying) <= daily + weekly + monthly
    assert kept(staying, Periods(daily, weekly, monthly)) == staying


def test_pieces_go_with_the_last_backup_that_needs_them(home: Home, tmp_path: object) -> None:
    built = house(home)
    (home.path / "models").mkdir()
    model = home.path / "models" / "model.txt"
    for number in range(4):
        model.write_text(f"tree {number}" * 1000)
        built.back_up()
        built.tomorrow()
    before = len(list(built.place.list("backups", "home/pieces/")))

    report = rotate(built.vault, Periods(daily=2, weekly=0, monthly=0))

    assert (len(report.kept), len(report.deleted)) == (2, 2)
    assert report.freed > 0
    assert len(list(built.place.list("backups", "home/pieces/"))) < before
    for number, left in enumerate(report.kept):
        made = restore_home(built.vault, left, home.path.with_name(f"again-{number}"))
        assert (made.home.path / "models" / "model.txt").read_text() == f"tree {number + 2}" * 1000


def test_nothing_is_deleted_while_a_backup_that_stays_cannot_be_read(home: Home) -> None:
    built = house(home)
    for _ in range(3):
        newest = built.back_up().backup
        built.tomorrow()
    place, name = built.place, f"home/manifests/{newest}.json"
    assert isinstance(place, MemoryArchive)
    body = place.read("backups", name)
    place.delete("backups", name)
    place.create("backups", name, body[:-10], metadata={}, content_type="application/json")
    before = [info.name for info in place.list("backups")]

    with pytest.raises(StoreRejected, match=newest):
        rotate(built.vault, Periods(daily=1, weekly=0, monthly=0))

    assert [info.name for info in place.list("backups")] == before


def test_what_an_interrupted_backup_left_goes_with_the_next_rotation(home: Home) -> None:
    built = House(home, MemoryArchive())
    built.write(trades=2).close()
    built.vault.put(b"left by a backup that was killed")
    built.back_up()

    assert rotate(built.vault, Periods()).freed > 0
    assert built.vault.unused() == []
