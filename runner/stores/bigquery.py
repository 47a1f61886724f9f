"""The warehouse on BigQuery. What it holds is said in `bigquery_sql`; this module talks to Google.

- It is filled from objects that lie on Google Cloud Storage, by load jobs with explicit lists of URIs. A load job fills
  a staging table of its own, so no table sees more than a few of the 1,500 load jobs that it may have a day.
- One transaction merges the staged records by id into their table and writes the ledger. Whoever loads the same objects
  at the same time makes one of the two transactions fail, which is tried again and then finds nothing to do.
- A load job's id is that of its objects and the attempt. A job of an earlier attempt is never relied on: its id is
  refused by Google, and the next attempt replaces what it staged.
- Tables, views and columns that are missing are made on first use. Nothing is ever dropped or narrowed.
- A query is refused before it runs when it would be billed more than `max_bytes`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from threading import Lock
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from google.api_core import exceptions as google
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from runner.clock import Clock, SystemClock
from runner.errors import StoreRejected, StoreUnavailable
from runner.layout import is_batch_object
from runner.stores.base import Part, Table
from runner.stores.bigquery_sql import DIFFERENT_ROWS, STAGED, Dataset, Load, type_of
from runner.stores.cloud import Place, emulator, failures_as_ours, opening
from runner.stores.columns import Column
from runner.stores.dialects import Form, Statement, from_duckdb, tables_of
from runner.stores.parquet import table
from runner.stores.shapes import Shapes

EMULATOR = "BIGQUERY_EMULATOR_HOST"
USD_PER_TIB = Decimal("6.25")
MAX_BYTES = 100 << 30
UNSHIPPED_BYTES = 5 << 20
_TIB = 1 << 40
_OBJECTS_PER_LOAD = 1000
_NUMBERED_ATTEMPTS = 20
_REQUEST_SECONDS, _QUERY_SECONDS, _LOAD_SECONDS = 30.0, 120.0, 600.0
_STAGED_FOR = timedelta(days=1)
_PLAIN_URI = re.compile(r"[A-Za-z0-9._/%=-]+")
_PASSING = ("concurrent update", "aborted", DIFFERENT_ROWS)
_USED_UP = ("quotaExceeded", "rateLimitExceeded", "Quota exceeded", "Exceeded rate limits")
_PARAMETER_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "BOOL"),
    (int, "INT64"),
    (float, "FLOAT64"),
    (Decimal, "BIGNUMERIC"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
    (bytes, "BYTES"),
    (str, "STRING"),
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a query would read, in bytes, and cost at the on-demand price."""

    bytes: int
    usd: Decimal


