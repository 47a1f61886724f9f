"""Backups that lie on Cloud Storage, and homes whose archive does."""

from __future__ import annotations

import pytest

from runner.errors import StoreUnavailable
from runner.layout import Home
from runner.logging.audit import Auditor
from runner.logging.routes import COMPLIANCE_LOGS
from runner.operations.backup import take
from runner.operations.drill import drill
from runner.operations.restoring import restore_home
from runner.operations.rotation import Periods, rotate
from runner.operations.vault import BUCKET
from tests.operations.backups import House, house, remote_source
from tests.stores.emulated import open_gcs

BUCKETS = ("trade-logs", "cognitive-archives", "system-logs", "analytics-data", COMPLIANCE_LOGS)


def test_a_home_is_kept_rotated_drilled_and_restored_on_cloud_storage(
    home: Home, request: pytest.FixtureRequest
) -> None:
    built = house(home)
    place = open_gcs(request, BUCKET)
    built = House(home, place, built.clock)
    (home.path / "models").mkdir()
    (home.path / "models" / "large.bin").write_bytes(bytes(range(256)) * 40_000)
    for _ in range(3):
        built.back_up()
        built.tomorrow()

    report = rotate(built.vault, Periods(daily=2, weekly=0, monthly=0))
    found = drill(built.vault, built.clock)
    made = restore_home(built.vault, report.kept[0], home.path.with_name("again"))

    assert (len(report.kept), len(report.deleted), found.findings) == (2, 1, ())
    assert (made.home.path / "models" / "large.bin").stat().st_size == 256 * 40_000
    assert max(info.size for info in place.list(BUCKET)) <= 8 << 20
    place.close()


def test_a_home_whose_archive_is_on_cloud_storage_is_drilled_against_it(
    home: Home, request: pytest.FixtureRequest
) -> None:
    archive = open_gcs(request, BUCKET, *BUCKETS)
    built = House(home, archive)
    built.archive = archive  # type: ignore[assignment]
    writer = built.write(trades=5)
    built.ship_to(archive)
    report = take(remote_source(home, archive), built.vault, built.clock)
    built.write_more(writer, 5)
    built.ship_to(archive)

    found = drill(built.vault, built.clock, remote=archive)
    made = restore_home(built.vault, report.backup, home.path.with_name("again"), archive=archive)

    assert found.findings == ()
    assert made.caught_up > 0
    assert Auditor(archive, made.home, clock=built.clock).verify().complete
    archive.close()


def test_a_missing_bucket_is_told_with_the_way_to_make_it(home: Home, request: pytest.FixtureRequest) -> None:
    built = House(home, open_gcs(request))

    with pytest.raises(StoreUnavailable) as caught:
        built.back_up()
    assert "buckets create" in caught.value.hint or "terraform" in caught.value.hint.lower()
    built.place.close()
