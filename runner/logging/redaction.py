"""Secrets stay out of the journal: by the name of a key, and by registered value.

Keys are looked at wherever a record is free (context, indicators, bound values). Registered values are looked for in
every text of a record: typed labels and ids, messages, exceptions and their causes, and the keys themselves. Numbers
and times are not searched, because they must stay what they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

from runner.errors import ConfigError

REDACTED = "[redacted]"
SHORTEST = 6
_MOST_KEYS, _MOST_PASSED, _LONGEST_KEPT = 10_000, 4_096, 200

_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)|secret|api[_-]?key|authorization|private[_-]?key|credential"
    r"|(^|[_.\- ])(token|cookie|pin)s?$",
    re.IGNORECASE,
)
_UNQUOTED = re.compile(r"[A-Za-z0-9_.~-]+")
"""Runs of characters that every way of quoting leaves as they are."""
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def is_secret_key(key: str) -> bool:
    """Whether a key's name says that its value is a secret: `api_key`, `password`, `accessToken`, `PRIVATE-KEY`, ..."""
    return _SECRET_KEY.search(_WORD_STARTS.sub("_", key)) is not None


def secrets_of(environ: Mapping[str, str]) -> list[str]:
    """The values of environment variables whose names say that they are secrets."""
    return [value for name, value in environ.items() if is_secret_key(name) and len(value) >= SHORTEST]


class Redactor:
    """Knows secret keys (the usual ones and `keys`) and secret values. Immutable but for its memory of keys.

    `needles` are the forms in which a secret can stand in a text, `passed` some short texts that hold none.
    """

    def __init__(self, keys: Iterable[str] = (), values: Iterable[str] = ()) -> None:
        self._extra = frozenset(key.lower() for key in keys)
        self._seen: dict[str, bool] = {}
        values = tuple(values)
        forms = {form for value in values for form in _forms(value)}
        self.needles = tuple(sorted(forms, key=len, reverse=True))
        self._cores = tuple({_core(value) for value in values})
        self.passed: set[str] = set()

    def hides(self, key: str) -> bool:
        """Whether the value under a key must not be written."""
        known = self._seen.get(key)
        if known is None:
            known = key.lower() in self._extra or is_secret_key(key)
            if len(self._seen) < _MOST_KEYS and len(key) <= _LONGEST_KEPT:
                self._seen[key] = known
        return known

    def clean(self, text: str) -> str:
        """A text without registered values."""
        for needle in self.needles:
            if needle in text:
                text = text.replace(needle, REDACTED)
        return text

    def finds(self, text: str) -> bool:
        """Whether a text holds a registered value."""
        return _any_in(self._cores, text) and _any_in(self.needles, text)

    def passes(self, text: str) -> bool:
        """Whether a text holds no registered value. What is said often is looked through once."""
        if text in self.passed:
            return True
        if self.finds(text):
            return False
        if len(text) <= _LONGEST_KEPT:
            if len(self.passed) >= _MOST_PASSED:
                self.passed.clear()
            self.passed.add(text)
        return True


def _any_in(needles: tuple[str, ...], text: str) -> bool:
    for needle in needles:  # noqa: SIM110  `any` with a generator takes twice as long
        if needle in text:
            return True
    return False


def _core(value: str) -> str:
    """The longest piece of a secret that stands in every form of it, so that one look rules all of them out.

    It may be empty, which rules out nothing.
    """
    return max(_UNQUOTED.findall(value), key=len, default="")


def _forms(value: str) -> set[str]:
    """How a secret can look inside a text: as it is, or quoted by `repr`, by JSON, or for a URL."""
    if len(value) < SHORTEST:
        raise ConfigError(
            f"a secret of {len(value)} characters cannot be redacted by value: it would match everywhere",
            f"register secrets of at least {SHORTEST} characters, and give shorter ones a key such as 'pin'",
        )
    if not _is_encodable(value):
        raise ConfigError("a secret is not valid Unicode, so it cannot be redacted", "register it as UTF-8 text")
    in_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    quoted = {repr(value)[1:-1], ascii(value)[1:-1], *in_json}
    for_urls = {quote(value), quote(value, safe=""), quote_plus(value)}
    forms = {value, *quoted, *for_urls}
    return forms | {form.replace("/", "\\/") for form in forms}


def _is_encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
