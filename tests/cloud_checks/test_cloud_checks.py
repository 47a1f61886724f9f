"""What a look at Google Cloud finds: one thing wrong at a time, and what it says to do about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from runner.errors import ConfigError
from runner.operations.checks import Check
from tests.cloud_checks.conftest import Examine
from tests.cloud_checks.fake_google import BASE, DATASET, NUMBER, PREFIX, PROJECT, FakeGoogle

Body = dict[str, Any]
Change = Callable[[Body], object]

TRADES = f"storage/storage/v1/b/{PREFIX}-tron-trade-logs"
COMPLIANCE = f"storage/storage/v1/b/{PREFIX}-tron-compliance-logs"
DATABASE = f"firestore/v1/{BASE}"
FIELDS, INDEXES = f"{DATABASE}/collectionGroups/-/fields", f"{DATABASE}/collectionGroups/-/indexes"
TOPIC = f"pubsub/v1/projects/{PROJECT}/topics/tron-records"
ALERTS = f"pubsub/v1/projects/{PROJECT}/subscriptions/alerts"
TABLES = f"bigquery/bigquery/v2/projects/{PROJECT}/datasets/{DATASET}"
PROJECT_ITSELF = f"cloudresourcemanager/v3/projects/{PROJECT}"
APIS = f"serviceusage/v1/projects/{PROJECT}/services:batchGet"


def put(*path: str | int, value: Any) -> Change:
    """Sets what lies at a path in a body."""

    def change(body: Any) -> None:
        for part in path[:-1]:
            body = body[part]
        body[path[-1]] = value

    return change


def drop(*path: str | int) -> Change:
    """Takes away what lies at a path in a body."""

    def change(body: Any) -> None:
        for part in path[:-1]:
            body = body[part]
        del body[path[-1]]

    return change


def bad(checks: list[Check]) -> list[Check]:
    return [check for check in checks if not check.good]


WRONG: dict[str, tuple[str, Change, str, str, str]] = {
    "project that ends": (
        PROJECT_ITSELF,
        put("state", value="DELETE_REQUESTED"),
        "project",
        "is DELETE_REQUESTED",
        f"gcloud projects undelete {PROJECT}",
    ),
    "API off": (
        APIS,
        put("services", 2, "state", value="DISABLED"),
        "APIs",
        "off: pubsub.googleapis.com",
        f"gcloud services enable pubsub.googleapis.com --project={PROJECT}",
    ),
    "bucket of somebody else": (
        TRADES,
        put("projectNumber", value="999"),
        "bucket trade-logs",
        "belongs to another project (number 999)",
        "choose another prefix",
    ),
    "no lifecycle": (
        TRADES,
        drop("lifecycle"),
        "bucket trade-logs",
        "lacks: delete after 365 days",
        "gcloud storage buckets update gs://acme-tron-trade-logs --lifecycle-file",
    ),
    "deleted a day early": (
        TRADES,
        put("lifecycle", "rule", 0, "condition", "age", value=364),
        "bucket trade-logs",
        "lacks: delete after 365 days; has: delete after 364 days",
        "terraform apply",
    ),
    "move for small objects, too": (
        TRADES,
        drop("lifecycle", "rule", 1, "condition", "sizeAboveBytes"),
        "bucket trade-logs",
        "NEARLINE after 30 days when larger than",
        "terraform apply",
    ),
    "rule of somebody else": (
        TRADES,
        lambda body: body["lifecycle"]["rule"].append(
            {"action": {"type": "Delete"}, "condition": {"age": 7, "matchesPrefix": ["logs/"]}}
        ),
        "bucket trade-logs",
        "deletes before the 365 days are over",
        "gcloud storage buckets describe gs://acme-tron-trade-logs",
    ),
    "could be public": (
        TRADES,
        put("iamConfiguration", "publicAccessPrevention", value="inherited"),
        "bucket trade-logs",
        "could be made public",
        "--public-access-prevention",
    ),
    "object permissions": (
        TRADES,
        drop("iamConfiguration", "uniformBucketLevelAccess"),
        "bucket trade-logs",
        "permissions of their own",
        "--uniform-bucket-level-access",
    ),
    "no retention policy": (
        COMPLIANCE,
        drop("retentionPolicy"),
        "bucket compliance-logs",
        "can be deleted after 0 days, not after 2555",
        "--retention-period=220752000s",
    ),
    "retention a day short": (
        COMPLIANCE,
        put("retentionPolicy", "retentionPeriod", value=str(2554 * 86_400)),
        "bucket compliance-logs",
        "after 2554 days",
        "--retention-period=220752000s",
    ),
    "retention where it prevents deletion": (
        TRADES,
        put("retentionPolicy", value={"retentionPeriod": str(400 * 86_400)}),
        "bucket trade-logs",
        "keeps objects 400 days, and 365 are wanted",
        "--clear-retention-period",
    ),
    "database in the other mode": (
        DATABASE,
        put("type", value="DATASTORE_MODE"),
        "database",
        "is in the mode DATASTORE_MODE",
        "in native mode",
    ),
    "no expiry": (
        FIELDS,
        lambda body: [one.pop("ttlConfig", None) for one in body["fields"] if "/live_trades/" in one["name"]],
        "expiry of live_trades",
        "is off",
        "gcloud firestore fields ttls update expire_at --collection-group=live_trades --enable-ttl --database='tron'",
    ),
    "expiry that failed": (
        FIELDS,
        put("fields", 1, "ttlConfig", "state", value="NEEDS_REPAIR"),
        "expiry of live_trades",
        "in the state NEEDS_REPAIR",
        "--enable-ttl",
    ),
    "everything indexed": (
        FIELDS,
        drop("fields", 0),
        "indexed fields",
        "not as in firestore.indexes.json: live_trades.*",
        "firebase deploy --only firestore",
    ),
    "index missing": (
        INDEXES,
        drop("indexes", 1),
        "index on live_cognitive",
        "is missing",
        "gcloud firestore indexes composite create --collection-group=live_cognitive "
        "--field-config=field-path=bot,order=ascending --field-config=field-path=ts,order=descending",
    ),
    "index the other way round": (
        INDEXES,
        put("indexes", 0, "fields", 1, "order", value="ASCENDING"),
        "index on live_alerts",
        "is missing",
        "composite create",
    ),
    "no dead letters": (
        ALERTS,
        drop("deadLetterPolicy"),
        "subscription alerts",
        "has no dead letters",
        "--dead-letter-topic=tron-records-dead-letter --max-delivery-attempts=5",
    ),
    "dead letters into nothing": (
        ALERTS,
        put("deadLetterPolicy", "deadLetterTopic", value="_deleted-topic_"),
        "subscription alerts",
        "was deleted",
        "--dead-letter-topic=tron-records-dead-letter",
    ),
    "subscription that ends": (
        ALERTS,
        put("expirationPolicy", value={"ttl": "2678400s"}),
        "subscription alerts",
        "when nobody listens for 2678400s",
        "--expiration-period=never",
    ),
    "detached subscription": (
        ALERTS,
        put("detached", value=True),
        "subscription alerts",
        "detached",
        "terraform apply",
    ),
    "nobody keeps dead letters": (
        f"{TOPIC}-dead-letter/subscriptions",
        drop("subscriptions"),
        "dead letters",
        "they are lost",
        "gcloud pubsub subscriptions create tron-records-dead-letter",
    ),
    "dataset elsewhere": (
        TABLES,
        put("location", value="europe-west1"),
        "dataset",
        "lies in europe-west1, and the buckets in US-CENTRAL1",
        "tron restore --warehouse",
    ),
    "column of another type": (
        f"{TABLES}/tables/ohlcv",
        put("schema", "fields", 6, "type", value="FLOAT64"),
        "table ohlcv",
        "close is FLOAT(38, 12), not BIGNUMERIC(38, 12)",
        "tron restore --warehouse",
    ),
    "column that must be there": (
        f"{TABLES}/tables/loads",
        put("schema", "fields", 4, "mode", value="REQUIRED"),
        "table loads",
        "load_id must have a value",
        "",
    ),
    "table without days": (
        f"{TABLES}/tables/ohlcv",
        drop("timePartitioning"),
        "table ohlcv",
        "by day of nothing",
        "make the table anew",
    ),
}


def test_a_project_in_which_everything_is_right_needs_nothing(found: Examine) -> None:
    checks = found()

    assert bad(checks) == []
    names = {check.name for check in checks}
    assert {"project", "clock", "APIs", "database", "expiry", "indexed fields", "indexes", "dataset", "tables"} <= names
    assert {"bucket compliance-logs", "roles on compliance-logs", "topic tron-records", "dead letters"} <= names


@pytest.mark.parametrize(("key", "change", "name", "words", "advice"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_with_what_to_do(
    google: FakeGoogle, found: Examine, key: str, change: Change, name: str, words: str, advice: str
) -> None:
    google.edit(key, change)

    wrong = bad(found())

    assert {check.name for check in wrong} == {name}
    assert any(words in check.found and advice in check.advice and check.good is False for check in wrong), wrong


MISSING = {
    "bucket": (TRADES, "bucket trade-logs", "gcloud storage buckets create gs://acme-tron-trade-logs"),
    "database": (DATABASE, "database", "gcloud firestore databases create --database='tron'"),
    "topic": (TOPIC, "topic tron-records", "gcloud pubsub topics create tron-records"),
    "dead letters": (f"{TOPIC}-dead-letter", "topic tron-records-dead-letter", "gcloud pubsub topics create"),
    "dataset": (TABLES, "dataset", "bq mk --dataset"),
}


@pytest.mark.parametrize(("key", "name", "advice"), MISSING.values(), ids=MISSING)
def test_what_is_missing_is_named_with_the_command_that_makes_it(
    google: FakeGoogle, found: Examine, key: str, name: str, advice: str
) -> None:
    del google.answers[key]

    (check,) = bad(found())

    assert (check.name, check.good, check.found) == (name, False, "is missing")
    assert advice in check.advice


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (TRADES, "bucket trade-logs"),
        (DATABASE + "/collectionGroups/-/fields", "expiry and fields"),
        (INDEXES, "indexes"),
        (TOPIC + "/subscriptions", "subscriptions"),
        (TABLES + "/tables", "tables"),
        (APIS, "APIs"),
    ],
)
@pytest.mark.parametrize(
    ("status", "reason", "good", "words", "advice"),
    [
        (403, "IAM_PERMISSION_DENIED", None, "may not be looked at", "roles/|storage.buckets.get"),
        (403, "SERVICE_DISABLED", False, "its API is off", "gcloud services enable"),
        (429, "", None, "could not be looked at", "try again"),
        (503, "", None, "could not be looked at", "try again"),
        (400, "", False, "no", "docs/deploy.md"),
    ],
)
def test_a_refusal_is_told_as_what_it_means(
    google: FakeGoogle,
    found: Examine,
    key: str,
    name: str,
    status: int,
    reason: str,
    good: bool | None,
    words: str,
    advice: str,
) -> None:
    google.refuse(key, status, reason=reason)

    check = next(check for check in bad(found()) if check.name == name)

    assert check.good is good
    assert words in check.found
    assert any(one in check.advice for one in advice.split("|")), check.advice


def test_a_project_that_cannot_be_seen_ends_the_look(google: FakeGoogle, found: Examine) -> None:
    google.refuse(PROJECT_ITSELF, 403, "caller does not have permission", "IAM_PERMISSION_DENIED")

    (check,) = bad(found())

    assert check.good is False
    assert f"{PROJECT} does not exist, or nobody" in check.found
    assert "GOOGLE_CLOUD_PROJECT" in check.advice
    assert len(google.asked) == 1


def test_where_nobody_tells_of_the_project_everything_else_is_still_looked_at(
    google: FakeGoogle, found: Examine
) -> None:
    google.refuse("cloudresourcemanager/", 403, "it has not been used", "SERVICE_DISABLED")

    checks = found()

    assert {check.name for check in bad(checks)} == {"project", "roles on the project"}
    assert "gcloud services enable cloudresourcemanager.googleapis.com" in bad(checks)[0].advice
    assert len(checks) > 20


def test_stores_in_two_projects_are_told_before_anything_else(google: FakeGoogle, found: Examine) -> None:
    checks = found(TRON_STREAM="pubsub://other-project")

    assert checks[0].good is False
    assert "other-project" in checks[0].found
    assert not any("other-project" in one for one in google.asked)


@pytest.mark.parametrize(
    ("purpose", "permission", "name", "advice"),
    [
        ("ship", "storage.objects.create", "roles on trade-logs", "tronBotObjects"),
        ("read", "storage.objects.list", "roles on trade-logs", "roles/storage.objectViewer"),
        ("ship", "pubsub.topics.publish", "roles on tron-records", "roles/pubsub.publisher"),
        ("read", "bigquery.tables.getData", "roles on the dataset", "roles/bigquery.dataViewer"),
        ("export", "bigquery.tables.updateData", "roles on the dataset", "roles/bigquery.dataEditor"),
        ("export", "bigquery.jobs.create", "roles on the project", "roles/bigquery.jobUser"),
        ("all", "storage.objects.create", "roles on trade-logs", "roles/storage.objectUser"),
    ],
)
def test_a_permission_that_lacks_is_named_with_the_role_that_gives_it(
    google: FakeGoogle, found: Examine, purpose: str, permission: str, name: str, advice: str
) -> None:
    google.denied |= {permission, f"{COMPLIANCE}/iam/testPermissions storage.objects.delete"}

    wrong = {check.name: check for check in bad(found(purpose))}

    assert permission in wrong[name].found
    assert advice in wrong[name].advice


def test_a_bot_that_may_delete_what_must_be_kept_is_told(google: FakeGoogle, found: Examine) -> None:
    (check,) = bad(found("ship"))
    google.denied.add("storage.objects.delete")

    assert "may delete what must be kept" in check.found
    assert bad(found("ship")) == []


def test_permissions_that_are_not_needed_are_not_asked_for(google: FakeGoogle, found: Examine) -> None:
    google.denied |= {"storage.objects.list", "bigquery.tables.updateData", "storage.objects.delete"}

    assert bad(found("ship")) == []


@pytest.mark.parametrize("purpose", ["ship", "read"])
def test_who_is_kept_out_of_the_database_is_told_and_nothing_is_written(
    google: FakeGoogle, found: Examine, purpose: str
) -> None:
    google.denied.add("storage.objects.delete")
    google.refuse(f"{DATABASE}/documents", 403, "Missing or insufficient permissions.")

    (check,) = bad(found(purpose))

    role = "roles/datastore.user" if purpose == "ship" else "roles/datastore.viewer"
    assert check.name == "roles on the database"
    assert f"gcloud projects add-iam-policy-binding {PROJECT} --member=user:YOU --role={role}" in check.advice


@pytest.mark.parametrize("ahead", [timedelta(minutes=3), -timedelta(hours=1)])
def test_a_clock_that_is_wrong_is_told(google: FakeGoogle, found: Examine, ahead: timedelta) -> None:
    google.ahead = ahead

    (check,) = bad(found())

    assert check.name == "clock"
    assert ("behind" if ahead > timedelta() else "ahead of") in check.found
    assert "timedatectl" in check.advice


@pytest.mark.parametrize(
    ("key", "path"), [(FIELDS, ("fields", 1, "ttlConfig", "state")), (INDEXES, ("indexes", 0, "state"))]
)
def test_what_google_is_still_making_is_neither_good_nor_to_be_fixed(
    google: FakeGoogle, found: Examine, key: str, path: tuple[str | int, ...]
) -> None:
    google.edit(key, put(*path, value="CREATING"))

    (check,) = bad(found())

    assert check.good is None
    assert "minutes" in check.advice


@pytest.mark.parametrize("location", ["US", "us", "us-central1"])
def test_a_dataset_of_the_same_continent_is_near_enough(google: FakeGoogle, found: Examine, location: str) -> None:
    google.edit(TABLES, put("location", value=location))

    assert bad(found()) == []


def test_only_stores_on_google_cloud_are_looked_at(google: FakeGoogle, found: Examine) -> None:
    found(TRON_LIVE_STORE="", TRON_STREAM="memory:", TRON_WAREHOUSE="")

    assert {one.split(" ")[1].partition("/")[0] for one in google.asked} == {
        "cloudresourcemanager",
        "serviceusage",
        "storage",
    }


def test_where_no_store_is_on_google_cloud_that_is_said(google: FakeGoogle, found: Examine) -> None:
    with pytest.raises(ConfigError, match="no store is on Google Cloud"):
        found(TRON_LIVE_STORE="", TRON_ARCHIVE="", TRON_STREAM="memory:", TRON_WAREHOUSE="")


def test_without_a_project_that_is_said(google: FakeGoogle, found: Examine) -> None:
    with pytest.raises(ConfigError, match="nothing names the project") as raised:
        found(GOOGLE_CLOUD_PROJECT="", TRON_LIVE_STORE="", TRON_STREAM="memory:", TRON_WAREHOUSE="")

    assert "GOOGLE_CLOUD_PROJECT" in raised.value.hint


def test_who_is_not_asked_for_the_number_of_the_project_still_sees_buckets(google: FakeGoogle, found: Examine) -> None:
    google.edit(PROJECT_ITSELF, drop("name"))

    assert bad(found()) == []
    assert NUMBER not in str(found())
