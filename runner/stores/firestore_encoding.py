"""Live documents as Firestore keeps them.

| document        | in Firestore                                                                            |
|-----------------|-----------------------------------------------------------------------------------------|
| collection, key | the path `<collection>/<key>`                                                           |
| fields          | fields of the same names and native types, beside these four:                           |
| epoch, seq      | `epoch`, `seq`, integers                                                                |
| record_id       | `record_id`, where the fields have the same (they do for every record), or `=record_id` |
| expire_at       | `expire_at`, a timestamp: what the TTL policy of the collection looks at                |

Firestore forbids some names (`/` in a key, `__x__`, an empty one) and lists within lists. A forbidden character becomes
`=` and two hexadecimal digits, as does the first letter of a field that is named like one of the four; a list within
a list becomes the map `{"=[]": list}`. So everything that is JSON comes back as it was written.

A document is at most 1 MiB, and 20 levels deep. Of a larger one the small fields are kept, and `_left_out` names the
others: the record, which `record_id` names, has them.

Messages are filled as plain protobuf, which takes a tenth of the time that the typed wrappers over them take.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from runner.errors import StoreRejected
from runner.stores.base import Document, JsonValue

MAX_DOCUMENT = 1_048_576
MAX_DEPTH = 20
_ROOM_FOR_FIELDS = 512 * 1024
_NAMED_AT_MOST = 100
ORDER_BYTES = 512
"""Room for what orders a document and says when it ends, beside its fields."""

LEFT_OUT = "_left_out"
EPOCH, SEQ, EXPIRE_AT, RECORD_ID = "epoch", "seq", "expire_at", "record_id"
_OTHER_RECORD_ID = "=record_id"
_NESTED = "=[]"
_TAKEN = frozenset({EPOCH, SEQ, EXPIRE_AT})
_NOT_IN_FIELDS = _TAKEN | {_OTHER_RECORD_ID}

_FORBIDDEN = re.compile(r"\.\.?|__.*__", re.DOTALL)
_ESCAPED = re.compile(r"=([0-9A-F]{2})")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Message = Any
"""A plain protobuf message."""


class _TooDeep(ValueError):
    """More levels than Firestore keeps."""


def encode(document: Document, name: str, write: Message) -> int:
    """Fill the `Write` that sets a document; returns the bytes of its name and fields, without those of its order.

    Raises `StoreRejected` for what JSON cannot hold.
    """
    try:
        write.update.name = name
        left_out = _fill(write.update.fields, document.fields)
        size: int = write.ByteSize()
        if left_out or size > MAX_DOCUMENT // 2:
            _fit(write.update, left_out)
            size = write.ByteSize()
        _add_order(write.update.fields, document)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreRejected(
            f"document {document.collection}/{document.key!a} is not JSON: {error}",
            "write money and times as strings, numbers as finite numbers of 64 bits",
        ) from None
    return size


def decode(message: Message) -> Document:
    """The document that a Firestore document holds. What others wrote without an expiry counts as expired."""
    stored = message.fields
    fields = {_unescape(name): value(stored[name]) for name in stored if name not in _NOT_IN_FIELDS}
    collection, key = message.name.rsplit("/", 2)[1:]
    record_id = stored[_OTHER_RECORD_ID if _OTHER_RECORD_ID in stored else RECORD_ID].string_value
    expire_at = _START + stored[EXPIRE_AT].timestamp_value.ToMicroseconds() * _MICROSECOND
    return Document(_unescape(collection), _unescape(key), fields, *order_of(message), record_id, expire_at)


def order_of(message: Message) -> tuple[int, int]:
    """Epoch and seq of a Firestore document."""
    return message.fields[EPOCH].integer_value, message.fields[SEQ].integer_value


def path(root: str, collection: str, key: str) -> str:
    """The full name of a document."""
    return f"{root}/{collection_id(collection)}/{_escape(key)}"


def collection_id(collection: str) -> str:
    return _escape(collection)


def field_path(name: str) -> str:
    """A field's name as queries write it."""
    stored = _field_name(name)
    return stored if _IDENTIFIER.fullmatch(stored) else f"`{stored}`"


def put(target: Message, value: JsonValue, depth: int = 0) -> None:
    """Fill a protobuf `Value`. Raises `ValueError` or `TypeError` for what is not JSON."""
    kind = type(value)
    if kind is str:
        target.string_value = value
    elif kind is bool:
        target.boolean_value = value
    elif kind is int:
        target.integer_value = value
    elif kind is float:
        target.double_value = _finite(value)
    elif value is None:
        target.null_value = 0
    elif isinstance(value, Mapping):
        _put_map(target, value, depth + 1)
    elif isinstance(value, (list, tuple)):
        _put_list(target, value, depth + 1)
    else:
        put(target, _plain(value), depth)


