"""What a warehouse knows of records: the envelope that all share, and the columns that a stream's payloads add."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from runner.errors import ConfigError

_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class ColumnType(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. Its name is lower case letters, digits and underscores."""

    name: str
    type: ColumnType

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"{self.name!r} is not the name of a column", "use a-z, 0-9 and underscores")


ENVELOPE: tuple[Column, ...] = (
    Column("id", ColumnType.TEXT),
    Column("run", ColumnType.TEXT),
    Column("stream", ColumnType.TEXT),
    Column("offset", ColumnType.INTEGER),
    Column("seq", ColumnType.INTEGER),
    Column("ts", ColumnType.TIMESTAMP),
    Column("at", ColumnType.TIMESTAMP),
    Column("kind", ColumnType.TEXT),
    Column("severity", ColumnType.TEXT),
    Column("bot", ColumnType.TEXT),
    Column("bot_type", ColumnType.TEXT),
    Column("bot_version", ColumnType.TEXT),
    Column("config_hash", ColumnType.TEXT),
    Column("environment", ColumnType.TEXT),
    Column("session_id", ColumnType.TEXT),
    Column("trace", ColumnType.TEXT),
    Column("actor", ColumnType.TEXT),
    Column("data", ColumnType.JSON),
)
"""Every table has these. `data` is the payload exactly as it was written; what a record leaves out is null."""
