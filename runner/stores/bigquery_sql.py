"""The GoogleSQL of the BigQuery warehouse, as text: what it defines, how it loads, how it adds what is not loaded yet.

    records_<stream>   a table a stream: the envelope with `data` as JSON, and the load that brought each record
    <stream>           a view on it: the envelope and the payload's columns, typed
    records            a view on the envelope of all streams
    loads              a table: which archive objects are loaded (the ledger)
    loading_<...>      a table a load, where its objects are staged; gone after the load, or after a day

What is not a query takes no parameters but is written whole, because not every BigQuery passes parameters on into
scripts. It holds nothing of a user's: names that this code chose, times, numbers, and object names as quoted literals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.stores.columns import ENVELOPE, Column, ColumnType
from runner.stores.dialects import google_text, with_common, within
from runner.stores.shapes import Shapes, TableShape, ViewShape

SQL_TYPES = {
    ColumnType.TEXT: "STRING",
    ColumnType.INTEGER: "INT64",
    ColumnType.FLOAT: "FLOAT64",
    ColumnType.DECIMAL: "BIGNUMERIC(38, 12)",
    ColumnType.BOOLEAN: "BOOL",
    ColumnType.TIMESTAMP: "TIMESTAMP",
    ColumnType.DATE: "DATE",
    ColumnType.JSON: "JSON",
}
DIFFERENT_ROWS = "the staged rows are not those of the objects"
RECORDS = "records"
_LOAD_ID = Column("load_id", ColumnType.TEXT)
_FROM_ID = {
    "run": r"REGEXP_EXTRACT({id}, r'^(.+):[a-z]+:[0-9]+$')",
    "stream": r"REGEXP_EXTRACT({id}, r':([a-z]+):[0-9]+$')",
    "offset": r"CAST(REGEXP_EXTRACT({id}, r'[0-9]+$') AS INT64)",
}
STAGED = tuple(column for column in ENVELOPE if column.name not in _FROM_ID)
"""What a staged line holds; the rest of the envelope is in its id."""
LEDGER = TableShape(
    "loads",
    (
        Column("object", ColumnType.TEXT),
        Column("stream", ColumnType.TEXT),
        Column("bucket", ColumnType.TEXT),
        Column("records", ColumnType.INTEGER),
        Column("load_id", ColumnType.TEXT),
        Column("loaded_at", ColumnType.TIMESTAMP),
    ),
    day="loaded_at",
    cluster=("stream",),
    key=("object",),
)


def records_table(stream: str) -> TableShape:
    """Where the records of a stream lie, by the day of `ts`."""
    return TableShape(f"{RECORDS}_{stream}", (*ENVELOPE, _LOAD_ID), day="ts", cluster=("bot", "kind"), key=("id",))


def type_of(column: Column) -> str:
    return SQL_TYPES[column.type]


@dataclass(frozen=True, slots=True)
class Load:
    """One load: its objects' names and numbers of records by name, and the first and last `ts` in them."""

    id: str
    stream: str
    bucket: str
    records: Mapping[str, int]
    first: datetime
    last: datetime

    @property
    def staging(self) -> str:
        return f"loading_{self.stream}_{self.id}"