def put_time(target: Message, moment: datetime) -> None:
    """Fill a protobuf `Value` with an aware time, to the microsecond."""
    target.timestamp_value.FromMicroseconds((moment - _START) // _MICROSECOND)


def value(message: Message) -> JsonValue:
    """What a protobuf `Value` holds, as JSON."""
    kind = message.WhichOneof("value_type")
    if kind == "map_value":
        stored = message.map_value.fields
        if _NESTED in stored:
            return value(stored[_NESTED])
        return {_unescape(name): value(stored[name]) for name in stored}
    if kind == "array_value":
        return [value(one) for one in message.array_value.values]
    if kind == "null_value":
        return None
    if kind in ("string_value", "boolean_value", "integer_value", "double_value"):
        return getattr(message, kind)
    return str(getattr(message, kind)) if kind else None


def _fill(target: Message, fields: Mapping[str, JsonValue]) -> list[str]:
    """Fill a document's fields; returns the names of those that are too deep."""
    left_out = []
    for name, one in fields.items():
        stored = _field_name(name)
        if type(one) is str:  # as most are: a call for each would be a fifth of the time
            target[stored].string_value = one
            continue
        try:
            put(target[stored], one)
        except _TooDeep:
            del target[stored]
            left_out.append(name)
    return left_out


def _fit(document: Message, left_out: list[str]) -> None:
    """Leave the large fields out of a document that is larger than Firestore's limit, and name what is left out."""
    if _stored_size(document) > MAX_DOCUMENT - ORDER_BYTES:
        room = _ROOM_FOR_FIELDS
        for name in sorted(document.fields, key=lambda name: document.fields[name].ByteSize()):
            room -= 2 * (len(name.encode()) + document.fields[name].ByteSize())
            if room < 0:
                del document.fields[name]
                left_out.append(_unescape(name))
    if left_out:
        put(document.fields[LEFT_OUT], [name[:100] for name in sorted(left_out)[:_NAMED_AT_MOST]])


def _add_order(fields: Message, document: Document) -> None:
    fields[EPOCH].integer_value = document.epoch
    fields[SEQ].integer_value = document.seq
    put_time(fields[EXPIRE_AT], document.expire_at)
    if RECORD_ID not in fields or fields[RECORD_ID].string_value != document.record_id:
        fields[_OTHER_RECORD_ID].string_value = document.record_id


def _put_map(target: Message, value: Mapping[str, JsonValue], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _TooDeep("too many levels")
    target.map_value.SetInParent()
    fields = target.map_value.fields
    for name, one in value.items():
        put(fields[_map_name(name)], one, depth)


def _put_list(target: Message, value: list[JsonValue] | tuple[JsonValue, ...], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _TooDeep("too many levels")
    target.array_value.SetInParent()
    add = target.array_value.values.add
    for one in value:
        if isinstance(one, (list, tuple)):
            _put_list(add().map_value.fields[_NESTED], one, depth + 2)
        else:
            put(add(), one, depth)


def _plain(value: JsonValue) -> JsonValue:
    """A value of a class that extends a JSON type, as that type."""
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(f"{number} is not finite")
    return number


@lru_cache(4096)
def _field_name(name: str) -> str:
    return f"={ord(name[0]):02X}{name[1:]}" if name in _TAKEN else _map_name(name)


@lru_cache(4096)
def _map_name(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name {name!r} is not text")
    return _escape(name)


def _escape(text: str) -> str:
    if text == "":
        return "="
    if _FORBIDDEN.fullmatch(text):
        text, first = text[1:], f"={ord(text[0]):02X}"
    else:
        first = ""
    return first + text.replace("=", "=3D").replace("/", "=2F")


@lru_cache(4096)
def _unescape(text: str) -> str:
    return "" if text == "=" else _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def _stored_size(document: Message) -> int:
    """Bytes of a document as Firestore counts them: names and text with one byte more, numbers eight."""
    return len(document.name.encode()) + 16 + 32 + _fields_size(document.fields)


def _fields_size(fields: Message) -> int:
    return sum(len(name.encode()) + 1 + _value_size(fields[name]) for name in fields)


def _value_size(message: Message) -> int:
    kind = message.WhichOneof("value_type")
    if kind == "string_value":
        return len(message.string_value.encode()) + 1
    if kind == "map_value":
        return 32 + _fields_size(message.map_value.fields)
    if kind == "array_value":
        return sum(_value_size(one) for one in message.array_value.values)
    return 1 if kind in ("boolean_value", "null_value") else 8
