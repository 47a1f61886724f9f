"""Named queries: GoogleSQL files that every warehouse answers alike.

Each `<name>.sql` beside this file says at its top what it answers and which parameters it takes. BigQuery runs the text
as it is; for the embedded warehouse it is translated. Rows have the same values and types on both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Protocol, runtime_checkable

from runner.errors import ConfigError
from runner.stores.base import Table, Warehouse
from runner.stores.dialects import to_duckdb

__all__ = ["names", "parameters_of", "run", "text"]

_PARAMETER = re.compile(r"@(\w+)")
_SUFFIX = ".sql"


@runtime_checkable
class SpeaksGoogleSql(Protocol):
    """A warehouse that takes GoogleSQL as it is."""

    def google_query(
        self, sql: str, parameters: Mapping[str, Any], *, unshipped: Mapping[str, bytes] | None = None
    ) -> Table: ...


def names() -> tuple[str, ...]:
    """All named queries, sorted."""
    found = (entry.name for entry in files(__package__).iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX)))


def text(name: str) -> str:
    """The GoogleSQL of a named query. Raises `ConfigError` when there is none of that name."""
    if name not in names():
        raise ConfigError(f"there is no query {name!r}", f"the queries are {', '.join(names())}")
    return files(__package__).joinpath(name + _SUFFIX).read_text(encoding="utf-8")


def parameters_of(name: str) -> tuple[str, ...]:
    """The names of a query's parameters, sorted."""
    return tuple(sorted(set(_PARAMETER.findall(text(name)))))


def run(warehouse: Warehouse, name: str, *, unshipped: Mapping[str, bytes] | None = None, **parameters: Any) -> Table:
    """Ask a named query. Raises `ConfigError` for a name or parameters that it does not have.

    `unshipped` as for `Warehouse.query`.
    """
    wanted = parameters_of(name)
    if set(wanted) != parameters.keys():
        given = ", ".join(sorted(parameters)) or "nothing"
        raise ConfigError(f"the query {name} was given {given}", f"it takes {', '.join(wanted)}")
    if isinstance(warehouse, SpeaksGoogleSql):
        return warehouse.google_query(text(name), parameters, unshipped=unshipped)
    return warehouse.query(_for_duckdb(name), [parameters[one] for one in wanted], unshipped=unshipped)


@cache
def _for_duckdb(name: str) -> str:
    return to_duckdb(text(name), parameters_of(name))