class Dataset:
    """Names and statements of one dataset. `columns` are the payload's, by stream."""

    def __init__(self, project: str, name: str, columns: Mapping[str, Sequence[Column]], shapes: Shapes) -> None:
        self.project = project
        self.name = name
        self.streams = {stream: _without_envelope(own) for stream, own in columns.items()}
        self.tables = (*map(records_table, self.streams), LEDGER, *shapes.tables)
        self.views = (*self._stream_views(), self._records_view(), *map(self._placed, shapes.views))
        self._inner = {records_table(stream).name for stream in self.streams}

    def full(self, table: str) -> str:
        """The quoted name of a table, wherever it is asked for."""
        return f"`{self.project}.{self.name}.{table}`"

    @property
    def visible(self) -> dict[str, tuple[Column, ...]]:
        """The columns of everything that people ask for, by name."""
        views = {view.name: view.columns for view in self.views}
        return views | {table.name: table.columns for table in self.tables if table.name not in self._inner}

    def present_columns(self) -> str:
        """A query for every table and column that is there."""
        return f"SELECT table_name, column_name FROM `{self.project}.{self.name}`.INFORMATION_SCHEMA.COLUMNS"

    def present_views(self) -> str:
        """A query for every view that is there and its SQL."""
        return f"SELECT table_name, view_definition FROM `{self.project}.{self.name}`.INFORMATION_SCHEMA.VIEWS"

    def changes(self, columns: Mapping[str, set[str]], views: Mapping[str, str]) -> list[str]:
        """Statements that make the dataset what it should be: missing tables, missing columns, views that differ.

        What is there is given by name. Columns are only ever added, and may be null; nothing is dropped.
        """
        return [*self._table_changes(columns), *self._view_changes(columns, views)]

    def _table_changes(self, present: Mapping[str, set[str]]) -> Iterator[str]:
        for table in self.tables:
            if table.name not in present:
                yield self._create_table(table)
                continue
            for column in table.columns:
                if column.name not in present[table.name]:
                    added = f"ADD COLUMN IF NOT EXISTS `{column.name}` {type_of(column)}"
                    yield f"ALTER TABLE {self.full(table.name)} {added}"

    def _create_table(self, table: TableShape) -> str:
        columns = ", ".join(f"`{column.name}` {type_of(column)}" for column in table.columns)
        is_date = any(column.type is ColumnType.DATE for column in table.columns if column.name == table.day)
        day = f"`{table.day}`" if is_date else f"DATE(`{table.day}`)"
        cluster = f" CLUSTER BY {_names(table.cluster)}" if table.cluster else ""
        return f"CREATE TABLE IF NOT EXISTS {self.full(table.name)} ({columns}) PARTITION BY {day}{cluster}"

    def _view_changes(self, columns: Mapping[str, set[str]], present: Mapping[str, str]) -> Iterator[str]:
        """A view that has columns which we do not know is a later version's, whose processes may be asking it now."""
        for view in self.views:
            if columns.get(view.name, set()) - {column.name for column in view.columns}:
                continue
            if _essence(present.get(view.name, "")) != _essence(view.sql):
                yield f"CREATE OR REPLACE VIEW {self.full(view.name)} AS {view.sql}"

    def _stream_views(self) -> Iterator[ViewShape]:
        envelope = _names(column.name for column in ENVELOPE)
        for stream, columns in self.streams.items():
            selected = ", ".join((envelope, *map(_payload, columns)))
            sql = f"SELECT {selected} FROM {self.full(records_table(stream).name)}"
            yield ViewShape(stream, (*ENVELOPE, *columns), sql)

    def _records_view(self) -> ViewShape:
        envelope = _names(column.name for column in ENVELOPE)
        tables = [self.full(records_table(stream).name) for stream in self.streams]
        return ViewShape(RECORDS, ENVELOPE, " UNION ALL ".join(f"SELECT {envelope} FROM {table}" for table in tables))

    def _placed(self, view: ViewShape) -> ViewShape:
        return ViewShape(view.name, view.columns, within(view.sql, self.project, self.name))

    def loaded(self) -> str:
        """A query for the objects of `@stream` that are loaded."""
        return f"SELECT DISTINCT object FROM {self.full(LEDGER.name)} WHERE stream = @stream"

    def merge(self, load: Load) -> str:
        """A script that moves staged rows into their table and writes the ledger: all of it, or nothing.

        It answers with `added`, the records that were not there before.
        """
        target, staging = self.full(records_table(load.stream).name), self.full(load.staging)
        expected = sum(load.records.values())
        days = f"ts BETWEEN {_moment(load.first)} AND {_moment(load.last)}"
        return ";\n".join(
            (
                f"SELECT IF(COUNT(*) = {expected}, 0, ERROR('{DIFFERENT_ROWS}')) AS checked FROM {staging}",
                "BEGIN TRANSACTION",
                _merge_records(load, target, staging, days),
                _merge_ledger(load, self.full(LEDGER.name)),
                "COMMIT TRANSACTION",
                f"SELECT COUNT(*) AS added FROM {target} WHERE {days} AND load_id = '{load.id}'",
            )
        )

    def with_unshipped(self, sql: str, tables: Iterable[str], streams: Sequence[str]) -> str:
        """A query that also reads the lines of `streams`, given as the parameters `@unshipped_<stream>`.

        `tables` are those that it reads; lines whose record is loaded count once.
        """
        read = set(tables)
        streams = [stream for stream in streams if stream in read or RECORDS in read]
        common = {f"`{stream}`": self._with_lines(stream) for stream in streams}
        if RECORDS in read and streams:
            envelope = _names(column.name for column in ENVELOPE)
            sources = [f"`{stream}`" if stream in streams else self.full(stream) for stream in self.streams]
            common[f"`{RECORDS}`"] = " UNION ALL ".join(f"SELECT {envelope} FROM {source}" for source in sources)
        return with_common(common, sql)

    def _with_lines(self, stream: str) -> str:
        envelope = ", ".join(_from_line(column) for column in ENVELOPE)
        payload = "".join(f", {_payload(column)}" for column in self.streams[stream])
        lines = f"SELECT PARSE_JSON(line, wide_number_mode => 'round') AS line FROM UNNEST(@unshipped_{stream}) AS line"
        loaded = f"SELECT id FROM {self.full(records_table(stream).name)} WHERE ts >= @unshipped_since"
        return (
            f"SELECT * FROM {self.full(stream)} UNION ALL SELECT *{payload} FROM (SELECT {envelope} FROM ({lines})) "
            f"WHERE id NOT IN ({loaded})"
        )


