from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from runner.errors import ConfigError, StoreError
from runner.settings import Costs, Settings
from runner.stores.billing import BillingExport
from runner.stores.open import open_billing
from tests.emulators.emulator import Emulator

TABLE = "gcp_billing_export_resource_v1_01ABCD_2EF345_678901"
ROWS = (
    ("Cloud Firestore", "2026-11-03 10:00:00+00", "tron", "1.50", "-0.50", "1"),
    ("Cloud Firestore", "2026-11-03 11:00:00+00", "tron", "0.25", None, "1"),
    ("Cloud Storage", "2026-11-04 00:00:00+00", "tron", "8.00", None, "0.8"),
    ("Cloud Storage", "2026-11-04 00:00:00+00", "another", "99", None, "1"),
    ("Cloud Firestore", "2026-12-01 00:00:00+00", "tron", "77", None, "1"),
)
COLUMNS = (
    "service STRUCT<id STRING, description STRING>, sku STRUCT<id STRING, description STRING>, "
    "usage_start_time TIMESTAMP, project STRUCT<id STRING, name STRING>, cost FLOAT64, currency STRING, "
    "currency_conversion_rate FLOAT64, credits ARRAY<STRUCT<name STRING, amount FLOAT64>>"
)


@pytest.fixture
def export(bigquery_emulator: Emulator, demo_project: str) -> Iterator[BillingExport]:
    """The export of a billing account with three days in it."""
    client = bigquery.Client(demo_project, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]  # Google's
    client.create_dataset("billing")
    name = f"`{demo_project}.billing.{TABLE}`"
    client.query(f"CREATE TABLE {name} ({COLUMNS})").result()
    for service, start, project, cost, credit, rate in ROWS:
        taken = f"[STRUCT('free tier', {credit})]" if credit else "[]"
        client.query(
            f"INSERT INTO {name} (service, sku, usage_start_time, project, cost, currency, currency_conversion_rate, "
            f"credits) VALUES (STRUCT('x', {json.dumps(service)}), STRUCT('y', 'z'), TIMESTAMP '{start}', "
            f"STRUCT('{project}', '{project}'), {cost}, 'EUR', {rate}, {taken})"
        ).result()
    client.close()
    opened = BillingExport(demo_project, "billing", TABLE)
    yield opened
    opened.close()


def test_what_google_billed_is_read_by_day_and_service_in_dollars_with_credits_taken_off(
    export: BillingExport,
) -> None:
    found = export.days(date(2026, 11, 1), date(2026, 11, 30), of_project="tron")

    assert [(one.day, one.service, one.usd) for one in found] == [
        ("2026-11-03", "Cloud Firestore", Decimal("1.25")),
        ("2026-11-04", "Cloud Storage", Decimal("10")),
    ]


def test_without_a_project_all_of_the_account_are_summed(export: BillingExport) -> None:
    found = export.days(date(2026, 11, 4), date(2026, 11, 4))

    assert [(one.service, one.usd) for one in found] == [("Cloud Storage", Decimal(109))]


def test_days_without_a_bill_are_no_rows(export: BillingExport) -> None:
    assert list(export.days(date(2020, 1, 1), date(2020, 1, 31))) == []


def test_a_table_that_is_missing_is_told(bigquery_emulator: Emulator, demo_project: str) -> None:
    export = BillingExport(demo_project, "nowhere", TABLE)
    try:
        with pytest.raises(StoreError):
            export.days(date(2026, 11, 1), date(2026, 11, 30))
    finally:
        export.close()


@pytest.mark.parametrize("url", ["nonsense", "bigquery://demo-x/billing", "gs://demo-x/billing/table"])
def test_an_address_that_is_no_billing_export_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no billing export") as caught:
        open_billing(Settings(costs=Costs(billing=url)))

    assert "bigquery://project/dataset/table" in caught.value.hint
