"""The embedded warehouse: DuckDB over Parquet parts.

There is no database file, so nothing is locked between a running bot and a query. A query runs in a DuckDB of its own,
in memory, which sees one view a stream (the envelope and the payload's columns, typed) and the view `records` (the
envelope of all streams, with `data`). It reaches no file but the parts, no network and no setting. Records that are not
loaded yet are written as one more part, in a temporary folder, and read with the others.

Beside the streams there are the tables and views of `Shapes`. A table's rows are `<root>/tables/<name>/*.parquet`; a
view is translated from GoogleSQL, in the queries that name it.

A payload's value that does not fit its column (a DECIMAL(38,12) holds 26 digits before the point) is null there, and
still exact in `data`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from glob import escape
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import duckdb
import pyarrow as pa

from runner.errors import ConfigError, StoreRejected, StoreUnavailable
from runner.stores.base import Part, Table
from runner.stores.columns import ENVELOPE, Column, ColumnType
from runner.stores.parquet import Parts, table, without_loaded, write_table
from runner.stores.shapes import Shapes, TableShape, ViewShape

_SQL_TYPES = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.FLOAT: "DOUBLE",
    ColumnType.DECIMAL: "DECIMAL(38,12)",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.TIMESTAMP: "TIMESTAMPTZ",
    ColumnType.DATE: "DATE",
    ColumnType.JSON: "JSON",
}
_EXPLAIN = re.compile(r"^\s*EXPLAIN\s+(ANALYZE\s+)?", re.IGNORECASE)
_WORD = re.compile(rb"\w+")
_PATTERN_CHARACTERS = frozenset("*?[]{}")
_RECORDS = "records"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_EVERYTHING = re.compile(r"\s*(SHOW|DESCRIBE)\b|duckdb_|information_schema|pragma_|pg_", re.IGNORECASE)
_KEYWORDS = re.compile(r"\b(at|offset)\b", re.IGNORECASE)


class DuckdbWarehouse:
    """A `Warehouse` in the folder `root`. `columns` are the payload's, by stream; its keys are all streams."""

    def __init__(self, root: Path, columns: Mapping[str, Sequence[Column]], shapes: Shapes | None = None) -> None:
        if _PATTERN_CHARACTERS & set(str(root)):
            raise ConfigError(f"the warehouse's folder {root} has a pattern in its name", "leave out * ? [ ] { }")
        self.operations: Counter[str] = Counter()
        self._parts = Parts(root)
        self._columns = {stream: tuple(own) for stream, own in columns.items()}
        self._shapes = shapes or Shapes()
        self._counting = Lock()

    def loaded(self, stream: str) -> frozenset[str]:
        return self._parts.names(stream)

    def load(self, parts: Sequence[Part]) -> int:
        """See `Warehouse`. When one part is rejected, none of the call's is loaded."""
        new = [part for part in parts if not self._parts.has(part)]
        tables = [table(part.stream, part.lines, f"{part.bucket}/{part.name}") for part in new]
        for part, content in zip(new, tables, strict=True):
            self._parts.add(part, content)
        added: int = sum(content.num_rows for content in tables)
        self._count(loads=len(new), rows=added, bytes=sum(len(part.lines) for part in new))
        return added

    def query(self, sql: str, parameters: Sequence[Any] = (), *, unshipped: Mapping[str, bytes] | None = None) -> Table:
        _check_read_only(sql)
        _check_streams(unshipped or {}, self._columns)
        with _failures(sql):
            try:
                answer = self._ask(sql, parameters, unshipped or {}, mixed=False)
            except (duckdb.InvalidInputException, duckdb.BinderException) as error:
                if not _says_mixed(error):
                    raise
                answer = self._ask(sql, parameters, unshipped or {}, mixed=True)
        self._count(queries=1)
        return answer

    def _ask(self, sql: str, parameters: Sequence[Any], unshipped: Mapping[str, bytes], *, mixed: bool) -> Table:
        """Ask where parts are all of one version, or `mixed`: then every part's columns are looked at first."""
        views = self._views_in(sql)
        named = self._streams_in(sql, views)
        with TemporaryDirectory(prefix="tron-") as rest, duckdb.connect(":memory:") as connection:
            read = self._columns if _reads_records(sql) else named
            files = {
                stream: self._files(stream, unshipped.get(stream, b""), Path(rest), always=mixed) for stream in read
            }
            for stream in named:
                connection.execute(_stream_view(stream, files[stream], self._columns[stream], mixed=mixed))
            if _reads_records(sql):
                connection.execute(_records_view(list(chain.from_iterable(files.values())), mixed=mixed))
            for one in self._tables_in(sql):
                connection.execute(_table_view(one, self._table_files(one)))
            for view in views:
                connection.execute(_translated_view(view))
            for setting in _restrictions([self._parts.root, Path(rest)]):
                connection.execute(setting)
            return _answer(connection.sql(sql, params=list(parameters)))

    def _views_in(self, sql: str) -> list[ViewShape]:
        """The views that a query names, and those that they name, in their order; all where it asks what there is."""
        text, found = sql.lower(), []
        for view in reversed(self._shapes.views):
            if view.name.lower() in text or _asks_for_everything(text):
                text += view.sql.lower()
                found.append(view)
        return found[::-1]

    def _streams_in(self, sql: str, views: Sequence[ViewShape]) -> list[str]:
        """The streams that a query may read, by the words in it and in its views: each costs time to look through."""
        text = "\n".join((sql, *(view.sql for view in views))).lower()
        return [stream for stream in self._columns if stream.lower() in text or _asks_for_everything(text)]

    def _files(self, stream: str, lines: bytes, folder: Path, *, always: bool) -> list[str]:
        """What a stream's view reads: `lines` as a file in `folder`, then all parts there are, the newest day first.

        Whoever asks for the newest rows finds them in the first files, and the others are passed over. Where there are
        no lines, that file is there when it is `always` wanted, because it has all columns, or when there are no parts.
        """
        parts = self._parts.paths(stream)
        files = [escape(str(path)) for path in reversed(parts)]
        if parts and not lines and not always:
            return files
        rest = folder / f"{stream}.parquet"
        write_table(rest, without_loaded(table(stream, lines, f"the journal of {stream}"), parts))
        return [str(rest), *files]

    def _tables_in(self, sql: str) -> list[TableShape]:
        text = sql.lower()
        return [one for one in self._shapes.tables if one.name.lower() in text or _asks_for_everything(text)]

    def _table_files(self, shape: TableShape) -> list[str]:
        return sorted(str(path) for path in (self._parts.root / "tables" / shape.name).glob("*.parquet"))

    def _count(self, **operations: int) -> None:
        with self._counting:
            self.operations.update(operations)

    def close(self) -> None:
        """Nothing is held open."""


