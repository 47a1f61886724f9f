"""Google's own bill, from the BigQuery export of Cloud Billing (standard or detailed usage cost).

    gcp_billing_export_v1_<account>              standard
    gcp_billing_export_resource_v1_<account>     detailed: the same columns, and resources

It is read only. Amounts are in the billing account's currency; they are divided by the rate that Google wrote beside
them. Google adds rows for days late, and corrects them: a month is final some days after it has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from runner.stores.bigquery_jobs import Deadlines, Jobs

MAX_BYTES = 10 << 30
_SQL = """
SELECT FORMAT_DATE('%Y-%m-%d', DATE(usage_start_time)) AS day, service.description AS service,
  SUM(cost / currency_conversion_rate) AS cost,
  SUM((SELECT IFNULL(SUM(credit.amount), 0) FROM UNNEST(credits) AS credit) / currency_conversion_rate) AS credits
FROM `{table}`
WHERE DATE(usage_start_time) BETWEEN @first AND @last AND (@project = '' OR project.id = @project)
GROUP BY day, service ORDER BY day, service
"""


@dataclass(frozen=True, slots=True)
class Billed:
    """What a service of Google was billed for a day, in US dollars; `credits` (free tiers, discounts) are negative."""

    day: str
    service: str
    cost: Decimal
    credits: Decimal

    @property
    def usd(self) -> Decimal:
        return self.cost + self.credits


class BillingExport:
    """The table of one billing account. Raises `ConfigError` without credentials."""

    def __init__(self, project: str, dataset: str, table: str, *, deadlines: Deadlines | None = None) -> None:
        self._table = f"{project}.{dataset}.{table}"
        self.bytes_billed = 0
        self._jobs = Jobs(
            project,
            dataset,
            location="",
            max_bytes=MAX_BYTES,
            deadlines=deadlines or Deadlines(),
            on_billed=self._count,
        )

    def days(self, first: date, last: date, *, of_project: str = "") -> Sequence[Billed]:
        """What was billed for these days (UTC), of one project or of all. Raises `StoreError`."""
        parameters: Mapping[str, object] = {"first": first, "last": last, "project": of_project}
        rows = self._jobs.ask(_SQL.format(table=self._table), parameters).rows
        return [
            Billed(day, service, Decimal(str(cost)), Decimal(str(taken or 0))) for day, service, cost, taken in rows
        ]

    def close(self) -> None:
        self._jobs.close()

    def _count(self, size: int) -> None:
        self.bytes_billed += size
