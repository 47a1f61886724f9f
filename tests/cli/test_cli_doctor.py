"""`tron doctor --cloud` as an operator runs it: what it prints, and the status it ends with."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from runner.logging.retention import BUCKETS
from runner.stores.gcs import GcsArchive
from runner.stores.pubsub import PubsubStream
from tests.cli.terminal import Tron
from tests.cloud_checks.fake_google import PREFIX, PROJECT, STORES, FakeGoogle

TRADES = f"storage/storage/v1/b/{PREFIX}-tron-trade-logs"


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    with FakeGoogle() as fake:
        yield fake


def settings(fake: FakeGoogle) -> dict[str, str]:
    return {**STORES, "TRON_GOOGLE_APIS": fake.url}


def test_everything_right_ends_well_and_needs_no_home(tron: Tron, google: FakeGoogle) -> None:
    output = tron.succeeds("doctor", "--cloud", **settings(google))

    assert f"ok   project                          {PROJECT}" in output
    assert "FIX" not in output
    assert not tron.home.path.exists()


def test_something_to_fix_is_told_with_the_command_and_ends_with_1(tron: Tron, google: FakeGoogle) -> None:
    google.edit(TRADES, lambda body: body["iamConfiguration"].pop("publicAccessPrevention"))

    done = tron("doctor", "--cloud", **settings(google))

    assert done.returncode == 1
    assert "FIX  bucket trade-logs" in done.stdout
    assert "gcloud storage buckets update gs://acme-tron-trade-logs --public-access-prevention" in done.stdout


def test_every_check_is_one_json_object_that_programs_can_read(tron: Tron, google: FakeGoogle) -> None:
    google.refuse(TRADES, 403, "denied")

    done = tron("doctor", "--cloud", "--json", **settings(google))
    checks: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.returncode == 1
    assert [check["name"] for check in checks if check["good"] is None] == ["bucket trade-logs", "roles on trade-logs"]
    assert all(check.keys() == {"name", "good", "found", "advice"} for check in checks)


def test_what_cannot_be_seen_is_good_only_for_who_says_so(tron: Tron, google: FakeGoogle) -> None:
    google.refuse(TRADES, 403, "denied")

    assert tron("doctor", "--cloud", **settings(google)).returncode == 1
    assert "?    bucket trade-logs" in tron.succeeds("doctor", "--cloud", "--partial", **settings(google))


def test_what_one_wants_to_do_decides_what_one_must_be_allowed_to(tron: Tron, google: FakeGoogle) -> None:
    google.denied |= {"storage.objects.list", "storage.objects.delete"}

    assert tron("doctor", "--cloud", "--for", "read", **settings(google)).returncode == 1
    tron.succeeds("doctor", "--cloud", "--for", "ship", **settings(google))


def test_without_a_store_on_google_cloud_there_is_nothing_to_look_at(tron: Tron) -> None:
    assert "no store is on Google Cloud" in tron.fails("doctor", "--cloud")


def test_a_wrong_purpose_is_told(tron: Tron) -> None:
    assert "'fly'" in tron.fails("doctor", "--cloud", "--for", "fly")


@pytest.mark.usefixtures("gcs_emulator", "pubsub_emulator", "firestore_emulator")
def test_on_emulators_it_looks_at_what_they_have(tron: Tron, demo_project: str) -> None:
    prefix = f"demo-{uuid.uuid4().hex[:12]}"
    stores = {
        "GOOGLE_CLOUD_PROJECT": demo_project,
        "TRON_LIVE_STORE": f"firestore://{demo_project}",
        "TRON_ARCHIVE": f"gs://{prefix}",
        "TRON_STREAM": f"pubsub://{demo_project}",
    }
    before = tron("doctor", "--cloud", **stores).stdout
    archive, stream = GcsArchive(prefix), PubsubStream(demo_project)
    archive.ensure(BUCKETS)
    stream.ensure(["alerts"])
    archive.close()
    stream.close()

    assert "FIX  bucket trade-logs                is missing" in before
    assert "FIX  topic tron-records               is missing" in before
    after = tron("doctor", "--cloud", **stores).stdout
    assert "ok   bucket trade-logs" in after
    assert "ok   roles on the database            reading and writing (default) is allowed" in after
    assert "ok   topic tron-records               is there" in after
    assert "is missing" not in after


@pytest.mark.usefixtures("gcs_emulator", "bigquery_emulator")
def test_on_emulators_it_knows_a_dataset_that_is_missing(tron: Tron, demo_project: str) -> None:
    warehouse = f"bigquery://{demo_project}/nowhere"
    done = tron("doctor", "--cloud", TRON_ARCHIVE="gs://demo-none", TRON_WAREHOUSE=warehouse)

    assert done.returncode == 1
    assert "FIX  dataset                          is missing" in done.stdout
    assert f"bq mk --dataset --location=REGION {demo_project}:nowhere" in done.stdout
