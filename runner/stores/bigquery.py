"""The warehouse on BigQuery: what lies where is said in `bigquery_sql`, what is asked of Google in `bigquery_jobs`.

- It is filled from objects that lie on Google Cloud Storage, by load jobs with explicit lists of URIs. A load job
  fills a staging table of its own, so no table comes near the 1,500 load jobs that it may have a day.
- One transaction merges the staged records by id into their table and writes the ledger. Where two load the same
  objects at the same time, one of the transactions fails; tried again, it finds nothing to do.
- A load job's id is that of its objects and the attempt. What an earlier attempt staged is never relied on: the next
  one replaces it, and the transaction is entered only with as many rows as the objects have records.
- Tables, views and columns that are missing are made on first use. Nothing is ever dropped or narrowed.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from threading import Lock
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from runner.clock import Clock, SystemClock
from runner.errors import StoreRejected
from runner.layout import is_batch_object
from runner.stores.base import Part, Table
from runner.stores.bigquery_jobs import Deadlines, Estimate, Jobs, Staging
from runner.stores.bigquery_sql import STAGED, Dataset, Load, type_of
from runner.stores.columns import Column
from runner.stores.dialects import Form, Statement, from_duckdb, tables_of
from runner.stores.parquet import table
from runner.stores.shapes import Shapes

MAX_BYTES = 100 << 30
UNSHIPPED_BYTES = 5 << 20
_OBJECTS_PER_LOAD = 500
_STAGED_FOR = timedelta(days=1)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._/%=-]+")

_Content = tuple[Part, pa.Table]


class BigqueryWarehouse:
    """A `Warehouse` in the dataset `project.name`. Safe among threads.

    `columns` are the payload's, by stream; `archive` is the prefix of the buckets `gs://<archive>-tron-...` that it is
    filled from. A query that would be billed more than `max_bytes` is rejected. Raises `ConfigError` where there are no
    credentials.
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
        deadlines: Deadlines | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.operations: Counter[str] = Counter()
        self._dataset = Dataset(project, name, columns, shapes or Shapes())
        self._jobs = Jobs(
            project,
            name,
            location=location,
            max_bytes=max_bytes,
            deadlines=deadlines or Deadlines(),
            on_billed=self._count_billed,
        )
        self._archive = archive
        self._clock = clock or SystemClock()
        self._preparing, self._counting = Lock(), Lock()
        self._is_ready = False

    def loaded(self, stream: str) -> frozenset[str]:
        self._prepare()
        return frozenset(name for (name,) in self._jobs.run(self._dataset.loaded(), {"stream": stream}).rows)

    def load(self, parts: Sequence[Part]) -> int:
        """See `Warehouse`. When one part's lines are no records, none of the call's is loaded."""
        for part in parts:
            _check_name(part)
        contents = [(part, table(part.stream, part.lines, f"{part.bucket}/{part.name}")) for part in parts]
        added = 0
        for (stream, _), group in groupby(sorted(contents, key=_place), key=_place):
            loaded = self.loaded(stream)
            new = list({part.name: (part, rows) for part, rows in group if part.name not in loaded}.values())
            for start in range(0, len(new), _OBJECTS_PER_LOAD):
                added += self._load(new[start : start + _OBJECTS_PER_LOAD])
        return added

    def query(self, sql: str, parameters: Sequence[Any] = (), *, unshipped: Mapping[str, bytes] | None = None) -> Table:
        """See `Warehouse`. The SQL is DuckDB's, as for the embedded warehouse; EXPLAIN tells what it would cost."""
        self._check_unshipped(unshipped or {})
        statement = self._statement(sql)
        if statement.form is Form.SHOW_TABLES:
            answer = Table(("name",), tuple((name,) for name in sorted(self._dataset.visible)))
        elif statement.form is Form.DESCRIBE:
            answer = self._description(statement)
        elif statement.form is Form.EXPLAIN:
            cost = self.estimate(sql, parameters)
            answer = Table(("bytes", "usd"), ((cost.bytes, cost.usd),))
        else:
            answer = self._select(statement, _numbered(parameters), unshipped or {})
        self._count(queries=1)
        return answer

    def google_query(
        self, sql: str, parameters: Mapping[str, Any], *, unshipped: Mapping[str, bytes] | None = None
    ) -> Table:
        """Run one GoogleSQL query that only reads, with named parameters. `unshipped` as for `query`."""
        self._check_unshipped(unshipped or {})
        statement = Statement(Form.SELECT, sql, tables_of(sql, self._dataset.visible))
        answer = self._select(statement, parameters, unshipped or {})
        self._count(queries=1)
        return answer

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """What `query` answers to a SELECT, as an Arrow table; JSON is text in it."""
        self._prepare()
        answer = self._jobs.arrow(self._statement(sql).sql, _numbered(parameters))
        self._count(queries=1)
        return answer

    def frame(self, sql: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """What `query` answers to a SELECT, as a DataFrame; JSON is text in it."""
        frame: pd.DataFrame = self.arrow(sql, parameters).to_pandas()
        return frame

    def estimate(self, sql: str, parameters: Sequence[Any] = ()) -> Estimate:
        """What a SELECT would read and cost, without running it."""
        self._prepare()
        return self._jobs.estimate(self._statement(sql).sql, _numbered(parameters))

    def close(self) -> None:
        self._jobs.close()

    def _statement(self, sql: str) -> Statement:
        return from_duckdb(sql, self._dataset.visible)

    def _description(self, statement: Statement) -> Table:
        (name,) = statement.tables
        columns = self._dataset.visible[name]
        return Table(("column_name", "column_type"), tuple((column.name, type_of(column)) for column in columns))

    def _select(self, statement: Statement, parameters: Mapping[str, Any], unshipped: Mapping[str, bytes]) -> Table:
        self._prepare()
        lines = {stream: content for stream, content in unshipped.items() if content}
        sql = self._dataset.with_unshipped(statement.sql, statement.tables, list(lines))
        return self._jobs.ask(sql, {**parameters, **_line_parameters(lines)} if sql != statement.sql else parameters)

    def _prepare(self) -> None:
        """Make what is missing in the dataset, once."""
        with self._preparing:
            if self._is_ready:
                return
            self._jobs.check_dataset()
            columns: dict[str, set[str]] = {}
            for name, column in self._jobs.run(self._dataset.present_columns()).rows:
                columns.setdefault(name, set()).add(column)
            views = dict(self._jobs.run(self._dataset.present_views()).rows)
            if changes := self._dataset.changes(columns, views):
                self._jobs.run(";\n".join(changes))
            self._is_ready = True

    def _load(self, contents: Sequence[_Content]) -> int:
        """Load parts of one stream that lie in one bucket."""
        parts = [part for part, _ in contents]
        load = _load_of(contents)
        bucket = f"gs://{self._archive}-tron-{load.bucket}"
        can_be_named = all(part.alone and _PLAIN_NAME.fullmatch(part.name) for part in parts)
        uris = [f"{bucket}/{part.name}" for part in parts] if can_be_named else []
        lines = b"" if can_be_named else b"".join(part.lines for part in parts)
        self._jobs.stage(Staging(load.staging, STAGED, uris, lines, self._clock.now() + _STAGED_FOR))
        ((added,),) = self._jobs.run(self._dataset.merge(load)).rows
        self._jobs.drop(load.staging)
        self._count(loads=len(parts), rows=added, bytes=sum(len(part.lines) for part in parts))
        return int(added)

    def _check_unshipped(self, unshipped: Mapping[str, bytes]) -> None:
        unknown = sorted(unshipped.keys() - self._dataset.streams.keys())
        if unknown:
            known = ", ".join(self._dataset.streams)
            raise StoreRejected(f"there is no stream {unknown[0]!r}", f"the streams are {known}")
        size = sum(map(len, unshipped.values()))
        if size > UNSHIPPED_BYTES:
            raise StoreRejected(
                f"{size} bytes of records are not in the warehouse yet, more than a query can carry",
                "run `tron ship` and `tron export`, then ask again",
            )

    def _count_billed(self, size: int) -> None:
        if size:
            self._count(bytes_billed=size)

    def _count(self, **operations: int) -> None:
        with self._counting:
            self.operations.update(operations)


def _place(content: _Content) -> tuple[str, str]:
    return content[0].stream, content[0].bucket


def _check_name(part: Part) -> None:
    if not is_batch_object(part.name) or not part.name.rpartition("/")[2].startswith(f"{part.stream}_"):
        raise StoreRejected(f"{part.bucket}/{part.name} is not an archive object of stream {part.stream}")


def _load_of(contents: Sequence[_Content]) -> Load:
    """A load is known by its objects."""
    stream, bucket = _place(contents[0])
    records = {part.name: rows.num_rows for part, rows in contents}
    names = "\n".join(sorted(records)).encode()
    first, last = _span([rows for _, rows in contents])
    return Load(hashlib.sha256(names).hexdigest()[:16], stream, bucket, records, first, last)


def _span(tables: Sequence[pa.Table]) -> tuple[datetime, datetime]:
    """The first and the last `ts`; no time at all where there are no rows."""
    span = pc.min_max(pa.concat_tables(tables)["ts"]).as_py()
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return span["min"] or epoch, span["max"] or epoch


def _numbered(parameters: Sequence[Any]) -> dict[str, Any]:
    return {f"p{number}": value for number, value in enumerate(parameters, start=1)}


def _line_parameters(lines: Mapping[str, bytes]) -> dict[str, Any]:
    """Lines, by stream, and the first `ts` in them, as a query takes them. Raises `StoreRejected` for what is none."""
    tables = [table(stream, content, f"the journal of {stream}") for stream, content in lines.items()]
    texts = {f"unshipped_{stream}": content.decode().strip("\n").split("\n") for stream, content in lines.items()}
    return {**texts, "unshipped_since": _span(tables)[0]}
