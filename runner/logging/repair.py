"""Free values made fit for JSON. What had to be changed is named, so that nobody takes it for the original.

A value may be anything, also hostile: endless, cyclic, or raising when it is looked at. What comes out is JSON of at
most about `BUDGET` bytes, without secrets.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Set
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from itertools import islice
from numbers import Integral, Rational, Real
from typing import Any

import msgspec

from runner.logging.lines import timestamp
from runner.logging.redaction import REDACTED, Redactor

encode_json = msgspec.json.Encoder().encode
LONGEST_TEXT = 16 * 1024
DEEPEST = 16
WIDEST = 1024
BUDGET = 160 * 1024
"""Bytes of JSON that the free values of one record may take together."""
CUT = "[cut]"

_MOST_PATHS, _LONGEST_PATH = 50, 100
_INT64 = 1 << 63
_WIDEST_INTEGER = 1024
_WORST_ESCAPE = 6
_SMALLEST_COST = 32


class Repair:
    """One record's repairs. `paths` lists what was changed, as `context.note` or `context.prices.3`."""

    __slots__ = ("_left", "_open", "paths", "redactor")

    def __init__(self, redactor: Redactor, budget: int = BUDGET) -> None:
        self.paths: list[str] = []
        self.redactor = redactor
        self._open: set[int] | None = None
        self._left = budget

    def value(self, value: Any, path: str) -> Any:
        """`value` as JSON takes it."""
        kind = type(value)
        if kind is str:
            return self.text(value, path)
        self._left -= _SMALLEST_COST
        if kind is bool or value is None:
            return value
        if kind is int:
            return value if -_INT64 <= value < _INT64 else self._changed(path, _shown_integer(value))
        if kind is float:
            return value if math.isfinite(value) else self._changed(path, str(value))
        return self._other(value, path)

    def text(self, value: str, path: str) -> str:
        """A string that UTF-8 can hold, at most 16 Ki characters and within the budget."""
        value = self.redactor.clean(value) if self.redactor.needles else value
        if len(value) > LONGEST_TEXT:
            value = self._changed(path, value[:LONGEST_TEXT] + f"... [{len(value) - LONGEST_TEXT} characters cut]")
        try:
            cost = len(encode_json(value))
        except UnicodeEncodeError:
            value = self._changed(path, value.encode("utf-8", "backslashreplace").decode())
            cost = len(encode_json(value))
        if cost > self._left:
            value = self._changed(path, value[: max(0, self._left) // _WORST_ESCAPE] + CUT)
            cost = self._left
        self._left -= cost + _SMALLEST_COST
        return value

    def mapping(self, value: Any, path: str) -> Any:
        """A field that should be a mapping; anything else is kept under the key `value`."""
        if isinstance(value, Mapping):
            return self.value(value, path)
        return {"value": self._changed(path, self.value(value, path))}

    def sequence(self, value: Any, path: str) -> Any:
        """A field that should be a list; anything else becomes its only item."""
        if isinstance(value, list | tuple):
            return self.value(value, path)
        return [self._changed(path, self.value(value, path))]

    def any_text(self, value: Any, path: str) -> str:
        """A field that should be a text; anything else is shown as `repr` shows it."""
        if isinstance(value, str):
            return self.text(str.__str__(value), path)
        return self.text(self._changed(path, shown(value)), path)

    def _changed(self, path: str, value: Any) -> Any:
        if len(self.paths) < _MOST_PATHS:
            kept = self.redactor.clean(path).encode("utf-8", "backslashreplace").decode()[:_LONGEST_PATH]
            if kept not in self.paths:
                self.paths.append(kept)
        return value

    def _nested(self, value: Any, path: str, convert: Callable[[Any, str], Any]) -> Any:
        """Look into a container that is not open already."""
        if self._open is None:
            self._open = set()
        if id(value) in self._open:
            return self._changed(path, "[cycle]")
        if len(self._open) >= DEEPEST:
            return self._changed(path, "[too deep]")
        self._open.add(id(value))
        try:
            return convert(value, path)
        except Exception as error:
            return self._changed(path, f"[{type(value).__name__} that raised {type(error).__name__}]")
        finally:
            self._open.discard(id(value))

    def _mapping(self, value: Mapping[Any, Any], path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, (key, inner) in enumerate(value.items()):
            if self._is_spent(number):
                self._changed(path, None)
                found[CUT] = f"{len(value) - number} more keys"
                break
            plain = key if type(key) is str else self._changed(path, _shown_key(key))
            name = self.text(plain, path)
            if name in found:
                name = self._changed(path, f"{name}~{number}")
            found[name] = REDACTED if self.redactor.hides(plain) else self.value(inner, f"{path}.{name}")
        return found

    def _sequence(self, value: Any, path: str) -> list[Any]:
        kept: list[Any] = []
        for number, inner in enumerate(islice(value, WIDEST + 1)):
            if self._is_spent(number):
                kept.append(self._changed(path, f"[{len(value) - number} more items cut]"))
                break
            kept.append(self.value(inner, f"{path}.{number}"))
        return kept

    def _is_spent(self, number: int) -> bool:
        return number >= WIDEST or self._left <= 0

    def _other(self, value: Any, path: str) -> Any:
        """Everything but the plain types."""
        if isinstance(value, Mapping):
            return self._nested(value, path, self._mapping)
        if isinstance(value, list | tuple | Set):
            return self._nested(value, path, self._sequence)
        if isinstance(value, Enum):
            return self._nested(value, path, lambda member, inner: self.value(member.value, inner))
        if isinstance(value, msgspec.Struct):
            return self._nested(value, path, lambda struct, inner: self._mapping(msgspec.structs.asdict(struct), inner))
        if isinstance(value, bytes | bytearray | memoryview):
            return self._changed(path, self._binary(value, path))
        if isinstance(value, datetime | date):
            return self._nested(value, path, self._moment)
        return self._scalar(value, path)

    def _moment(self, value: date, path: str) -> str:
        if not isinstance(value, datetime):
            return value.isoformat()
        return timestamp(value) if value.tzinfo else self._changed(path, value.isoformat())

    def _binary(self, value: bytes | bytearray | memoryview, path: str) -> str:
        content = bytes(value)[:LONGEST_TEXT]
        return self.text("base64:" + base64.b64encode(content).decode(), path)

    def _scalar(self, value: Any, path: str) -> Any:
        """Subclasses of the plain types as what they are; numbers of other libraries as numbers."""
        if isinstance(value, Decimal):
            text = Decimal.__str__(value)
            return self.text(text, path) if value.is_finite() else self._changed(path, text)
        if isinstance(value, str):
            return self.text(str.__str__(value), path)
        if isinstance(value, int):
            return self.value(int.__int__(value), path)
        if isinstance(value, float):
            return self.value(float.__float__(value), path)
        if isinstance(value, Integral):
            return self._nested(value, path, lambda number, inner: self.value(int(number), inner))
        if isinstance(value, Real) and not isinstance(value, Rational):
            return self._nested(value, path, lambda number, inner: self.value(float(number), inner))
        return self.any_text(value, path)


def shown(value: Any) -> str:
    """What `repr` says, also where it raises."""
    try:
        return repr(value)
    except Exception as error:
        return f"[{type(value).__name__} whose repr raised {type(error).__name__}]"


def _shown_key(key: Any) -> str:
    try:
        return str(key)
    except Exception as error:
        return f"[{type(key).__name__} whose str raised {type(error).__name__}]"


def _shown_integer(value: int) -> str:
    """Its digits, or its size: writing out an enormous integer takes forever."""
    bits = value.bit_length()
    return str(value) if bits <= _WIDEST_INTEGER else f"[integer of {bits} bits]"
