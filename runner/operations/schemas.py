"""The warehouse's columns, derived from the payloads: one set a stream, in the order of its kinds' fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import structs

from runner.errors import ConfigError
from runner.logging.log_types import PAYLOADS
from runner.logging.routes import KINDS, STREAMS
from runner.stores.columns import Column, ColumnType

_TYPES: Mapping[Any, ColumnType] = {
    str: ColumnType.TEXT,
    bool: ColumnType.BOOLEAN,
    int: ColumnType.INTEGER,
    float: ColumnType.FLOAT,
    datetime: ColumnType.TIMESTAMP,
    date: ColumnType.DATE,
    list: ColumnType.JSON,
    dict: ColumnType.JSON,
    Any: ColumnType.JSON,
}


def columns() -> dict[str, tuple[Column, ...]]:
    """The payload's columns of every stream. Where two kinds of a stream disagree on a field's type, it is text."""
    return {stream: _columns_of(stream) for stream in STREAMS}


def _columns_of(stream: str) -> tuple[Column, ...]:
    types: dict[str, ColumnType] = {}
    for kind, route in KINDS.items():
        if route.stream == stream:
            for field in structs.fields(PAYLOADS[kind]):
                own = column_type(field.type)
                types[field.encode_name] = own if types.get(field.encode_name, own) is own else ColumnType.TEXT
    return tuple(Column(name, kind) for name, kind in types.items())


def column_type(annotation: Any) -> ColumnType:
    """The column type of a payload's field. Whatever may be a Decimal is one; lists and dictionaries are JSON.

    Raises `ConfigError` for a type that no column holds.
    """
    types = {one for one in _plain_types(annotation) if one is not type(None)}
    if Decimal in types:
        return ColumnType.DECIMAL
    if len(types) != 1 or not types <= _TYPES.keys():
        raise ConfigError(f"a payload's field of type {annotation} has no column type", "give it one in schemas.py")
    return _TYPES[types.pop()]


def _plain_types(annotation: Any) -> Iterator[Any]:
    """The classes that a value may have, without what annotations say beyond that."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        for alternative in arguments:
            yield from _plain_types(alternative)
    elif origin is Annotated:
        yield from _plain_types(arguments[0])
    elif origin is Literal:
        yield from map(type, arguments)
    else:
        yield origin or annotation