def _stream_view(stream: str, files: Sequence[str], columns: Sequence[Column], *, mixed: bool) -> str:
    taken = {column.name for column in ENVELOPE}
    selected = ", ".join(["*", *(_payload(column) for column in columns if column.name not in taken)])
    return f'CREATE VIEW "{stream}" AS SELECT {selected} FROM {_parts_of(files, mixed=mixed)}'


def _payload(column: Column) -> str:
    if column.type is ColumnType.JSON:
        return f"""json_extract(data, '$.{column.name}') AS "{column.name}\""""
    text = f"json_extract_string(data, '$.{column.name}')"
    return f'TRY_CAST({text} AS {_SQL_TYPES[column.type]}) AS "{column.name}"'


def _records_view(files: Sequence[str], *, mixed: bool) -> str:
    """All streams are read as one, which is faster than to read each and unite them."""
    names = ", ".join(f'"{column.name}"' for column in ENVELOPE)
    newest = sorted(files, key=_day_of, reverse=True)
    return f"CREATE VIEW records AS SELECT {names} FROM {_parts_of(newest, mixed=mixed)}"


def _day_of(file: str) -> str:
    """The folder of a part's day; what is in no such folder is newer than anything."""
    day = file.split("/")[-3:][0]
    return day if _DAY.fullmatch(day) else "9"


def _parts_of(files: Sequence[str], *, mixed: bool) -> str:
    """Parts of an older version lack younger columns: where they are `mixed`, those are null in them."""
    return f"read_parquet([{_texts(files)}]{', union_by_name = true' if mixed else ''})"


