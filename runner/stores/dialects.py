"""One SQL over two warehouses: what is written for DuckDB becomes GoogleSQL, and the other way round.

People write the SQL of the embedded warehouse and it runs on both. The product's named queries are written in GoogleSQL
and run on both. Neither way may a statement do anything but read tables that the warehouse knows by name.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import ErrorLevel, SqlglotError

from runner.errors import StoreRejected

_DUCKDB, _GOOGLE = "duckdb", "bigquery"
_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(?!ANALYZE)", re.IGNORECASE)
_SHOW_TABLES = re.compile(r"\s*SHOW\s+TABLES\s*;?\s*", re.IGNORECASE)
_DESCRIBE = re.compile(r"\s*DESCRIBE\s+\"?(\w+)\"?\s*;?\s*", re.IGNORECASE)
_KEYWORDS = ("at", "offset")
_NO_COUNTERPART = (exp.ConcatWs,)
_LISTED = "SHOW TABLES lists what can be asked"
_WRITES = (exp.DDL, exp.DML, exp.Command, exp.Copy)

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of what is refused here anyway


class Form(StrEnum):
    SELECT = "select"
    EXPLAIN = "explain"
    DESCRIBE = "describe"
    SHOW_TABLES = "show tables"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that reads: what it is, in GoogleSQL, and the tables that it reads."""

    form: Form
    sql: str
    tables: frozenset[str]


def from_duckdb(sql: str, tables: Collection[str]) -> Statement:
    """DuckDB's SQL as GoogleSQL; its n-th `?` becomes the parameter `@p<n>`, counted from 1.

    Raises `StoreRejected` for more or less than one statement, for one that does not only read, for a table that is
    none of `tables`, and for what GoogleSQL cannot say.
    """
    if _SHOW_TABLES.fullmatch(sql):
        return Statement(Form.SHOW_TABLES, "", frozenset())
    if described := _DESCRIBE.fullmatch(sql):
        return Statement(Form.DESCRIBE, "", frozenset({_known(described.group(1), tables)}))
    explain = _EXPLAIN.match(sql)
    with _failures(sql):
        expression = _parsed(_numbered(sql[explain.end() :] if explain else sql), _DUCKDB)
        _check_columns(expression)
        names = _tables_of(expression, tables)
        text = _rendered(expression, _GOOGLE)
    return Statement(Form.EXPLAIN if explain else Form.SELECT, text, names)


def tables_of(google_sql: str, tables: Collection[str]) -> frozenset[str]:
    """The tables that a GoogleSQL query reads. Raises `StoreRejected` as `from_duckdb` does."""
    with _failures(google_sql):
        return _tables_of(_parsed(google_sql, _GOOGLE), tables)


def to_duckdb(google_sql: str, names: Sequence[str] = ()) -> str:
    """A GoogleSQL query for DuckDB: the parameter `@<name>` becomes `$<n>`, by its place in `names`, counted from 1."""
    with _failures(google_sql):
        expression = _parsed(google_sql, _GOOGLE)
        for parameter in list(expression.find_all(exp.Parameter)):
            parameter.this.replace(exp.Literal.number(names.index(parameter.name) + 1))
        for as_text in list(expression.find_all(exp.JSONFormat)):
            as_text.replace(exp.cast(as_text.this, exp.DataType.Type.TEXT))
        return _rendered(expression, _DUCKDB)


def within(google_sql: str, project: str, dataset: str) -> str:
    """A GoogleSQL query whose tables are those of one dataset, wherever it is asked."""
    with _failures(google_sql):
        expression = _parsed(google_sql, _GOOGLE)
        common = _common_names(expression)
        for table in expression.find_all(exp.Table):
            if table.name.lower() not in common:
                alias = exp.TableAlias(this=exp.to_identifier(table.alias_or_name))
                full = exp.to_identifier(f"{project}.{dataset}.{table.name}", quoted=True)
                table.replace(exp.Table(this=full, alias=alias))
        return _rendered(expression, _GOOGLE)


def with_common(common: Mapping[str, str], google_sql: str) -> str:
    """A GoogleSQL query whose first common table expressions are `common`, by quoted name, in their order."""
    if not common:
        return google_sql
    with _failures(google_sql):
        sql = _rendered(_parsed(google_sql, _GOOGLE), _GOOGLE)
    listed = ",\n".join(f"{name} AS (\n{query}\n)" for name, query in common.items())
    for opening in ("WITH RECURSIVE ", "WITH "):
        if sql.startswith(opening):
            return f"{opening}{listed},\n{sql.removeprefix(opening)}"
    return f"WITH {listed}\n{sql}"


def google_text(value: str) -> str:
    """A GoogleSQL string literal."""
    return exp.Literal.string(value).sql(dialect=_GOOGLE)


def _numbered(sql: str) -> str:
    """Write the n-th `?` as `$p<n>`: a name keeps its value wherever the translation moves it."""
    places = [token.start for token in sqlglot.tokenize(sql, read=_DUCKDB) if token.token_type is TokenType.PLACEHOLDER]
    for number, place in reversed(list(enumerate(places, start=1))):
        sql = f"{sql[:place]}$p{number}{sql[place + 1 :]}"
    return sql


def _parsed(sql: str, dialect: str) -> exp.Query:
    statements = sqlglot.parse(sql, read=dialect)
    if len(statements) != 1 or not isinstance(statements[0], exp.Query) or statements[0].find(*_WRITES):
        raise StoreRejected(
            "only one statement that reads is accepted", "use SELECT, WITH, FROM, DESCRIBE, SHOW TABLES or EXPLAIN"
        )
    return statements[0]


def _rendered(expression: exp.Query, dialect: str) -> str:
    foreign = next(expression.find_all(*_NO_COUNTERPART), None)
    if foreign is not None:
        raise StoreRejected(f"{foreign.sql_name()} is not known to every warehouse", "use CONCAT and COALESCE")
    return expression.sql(dialect=dialect, unsupported_level=ErrorLevel.RAISE, comments=False)


def _check_columns(expression: exp.Query) -> None:
    """GoogleSQL would take some of DuckDB's keywords for columns; a statement means the same on both, or nothing."""
    for column in expression.find_all(exp.Column):
        if column.name.lower() in _KEYWORDS and not column.this.args.get("quoted"):
            raise StoreRejected(
                f"{column.name} is a keyword",
                'the columns "at" and "offset" are SQL keywords too: write them in double quotes',
            )


def _tables_of(expression: exp.Query, tables: Collection[str]) -> frozenset[str]:
    """The tables that are read, which are then written as the warehouse knows them."""
    common = _common_names(expression)
    found = set()
    for table in expression.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier) or table.db:
            raise _unknown(table.sql(dialect=_DUCKDB))
        if table.name.lower() not in common:
            found.add(_known(table.name, tables))
            table.this.set("this", _known(table.name, tables))
    return frozenset(found)


def _common_names(expression: exp.Query) -> set[str]:
    return {cte.alias.lower() for cte in expression.find_all(exp.CTE)}


def _known(name: str, tables: Collection[str]) -> str:
    spellings = {table.lower(): table for table in tables}
    if name.lower() not in spellings:
        raise _unknown(name)
    return spellings[name.lower()]


def _unknown(name: str) -> StoreRejected:
    return StoreRejected(f"there is no table {name}", f'{_LISTED}, DESCRIBE "trades" its columns')


@contextmanager
def _failures(sql: str) -> Iterator[None]:
    try:
        yield
    except (SqlglotError, ValueError) as error:
        line = str(error).partition("\n")[0]
        raise StoreRejected(f"the query cannot be understood: {line}", _LISTED) from error
