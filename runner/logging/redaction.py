"""Secrets stay out of the journal: by the name of a key, and by registered value.

Keys are looked at wherever a record is free (context, indicators, bound values). Registered values are looked for in
every byte of a record, which covers typed fields, exception texts and their causes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from runner.errors import ConfigError

REDACTED = "[redacted]"
SHORTEST = 6

_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)|secret|api[_-]?key|authorization|private[_-]?key|credential"
    r"|(^|[_.\- ])(token|cookie|pin)s?$",
    re.IGNORECASE,
)


def is_secret_key(key: str) -> bool:
    """Whether a key's name says that its value is a secret: `api_key`, `password`, `accessToken`, `PRIVATE-KEY`, ..."""
    return _SECRET_KEY.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)) is not None


def secrets_of(environ: Mapping[str, str]) -> list[str]:
    """The values of environment variables whose names say that they are secrets."""
    return [value for name, value in environ.items() if is_secret_key(name) and len(value) >= SHORTEST]


class Redactor:
    """Knows secret keys (the usual ones and `keys`) and secret values. Immutable but for its memory of keys."""

    def __init__(self, keys: Iterable[str] = (), values: Iterable[str] = ()) -> None:
        self._extra = frozenset(key.lower() for key in keys)
        self._seen: dict[str, bool] = {}
        self.needles = tuple(sorted({form for value in values for form in _forms(value)}, key=len, reverse=True))

    def hides(self, key: str) -> bool:
        """Whether the value under a key must not be written."""
        known = self._seen.get(key)
        if known is None:
            known = key.lower() in self._extra or is_secret_key(key)
            if len(self._seen) < 10_000:
                self._seen[key] = known
        return known

    def clean(self, encoded: bytes) -> bytes:
        """Encoded JSON without registered values."""
        for needle in self.needles:
            if needle in encoded:
                encoded = encoded.replace(needle, REDACTED.encode())
        return encoded


def _forms(value: str) -> set[bytes]:
    """How a secret can look inside JSON."""
    if len(value) < SHORTEST:
        raise ConfigError(
            f"a secret of {len(value)} characters cannot be redacted by value: it would match everywhere",
            f"register secrets of at least {SHORTEST} characters, and give shorter ones a key such as 'pin'",
        )
    encoded = msgspec.json.encode(value)[1:-1]
    return {encoded, encoded.replace(b"/", b"\\/"), value.encode("ascii", "backslashreplace")}