def _table_view(shape: TableShape, files: Sequence[str]) -> str:
    """Old files may lack younger columns; they are null there."""
    types = ", ".join(f'"{column.name}" {_SQL_TYPES[column.type]}' for column in shape.columns)
    nothing = f"SELECT unnest(NULL::STRUCT({types})) WHERE false"
    rows = f" UNION ALL BY NAME SELECT * FROM read_parquet([{_texts(files)}], union_by_name = true)" if files else ""
    return f'CREATE VIEW "{shape.name}" AS {nothing}{rows}'


@cache
def _translated_view(shape: ViewShape) -> str:
    from runner.stores.dialects import to_duckdb

    return f'CREATE VIEW "{shape.name}" AS {to_duckdb(shape.sql)}'


def _restrictions(folders: Sequence[Path]) -> tuple[str, ...]:
    return (
        "SET TimeZone = 'UTC'",
        "SET enable_progress_bar = false",
        "SET python_enable_replacements = false",
        f"SET allowed_directories = [{_texts([str(folder) for folder in folders])}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    )


def _texts(values: Sequence[str]) -> str:
    """SQL text literals."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def _check_read_only(sql: str) -> None:
    """Accept one SELECT or what DuckDB makes of one, perhaps explained; refuse a COPY, which a WITH may hide."""
    with _failures(sql):
        statements = duckdb.extract_statements(_EXPLAIN.sub("", sql))
    reads = len(statements) == 1 and statements[0].type == duckdb.StatementType.SELECT
    if not reads or b"copy" in _keywords(sql):
        raise StoreRejected(
            "only one statement that reads is accepted",
            "use SELECT, WITH, FROM, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN",
        )


def _keywords(sql: str) -> set[bytes]:
    text = sql.encode()
    starts = [start for start, kind in duckdb.tokenize(sql) if kind == duckdb.token_type.keyword]
    return {word.group().lower() for start in starts if (word := _WORD.match(text, start))}


def _says_mixed(error: Exception) -> bool:
    """Whether parts may differ in their columns: DuckDB names the remedy, or misses a column that all records have."""
    said = _first_line(error)
    return "union_by_name" in str(error) or any(f'"{column.name}"' in said for column in ENVELOPE)


def _reads_records(sql: str) -> bool:
    return _RECORDS in sql.lower() or _asks_for_everything(sql)


def _asks_for_everything(sql: str) -> bool:
    return _EVERYTHING.search(sql) is not None


def _check_streams(asked: Mapping[str, bytes], known: Mapping[str, Sequence[Column]]) -> None:
    unknown = sorted(asked.keys() - known.keys())
    if unknown:
        raise StoreRejected(f"there is no stream {unknown[0]!r}", f"the streams are {', '.join(known)}")


def _answer(relation: duckdb.DuckDBPyRelation | None) -> Table:
    if relation is None:
        return Table((), ())
    content: pa.Table = relation.to_arrow_table()
    columns = [_values(column, str(kind)) for column, kind in zip(content.columns, relation.types, strict=True)]
    return Table(tuple(relation.columns), tuple(zip(*columns, strict=True)))


def _values(column: pa.ChunkedArray, kind: str) -> list[Any]:
    """A column as Python values. Arrow has no integer as wide as a sum of integers; it calls it a decimal."""
    values: list[Any] = column.to_pylist()
    return [value if value is None else int(value) for value in values] if kind in ("HUGEINT", "UHUGEINT") else values


@contextmanager
def _failures(sql: str) -> Iterator[None]:
    try:
        yield
    except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
        raise StoreUnavailable(f"the query failed: {_first_line(error)}", "try again") from error
    except (duckdb.Error, pa.ArrowException) as error:
        raise StoreRejected(f"the query failed: {_first_line(error)}", _hint(error, sql)) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _hint(error: Exception, sql: str) -> str:
    if isinstance(error, duckdb.ParserException) and _KEYWORDS.search(sql):
        return 'the columns "at" and "offset" are SQL keywords too: write them in double quotes'
    return 'SHOW TABLES lists what can be asked, DESCRIBE "trades" its columns'
