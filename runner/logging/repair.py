"""Free values made fit for JSON. What had to be changed is named, so that nobody takes it for the original."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Set
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from runner.logging.lines import timestamp
from runner.logging.redaction import REDACTED, Redactor

LONGEST_TEXT = 16 * 1024
DEEPEST = 16
WIDEST = 1024
_INT64 = 1 << 63


class Repair:
    """One record's repairs. `paths` lists what was changed, as `context.note` or `context.prices.3`."""

    def __init__(self, redactor: Redactor) -> None:
        self.paths: list[str] = []
        self._redactor = redactor
        self._open: set[int] = set()

    def value(self, value: Any, path: str) -> Any:
        """`value` as JSON takes it."""
        kind = type(value)
        if kind is str:
            return self.text(value, path)
        if kind is bool or value is None:
            return value
        if kind is int:
            return value if -_INT64 <= value < _INT64 else self._changed(path, str(value)[:LONGEST_TEXT])
        if kind is float:
            return value if math.isfinite(value) else self._changed(path, str(value))
        if isinstance(value, Mapping):
            return self._nested(value, path, self._mapping)
        if isinstance(value, list | tuple | Set):
            return self._nested(value, path, self._sequence)
        return self._other(value, path)

    def text(self, value: str, path: str) -> str:
        """A string that UTF-8 can hold, at most 16 Ki characters."""
        if len(value) > LONGEST_TEXT:
            value = self._changed(path, value[:LONGEST_TEXT] + f"... [{len(value) - LONGEST_TEXT} characters cut]")
        if value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError:
            value = self._changed(path, value.encode("utf-8", "backslashreplace").decode())
        return value

    def _changed(self, path: str, value: Any) -> Any:
        self.paths.append(path)
        return value

    def _nested(self, value: Any, path: str, convert: Any) -> Any:
        if id(value) in self._open:
            return self._changed(path, "[cycle]")
        if len(self._open) >= DEEPEST:
            return self._changed(path, "[too deep]")
        self._open.add(id(value))
        try:
            return convert(value, path)
        finally:
            self._open.discard(id(value))

    def _mapping(self, value: Mapping[Any, Any], path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, (key, inner) in enumerate(value.items()):
            if number >= WIDEST:
                self.paths.append(path)
                found["[cut]"] = f"{len(value) - WIDEST} more keys"
                break
            name = key if type(key) is str else self._changed(path, str(key))
            name = self.text(name, path)
            found[name] = REDACTED if self._redactor.hides(name) else self.value(inner, f"{path}.{name}")
        return found

    def _sequence(self, value: Any, path: str) -> list[Any]:
        items = list(value)
        kept = [self.value(inner, f"{path}.{number}") for number, inner in enumerate(items[:WIDEST])]
        if len(items) > WIDEST:
            kept.append(self._changed(path, f"[{len(items) - WIDEST} more items cut]"))
        return kept

    def _other(self, value: Any, path: str) -> Any:
        if isinstance(value, Enum):
            return self.value(value.value, path)
        if isinstance(value, Decimal):
            return str(value) if value.is_finite() else self._changed(path, str(value))
        if isinstance(value, datetime):
            return timestamp(value) if value.tzinfo else self._changed(path, value.isoformat())
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, bytes | bytearray | memoryview):
            content = bytes(value)
            return self._changed(path, self.text("base64:" + base64.b64encode(content[:LONGEST_TEXT]).decode(), path))
        if isinstance(value, msgspec.Struct):
            return self._nested(msgspec.structs.asdict(value), path, self._mapping)
        if isinstance(value, str | int | float):
            base = next(kind for kind in (str, int, float) if isinstance(value, kind))
            return self.value(base(value), path)
        return self.text(self._changed(path, _shown(value)), path)


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"[{type(value).__name__} whose repr raised {type(error).__name__}]"