def _essence(sql: str) -> str:
    """A view's text without white space and quotes, of which not every BigQuery keeps all."""
    return "".join(sql.replace("'", "").split())


def _without_envelope(columns: Sequence[Column]) -> tuple[Column, ...]:
    taken = {column.name for column in ENVELOPE}
    return tuple(column for column in columns if column.name not in taken)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _payload(column: Column) -> str:
    """A payload's value as its column's type; null where it does not fit."""
    if column.type is ColumnType.JSON:
        return f"JSON_QUERY(data, '$.{column.name}') AS `{column.name}`"
    value = f"JSON_VALUE(data, '$.{column.name}')"
    typed = value if column.type is ColumnType.TEXT else f"SAFE_CAST({value} AS {type_of(column)})"
    return f"{typed} AS `{column.name}`"


def _from_line(column: Column) -> str:
    """An envelope's column out of a whole line, as JSON."""
    if column.name in _FROM_ID:
        return _FROM_ID[column.name].format(id="JSON_VALUE(line, '$.id')") + f" AS `{column.name}`"
    if column.type is ColumnType.JSON:
        return f"JSON_QUERY(line, '$.{column.name}') AS `{column.name}`"
    return f"CAST(JSON_VALUE(line, '$.{column.name}') AS {type_of(column)}) AS `{column.name}`"


def _merge_records(load: Load, target: str, staging: str, days: str) -> str:
    derived = ", ".join(f"{text.format(id='id')} AS `{name}`" for name, text in _FROM_ID.items())
    staged = _names(column.name for column in STAGED)
    names = [column.name for column in (*ENVELOPE, _LOAD_ID)]
    source = (
        f"SELECT {staged}, {derived}, '{load.id}' AS load_id FROM {staging} WHERE TRUE "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY seq) = 1"
    )
    return (
        f"MERGE INTO {target} AS target USING ({source}) AS staged ON target.id = staged.id AND target.{days} "
        f"WHEN NOT MATCHED THEN INSERT ({_names(names)}) VALUES ({', '.join(f'staged.`{name}`' for name in names)})"
    )


def _merge_ledger(load: Load, ledger: str) -> str:
    objects = ", ".join(
        f"STRUCT({google_text(name)} AS object, {count} AS records)" for name, count in load.records.items()
    )
    values = f"one.object, '{load.stream}', '{load.bucket}', one.records, '{load.id}', CURRENT_TIMESTAMP()"
    return (
        f"MERGE INTO {ledger} AS ledger USING (SELECT object, records FROM UNNEST([{objects}])) AS one "
        "ON ledger.object = one.object "
        f"WHEN NOT MATCHED THEN INSERT ({_names(column.name for column in LEDGER.columns)}) VALUES ({values})"
    )


def _moment(at: datetime) -> str:
    return f"TIMESTAMP '{at.isoformat(sep=' ', timespec='microseconds')}'"