class BigqueryWarehouse:
    """A `Warehouse` in the dataset `project.name`. Safe among threads.

    `columns` are the payload's, by stream; `archive` is the prefix of the buckets `gs://<archive>-tron-...` it is filled
    from. Raises `ConfigError` where there are no credentials.
    """

    def __init__(
        self,
        project: str,
        name: str,
        columns: Mapping[str, Sequence[Column]],
        *,
        archive: str,
        shapes: Shapes | None = None,
        location: str = "",
        max_bytes: int = MAX_BYTES,
        clock: Clock | None = None,
    ) -> None:
        self.operations: Counter[str] = Counter()
        self._dataset = Dataset(project, name, columns, shapes or Shapes())
        self._archive = archive
        self._max_bytes = max_bytes
        self._clock = clock or SystemClock()
        self._lock = Lock()
        self._is_ready = False
        credentials = AnonymousCredentials() if emulator(EMULATOR) else None  # type: ignore[no-untyped-call]  # google's
        with opening(f"bigquery://{project}/{name}"):
            self._client = bigquery.Client(project, credentials=credentials, location=location or None)

    def loaded(self, stream: str) -> frozenset[str]:
        self._prepare()
        rows = self._rows(self._dataset.loaded(), {"stream": stream})
        return frozenset(row[0] for row in rows)

    def load(self, parts: Sequence[Part]) -> int:
        """See `Warehouse`. When one part is rejected, none of the call's is loaded."""
        contents = [(part, table(part.stream, part.lines, f"{part.bucket}/{part.name}")) for part in parts]
        for part in parts:
            _check_name(part)
        added = 0
        ordered = sorted(contents, key=lambda content: (content[0].stream, content[0].bucket))
        for (stream, bucket), group in groupby(ordered, lambda content: (content[0].stream, content[0].bucket)):
            loaded = self.loaded(stream)
            new = {part.name: (part, rows) for part, rows in group if part.name not in loaded}
            for start in range(0, len(new), _OBJECTS_PER_LOAD):
                added += self._load(stream, bucket, list(new.values())[start : start + _OBJECTS_PER_LOAD])
        return added

    def query(self, sql: str, parameters: Sequence[Any] = (), *, unshipped: Mapping[str, bytes] | None = None) -> Table:
        """See `Warehouse`. The SQL is DuckDB's, as for the embedded warehouse; EXPLAIN tells what a query would cost."""
        lines = self._checked(unshipped or {})
        statement = from_duckdb(sql, self._dataset.visible)
        numbered = {f"p{number}": value for number, value in enumerate(parameters, start=1)}
        answer = self._answer(statement, numbered, lines)
        self._count(queries=1)
        return answer

    def google_query(
        self, sql: str, parameters: Mapping[str, Any], *, unshipped: Mapping[str, bytes] | None = None
    ) -> Table:
        """Run one GoogleSQL query that only reads, with its named parameters. `unshipped` as for `query`."""
        lines = self._checked(unshipped or {})
        answer = self._select(Statement(Form.SELECT, sql, tables_of(sql, self._dataset.visible)), parameters, lines)
        self._count(queries=1)
        return answer

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """What `query` answers, as an Arrow table; JSON is text in it."""
        self._prepare()
        statement = from_duckdb(sql, self._dataset.visible)
        numbered = {f"p{number}": value for number, value in enumerate(parameters, start=1)}
        rows = self._rows(statement.sql, numbered)
        self._count(queries=1)
        with self._failures_as_ours():
            return rows.to_arrow(create_bqstorage_client=False, timeout=_QUERY_SECONDS)

    def frame(self, sql: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """What `query` answers, as a DataFrame."""
        return self.arrow(sql, parameters).to_pandas()

    def estimate(self, sql: str, parameters: Sequence[Any] = ()) -> Estimate:
        """What a query would read and cost, without running it."""
        statement = from_duckdb(sql, self._dataset.visible)
        return self._estimate(statement, {f"p{number}": value for number, value in enumerate(parameters, start=1)})

    def close(self) -> None:
        self._client.close()

    def _prepare(self) -> None:
        """Make what is missing, once."""
        with self._lock:
            if self._is_ready:
                return
            present: dict[str, set[str]] = {}
            for name, column in self._rows(self._dataset.present_columns(), {}):
                present.setdefault(name, set()).add(column)
            for change in self._dataset.changes(present):
                self._rows(change, {})
            self._is_ready = True

    def _load(self, stream: str, bucket: str, contents: Sequence[tuple[Part, pa.Table]]) -> int:
        parts = [part for part, _ in contents]
        load = _load_of(stream, bucket, contents)
        self._stage(load, parts)
        ((added,),) = self._rows(self._dataset.merge(load), {})
        with self._failures_as_ours():
            self._client.delete_table(self._id(load), not_found_ok=True, retry=None, timeout=_REQUEST_SECONDS)
        self._count(loads=len(parts), rows=int(added), bytes=sum(len(part.lines) for part in parts))
        return int(added)

    def _stage(self, load: Load, parts: Sequence[Part]) -> None:
        """Fill the staging table of a load: from the objects; from their lines where a URI cannot name one exactly."""
        staging = bigquery.Table(self._id(load), schema=_schema(STAGED))
        staging.expires = self._clock.now() + _STAGED_FOR
        uris = [f"gs://{self._archive}-tron-{part.bucket}/{part.name}" for part in parts]
        by_name = all(_PLAIN_URI.fullmatch(part.name) for part in parts)
        with self._failures_as_ours(self._objects(load)):
            self._client.create_table(staging, exists_ok=True, retry=None, timeout=_REQUEST_SECONDS)
            for attempt in _attempts():
                job_id = f"tron_{load.staging}_{attempt}"
                try:
                    job = self._from_uris(load, uris, job_id) if by_name else self._from_lines(load, parts, job_id)
                except google.Conflict:
                    continue
                job.result(retry=None, timeout=_LOAD_SECONDS)
                return

    def _from_uris(self, load: Load, uris: Sequence[str], job_id: str) -> bigquery.LoadJob:
        return self._client.load_table_from_uri(
            uris, self._id(load), job_id=job_id, job_config=_staging_job(), retry=None, timeout=_REQUEST_SECONDS
        )

    def _from_lines(self, load: Load, parts: Sequence[Part], job_id: str) -> bigquery.LoadJob:
        lines = io.BytesIO(b"".join(part.lines for part in parts))
        return self._client.load_table_from_file(
            lines, self._id(load), job_id=job_id, job_config=_staging_job(), num_retries=0, timeout=_LOAD_SECONDS
        )

    def _answer(self, statement: Statement, parameters: Mapping[str, Any], lines: Mapping[str, bytes]) -> Table:
        if statement.form is Form.SHOW_TABLES:
            return Table(("name",), tuple((name,) for name in sorted(self._dataset.visible)))
        if statement.form is Form.DESCRIBE:
            (name,) = statement.tables
            columns = self._dataset.visible[name]
            return Table(("column_name", "column_type"), tuple((one.name, type_of(one)) for one in columns))
        if statement.form is Form.EXPLAIN:
            estimate = self._estimate(statement, parameters)
            return Table(("bytes", "usd"), ((estimate.bytes, estimate.usd),))
        return self._select(statement, parameters, lines)

    def _select(self, statement: Statement, parameters: Mapping[str, Any], lines: Mapping[str, bytes]) -> Table:
        self._prepare()
        sql = self._dataset.with_unshipped(statement.sql, statement.tables, list(lines))
        rest: dict[str, Any] = {f"unshipped_{stream}": _lines(content) for stream, content in lines.items()}
        if rest:
            rest["unshipped_since"] = min(_first_ts(stream, content) for stream, content in lines.items())
        rows = self._rows(sql, {**parameters, **rest})
        is_json = [field.field_type == "JSON" for field in rows.schema]
        values = (
            tuple(_text(value) if json_ else value for value, json_ in zip(row.values(), is_json, strict=True))
            for row in rows
        )
        return Table(tuple(field.name for field in rows.schema), tuple(values))

    def _estimate(self, statement: Statement, parameters: Mapping[str, Any]) -> Estimate:
        self._prepare()
        config = self._config(parameters)
        config.dry_run, config.use_query_cache = True, False
        with self._failures_as_ours():
            job = self._client.query(
                statement.sql, config, retry=None, job_retry=None, timeout=_REQUEST_SECONDS
            )
        size = int(job.total_bytes_processed or 0)
        return Estimate(size, USD_PER_TIB * size / _TIB)

    def _rows(self, sql: str, parameters: Mapping[str, Any]) -> bigquery.table.RowIterator:
        """The rows that a query or the last query of a script answers with."""
        with self._failures_as_ours():
            job = self._client.query(
                sql, self._config(parameters), retry=None, job_retry=None, timeout=_REQUEST_SECONDS
            )
            rows = job.result(retry=None, job_retry=None, timeout=_QUERY_SECONDS)
        if job.total_bytes_billed:
            self._count(bytes_billed=job.total_bytes_billed)
        return rows

    def _config(self, parameters: Mapping[str, Any]) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            default_dataset=f"{self._dataset.project}.{self._dataset.name}",
            query_parameters=[_parameter(name, value) for name, value in parameters.items()],
            maximum_bytes_billed=self._max_bytes,
            labels={"product": "tron"},
        )
        config.job_timeout_ms = int(_QUERY_SECONDS * 1000)
        return config

    def _checked(self, unshipped: Mapping[str, bytes]) -> dict[str, bytes]:
        """The lines of streams that have any. Raises `StoreRejected` for a stream that does not exist, and for too many."""
        unknown = sorted(unshipped.keys() - self._dataset.streams.keys())
        if unknown:
            known = ", ".join(self._dataset.streams)
            raise StoreRejected(f"there is no stream {unknown[0]!r}", f"the streams are {known}")
        size = sum(map(len, unshipped.values()))
        if size > UNSHIPPED_BYTES:
            raise StoreRejected(
                f"{size} bytes of records are not in the warehouse yet, more than a query can carry",
                "run `tron ship` and `tron export`, and ask again",
            )
        return {stream: lines for stream, lines in unshipped.items() if lines}

    def _id(self, load: Load) -> str:
        return f"{self._dataset.project}.{self._dataset.name}.{load.staging}"

    def _count(self, **operations: int) -> None:
        with self._lock:
            self.operations.update(operations)

    def _objects(self, load: Load) -> Place:
        bucket = f"gs://{self._archive}-tron-{load.bucket}"
        name = f"loading {bucket} into {self._dataset.project}.{self._dataset.name}"
        return Place(name, f"roles/storage.objectViewer on {bucket} and {_ROLES}", self._make())

    def _make(self) -> str:
        return f"bq mk --dataset --location=US {self._dataset.project}:{self._dataset.name}"

    @contextmanager
    def _failures_as_ours(self, place: Place | None = None) -> Iterator[None]:
        name = f"dataset {self._dataset.project}.{self._dataset.name}"
        with failures_as_ours(place or Place(name, _ROLES, self._make())):
            try:
                yield
            except google.GoogleAPICallError as error:
                if any(sign in str(error) for sign in _PASSING):
                    raise StoreUnavailable(f"{name}: {error.message}", "it is tried again") from error
                if any(sign in str(error) for sign in _USED_UP):
                    raise google.TooManyRequests(error.message) from error
                raise


_ROLES = "roles/bigquery.dataEditor on the dataset and roles/bigquery.jobUser on the project"
