"""Live documents as text, and what every live store agrees on about them: order of writes, names, equality, sorting."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from runner.errors import StoreRejected
from runner.stores.base import Document, JsonValue

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode_fields(document: Document) -> str:
    """The fields as JSON text. Raises `StoreRejected` for what JSON cannot hold (a Decimal, a datetime, a NaN)."""
    try:
        text = _encoder.encode(document.fields)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreRejected(
            f"document {document.collection}/{document.key} is not JSON: {error}",
            "write money and times as strings, numbers as finite numbers",
        ) from None
    return text


def decode_fields(text: str) -> Mapping[str, JsonValue]:
    fields: Mapping[str, JsonValue] = json.loads(text)
    return fields


def check_names(*names: str) -> None:
    """Names of fields that are asked for. Raises `StoreRejected` for anything but letters, digits and underscores."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise StoreRejected(f"{name!r} is not the name of a field", "use letters, digits and underscores")


def json_types(value: JsonValue) -> tuple[str, ...]:
    """The JSON types that a value asked for may have. Raises `StoreRejected` for lists and dictionaries."""
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("true",) if value else ("false",)
    if isinstance(value, (int, float)):
        return ("integer", "real")
    if isinstance(value, str):
        return ("text",)
    raise StoreRejected(f"{value!r} cannot be compared with a field", "ask for text, a number, true, false or null")
