"""Structured queries of the live store, and the composite indexes that they need.

Firestore answers from an index or not at all: equal fields alone, or the order of one field alone, from the index of
each field; equal fields *and* an order, or keys in descending order, only from a composite index. The file
`firestore.indexes.json` beside this one lists the fields that have an index, and the composite ones. The emulator
answers without, so a test compares that file with what the product asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from google.cloud.firestore_v1 import types

from runner.stores.base import JsonValue
from runner.stores.documents import json_types
from runner.stores.firestore_encoding import EXPIRE_AT, Message, collection_id, field_path, put, put_time

_KEY = "__name__"
_Query: Message = types.StructuredQuery.pb()
_Direction = types.StructuredQuery.Direction
_Operator = types.StructuredQuery.FieldFilter.Operator
_IS_NULL = types.StructuredQuery.UnaryFilter.Operator.IS_NULL
_AND = types.StructuredQuery.CompositeFilter.Operator.AND


@dataclass(frozen=True, slots=True)
class Page:
    """What `LiveStore.query` asks for, a page at a time."""

    collection: str
    where: Mapping[str, JsonValue]
    order_by: str = ""
    descending: bool = False

    def after(self, last: Message | None, size: int) -> Message:
        """The query for up to `size` documents after `last`, or for the first ones.

        Raises `StoreRejected` for a value that cannot be compared.
        """
        query = _Query()
        query.from_.add(collection_id=collection_id(self.collection))
        _add_filters(query, self.where)
        direction = _Direction.DESCENDING if self.descending else _Direction.ASCENDING
        for name in self._ordered():
            query.order_by.add(direction=direction).field.field_path = name
        query.limit.value = size
        if last is not None:
            self._begin_after(query, last)
        return query

    def _ordered(self) -> Iterable[str]:
        return [field_path(self.order_by), _KEY] if self.order_by else [_KEY]

    def _begin_after(self, query: Message, last: Message) -> None:
        if self.order_by:
            query.start_at.values.add().CopyFrom(last.fields[field_path(self.order_by).strip("`")])
        query.start_at.values.add(reference_value=last.name)
        query.start_at.before = False


def expired_query(collection: str, now: datetime, size: int) -> Message:
    """Names of up to `size` documents of a collection, by its id, whose time has passed."""
    query = _Query()
    query.from_.add(collection_id=collection)
    condition = query.where.field_filter
    condition.field.field_path = EXPIRE_AT
    condition.op = _Operator.LESS_THAN_OR_EQUAL
    put_time(condition.value, now)
    query.order_by.add(direction=_Direction.ASCENDING).field.field_path = EXPIRE_AT
    query.select.fields.add(field_path=_KEY)
    query.limit.value = size
    return query


def _add_filters(query: Message, where: Mapping[str, JsonValue]) -> None:
    if not where:
        return
    together = query.where.composite_filter
    together.op = _AND
    for name, wanted in where.items():
        json_types(wanted)
        condition = together.filters.add()
        if wanted is None:
            condition.unary_filter.op = _IS_NULL
            condition.unary_filter.field.field_path = field_path(name)
        else:
            condition.field_filter.op = _Operator.EQUAL
            condition.field_filter.field.field_path = field_path(name)
            put(condition.field_filter.value, wanted)
