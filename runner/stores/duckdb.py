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
from glob import escape
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
_SHOW = re.compile(r"\s*SHOW\b", re.IGNORECASE)
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
        with _failures(sql), TemporaryDirectory(prefix="tron-") as rest, duckdb.connect(":memory:") as connection:
            for stream in self._columns:
                files = self._files(stream, (unshipped or {}).get(stream, b""), Path(rest))
                connection.execute(_stream_view(stream, files, self._columns[stream]))
            connection.execute(_records_view(self._columns))
            for view in self._shape_views(sql):
                connection.execute(view)
            for setting in _restrictions([self._parts.root, Path(rest)]):
                connection.execute(setting)
            answer = _answer(connection.sql(sql, params=list(parameters)))
        self._count(queries=1)
        return answer

    def _files(self, stream: str, lines: bytes, folder: Path) -> list[str]:
        """What a stream's view reads: `lines` as a file in `folder` (perhaps no rows), then all parts there are."""
        parts = self._parts.paths(stream)
        rest = folder / f"{stream}.parquet"
        write_table(rest, without_loaded(table(stream, lines, f"the journal of {stream}"), parts))
        return [str(rest), *(escape(str(path)) for path in parts)]

    def _shape_views(self, sql: str) -> Iterator[str]:
        """What defines the tables, and all views where the query names one of them or asks for the list."""
        for one in self._shapes.tables:
            yield _table_view(
                one, sorted(str(path) for path in (self._parts.root / "tables" / one.name).glob("*.parquet"))
            )
        named = (view.name.lower() for view in self._shapes.views)
        if any(name in sql.lower() for name in named) or _SHOW.match(sql):
            yield from map(_translated_view, self._shapes.views)

    def _count(self, **operations: int) -> None:
        with self._counting:
            self.operations.update(operations)

    def close(self) -> None:
        """Nothing is held open."""


def _stream_view(stream: str, files: Sequence[str], columns: Sequence[Column]) -> str:
    taken = {column.name for column in ENVELOPE}
    selected = ", ".join(["*", *(_payload(column) for column in columns if column.name not in taken)])
    return f'CREATE VIEW "{stream}" AS SELECT {selected} FROM read_parquet([{_texts(files)}])'


def _payload(column: Column) -> str:
    if column.type is ColumnType.JSON:
        return f"""json_extract(data, '$.{column.name}') AS "{column.name}\""""
    text = f"json_extract_string(data, '$.{column.name}')"
    return f'TRY_CAST({text} AS {_SQL_TYPES[column.type]}) AS "{column.name}"'


def _records_view(streams: Mapping[str, Sequence[Column]]) -> str:
    names = ", ".join(f'"{column.name}"' for column in ENVELOPE)
    return "CREATE VIEW records AS " + " UNION ALL ".join(f'SELECT {names} FROM "{stream}"' for stream in streams)


def _table_view(shape: TableShape, files: Sequence[str]) -> str:
    """Old files may lack younger columns; they are null there."""
    types = ", ".join(f'"{column.name}" {_SQL_TYPES[column.type]}' for column in shape.columns)
    nothing = f"SELECT unnest(NULL::STRUCT({types})) WHERE false"
    rows = f" UNION ALL BY NAME SELECT * FROM read_parquet([{_texts(files)}], union_by_name = true)" if files else ""
    return f'CREATE VIEW "{shape.name}" AS {nothing}{rows}'


def _translated_view(shape: ViewShape) -> str:
    from runner.stores.dialects import to_duckdb

    return f'CREATE VIEW "{shape.name}" AS {to_duckdb(shape.sql)}'


def _restrictions(folders: Sequence[Path]) -> tuple[str, ...]:
    return (
        "SET TimeZone = 'UTC'",
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
