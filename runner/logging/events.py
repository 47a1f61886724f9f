"""Events: a message and free fields, as the bytes of a record's `data`.

The second hottest path. What is plain (short texts, finite numbers, truths, under keys that were seen before) is
encoded as it is; everything else takes the general way of `payloads`, which repairs it. Both ways write the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from runner.logging import payloads
from runner.logging.log_types import EventData
from runner.logging.redaction import Redactor
from runner.logging.repair import LONGEST_TEXT, encode_json

_MOST_FIELDS = 256
_MOST_KEYS, _LONGEST_KEY = 10_000, 100
_INT64 = 1 << 63


class _Event(msgspec.Struct, gc=False):
    """An `EventData` that needs no care."""

    message: str
    context: Mapping[str, Any]


class EventEncoder:
    """Encodes the events of a logger. Remembers the keys it has found harmless."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._harmless: set[str] = set()

    def encode(self, message: str, fields: Mapping[str, Any]) -> bytes:
        """The `data` of an event. What cannot be written as it is is repaired, and named in `_repaired`."""
        if type(message) is str and self._redactor.passes(message) and self._is_plain(fields):
            try:
                encoded = encode_json(_Event(message, fields))
                if len(encoded) <= LONGEST_TEXT:
                    return encoded
            except UnicodeEncodeError:
                pass  # the general way repairs it
        event = EventData(message=message, context=fields)  # type: ignore[arg-type]  # any mapping will do
        return payloads.encode(event, self._redactor)

    def _is_plain(self, fields: Mapping[str, Any]) -> bool:
        if type(fields) is not dict or len(fields) > _MOST_FIELDS:
            return False
        if not self._harmless.issuperset(fields) and not all(map(self._learn, fields)):
            return False
        passed = self._redactor.passed
        for value in fields.values():
            kind = type(value)
            if kind is str:
                if value not in passed and not self._redactor.passes(value):
                    return False
            elif kind is float:
                if value - value != 0.0:  # of an infinity and of NaN it is NaN
                    return False
            elif kind is int:
                if not -_INT64 <= value < _INT64:
                    return False
            elif kind is not bool and value is not None:
                return False
        return True

    def _learn(self, key: Any) -> bool:
        """Whether a key may be written as it is."""
        harmless = (
            type(key) is str
            and len(key) <= _LONGEST_KEY
            and key.isascii()
            and not self._redactor.hides(key)
            and self._redactor.passes(key)
        )
        if harmless and len(self._harmless) < _MOST_KEYS:
            self._harmless.add(key)
        return harmless
