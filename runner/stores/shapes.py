"""What a warehouse holds beside the records' streams: tables that jobs fill, and views over everything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runner.errors import ConfigError
from runner.stores.columns import Column, ColumnType

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CLUSTER_LIMIT = 4
_DAYS = (ColumnType.TIMESTAMP, ColumnType.DATE)


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table: its columns, the column whose day partitions it, up to four that cluster it, and those of its key."""

    name: str
    columns: tuple[Column, ...]
    day: str
    cluster: tuple[str, ...] = ()
    key: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name(self.name)
        types = {column.name: column.type for column in self.columns}
        missing = {self.day, *self.cluster, *self.key} - types.keys()
        if missing:
            raise ConfigError(f"table {self.name} has no column {sorted(missing)[0]!r}", "name one of its columns")
        if types[self.day] not in _DAYS:
            raise ConfigError(f"table {self.name} has no days in {self.day!r}", "choose a time or a date")
        if len(self.cluster) > _CLUSTER_LIMIT:
            raise ConfigError(f"table {self.name} is clustered by too many columns", "name at most four")


@dataclass(frozen=True, slots=True)
class ViewShape:
    """A view, as a GoogleSQL query over tables, streams and views before it; its columns in the query's order."""

    name: str
    columns: tuple[Column, ...]
    sql: str

    def __post_init__(self) -> None:
        _check_name(self.name)


@dataclass(frozen=True, slots=True)
class Shapes:
    """All tables and views of a warehouse that are not streams."""

    tables: Sequence[TableShape] = ()
    views: Sequence[ViewShape] = ()


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is not the name of a table", "use letters, digits and underscores")
