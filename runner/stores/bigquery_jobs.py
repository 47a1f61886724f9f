"""Jobs on BigQuery: the only part of its warehouse that talks to Google.

Every request is sent once and has a deadline; so has every job, here and where it runs. What people ask is refused
before it reads anything when it would be billed more than `max_bytes`.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from google.api_core import exceptions as google
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery.table import RowIterator

from runner.errors import StoreRejected, StoreUnavailable
from runner.stores.base import Table
from runner.stores.bigquery_sql import DIFFERENT_ROWS, type_of
from runner.stores.cloud import Place, emulator, failures_as_ours, opening, translated
from runner.stores.columns import Column

EMULATOR = "BIGQUERY_EMULATOR_HOST"
USD_PER_TIB = Decimal("6.25")
_TIB = 1 << 40
_ONCE: Any = None
_NUMBERED_ATTEMPTS = 20
_ROLES = "roles/bigquery.dataEditor on the dataset and roles/bigquery.jobUser on the project"
_PASSING = ("concurrent update", "aborted", DIFFERENT_ROWS)
_USED_UP = ("quotaExceeded", "rateLimitExceeded", "Quota exceeded", "Exceeded rate limits")
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "BOOL"),
    (int, "INT64"),
    (float, "FLOAT64"),
    (Decimal, "BIGNUMERIC"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds: for one request, for a query, for a load."""

    request: float = 30.0
    query: float = 120.0
    load: float = 600.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a query would read, in bytes, and cost at the on-demand price."""

    bytes: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Staging:
    """A table to be filled by one load job, from `uris`, or from `lines` where there are none. It expires by itself."""

    name: str
    columns: Sequence[Column]
    uris: Sequence[str]
    lines: bytes
    expires: datetime


class Jobs:
    """Runs jobs in one dataset, and tells `on_billed` the bytes of each. Raises `ConfigError` without credentials."""

    def __init__(
        self,
        project: str,
        dataset: str,
        *,
        location: str,
        max_bytes: int,
        deadlines: Deadlines,
        on_billed: Callable[[int], None],
    ) -> None:
        self._on_billed = on_billed
        self._dataset = f"{project}.{dataset}"
        self._max_bytes = max_bytes
        self._deadlines = deadlines
        create = f"bq mk --dataset --location={location or 'US'} {project}:{dataset}"
        self._place = Place(f"dataset {self._dataset}", _ROLES, create)
        credentials = AnonymousCredentials() if emulator(EMULATOR) else None  # type: ignore[no-untyped-call]  # Google's
        with opening(f"bigquery://{project}/{dataset}"):
            self._client = bigquery.Client(project, credentials=credentials, location=location or None)

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]  # Google's

    def check_dataset(self) -> None:
        """Raises `StoreUnavailable` where it is missing or may not be used."""
        with self._failures_as_ours():
            self._client.get_dataset(self._dataset, retry=_ONCE, timeout=self._deadlines.request)

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Table:
        """Run what the warehouse needs for itself; the answer is that of the last query in it."""
        return self._answer(sql, self._config(parameters or {}, self._deadlines.load), self._deadlines.load)

    def ask(self, sql: str, parameters: Mapping[str, Any]) -> Table:
        """The answer to a query. JSON is text in it."""
        return self._answer(sql, self._asking(parameters), self._deadlines.query)

    def _answer(self, sql: str, config: bigquery.QueryJobConfig, seconds: float) -> Table:
        with self._failures_as_ours():
            rows = self._rows(sql, config, seconds)
            is_json = [field.field_type == "JSON" for field in rows.schema]
            values = tuple(tuple(map(_plain, row.values(), is_json)) for row in rows)
        return Table(tuple(field.name for field in rows.schema), values)

    def arrow(self, sql: str, parameters: Mapping[str, Any]) -> pa.Table:
        """The answer to a query as an Arrow table. JSON is text in it."""
        with self._failures_as_ours():
            rows = self._rows(sql, self._asking(parameters), self._deadlines.query)
            return rows.to_arrow(create_bqstorage_client=False, timeout=self._deadlines.query)

    def estimate(self, sql: str, parameters: Mapping[str, Any]) -> Estimate:
        """What a query would read and cost. It does not run."""
        config = self._asking(parameters)
        config.dry_run, config.use_query_cache = True, False
        with self._failures_as_ours():
            job = self._client.query(sql, config, retry=_ONCE, job_retry=None, timeout=self._deadlines.request)
        size = int(job.total_bytes_processed or 0)
        return Estimate(size, USD_PER_TIB * size / _TIB)

    def stage(self, staging: Staging) -> None:
        """Replace what is in a staging table; make it first where it is missing."""
        table = bigquery.Table(f"{self._dataset}.{staging.name}", schema=_schema(staging.columns))
        table.expires = staging.expires
        with self._failures_as_ours(_place_of_objects(staging, self._place)):
            self._client.create_table(table, exists_ok=True, retry=_ONCE, timeout=self._deadlines.request)
            job = self._load_job(table, staging)
            job.result(retry=_ONCE, timeout=self._deadlines.load)

    def drop(self, name: str) -> None:
        with self._failures_as_ours():
            place = f"{self._dataset}.{name}"
            self._client.delete_table(place, not_found_ok=True, retry=_ONCE, timeout=self._deadlines.request)

    def _load_job(self, table: bigquery.Table, staging: Staging) -> bigquery.LoadJob:
        """A job that was not there before. An id that Google knows was an earlier attempt's, and is used up."""
        for attempt in _attempts():
            options: dict[str, Any] = {"job_id": f"tron_{staging.name}_{attempt}", "job_config": _loading(staging)}
            options["timeout"] = self._deadlines.request
            try:
                if staging.uris:
                    return self._client.load_table_from_uri(list(staging.uris), table, retry=_ONCE, **options)
                return self._client.load_table_from_file(io.BytesIO(staging.lines), table, **options)
            except google.Conflict:
                continue
        raise StoreUnavailable(f"there is no free id for a job that fills {table}", "try again")

    def _rows(self, sql: str, config: bigquery.QueryJobConfig, seconds: float) -> RowIterator:
        job = self._client.query(sql, config, retry=_ONCE, job_retry=None, timeout=self._deadlines.request)
        rows = job.result(retry=_ONCE, job_retry=None, timeout=seconds)
        self._on_billed(job.total_bytes_billed or 0)
        return rows

    def _asking(self, parameters: Mapping[str, Any]) -> bigquery.QueryJobConfig:
        config = self._config(parameters, self._deadlines.query)
        config.maximum_bytes_billed = self._max_bytes
        return config

    def _config(self, parameters: Mapping[str, Any], seconds: float) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            default_dataset=self._dataset,
            query_parameters=[_parameter(name, value) for name, value in parameters.items()],
            labels={"product": "tron"},
        )
        config.job_timeout_ms = int(seconds * 1000)
        return config

    @contextmanager
    def _failures_as_ours(self, place: Place | None = None) -> Iterator[None]:
        place = place or self._place
        with failures_as_ours(place):
            try:
                yield
            except google.GoogleAPICallError as error:
                said = translated(error, place)
                if any(sign in str(error) for sign in _PASSING):
                    raise StoreUnavailable(str(said), "it is tried again") from error
                if any(sign in str(error) for sign in _USED_UP):
                    raise StoreUnavailable(str(said), "a quota is used up for now: it is tried again") from error
                if isinstance(said, StoreRejected):
                    raise StoreRejected(str(said), _how_to_ask(error)) from error
                raise said from error


def _how_to_ask(error: google.GoogleAPICallError) -> str:
    if "bytesBilledLimitExceeded" in str(error) or "bytes billed" in str(error):
        return "ask for fewer days (WHERE ts >= ...) or fewer columns, or raise max_gib in TRON_WAREHOUSE"
    return 'SHOW TABLES lists what can be asked, DESCRIBE "trades" its columns'


def _attempts() -> Iterator[str]:
    """The number of the attempt; from some number on, something that nobody used."""
    yield from map(str, range(_NUMBERED_ATTEMPTS))
    yield uuid.uuid4().hex


def _place_of_objects(staging: Staging, dataset: Place) -> Place:
    if not staging.uris:
        return dataset
    bucket = "/".join(staging.uris[0].split("/")[:3])
    role = f"roles/storage.objectViewer on {bucket} and {dataset.role}"
    return Place(f"{dataset.name}, from {bucket}", role, f"gcloud storage buckets create {bucket}")


def _loading(staging: Staging) -> bigquery.LoadJobConfig:
    return bigquery.LoadJobConfig(
        schema=_schema(staging.columns),
        source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
        write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
        ignore_unknown_values=True,
        labels={"product": "tron"},
    )


def _schema(columns: Sequence[Column]) -> list[bigquery.SchemaField]:
    return [bigquery.SchemaField(column.name, type_of(column)) for column in columns]


def _parameter(name: str, value: Any) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    if isinstance(value, (list, tuple)):
        return bigquery.ArrayQueryParameter(name, _type(value[0]) if value else "STRING", list(value))
    return bigquery.ScalarQueryParameter(name, _type(value), value)


def _type(value: Any) -> str:
    """The GoogleSQL type of a parameter; what is none of Python's numbers and times is text."""
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "STRING")


def _plain(value: Any, is_json: bool) -> Any:
    if not is_json or value is None:
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
