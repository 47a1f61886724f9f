"""Finding records again in what was printed or exported: the other end of `leftovers`.

A record comes back from any of these, one a line or as one JSON array (as `gcloud logging read --format=json` prints):

- an entry as `leftovers.cloud_entry` writes it: `{"severity": ..., "record": "<the journal's line>"}`
- the same as Cloud Logging exports it: `{"insertId": ..., "jsonPayload": {"record": ...}}`, or with the JSON as text in
  `textPayload`
- a line of a journal itself

Everything else (what the console writes, other programs' output) holds no whole record and is passed by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from runner.logging import lines
from runner.logging.routes import STREAMS

_ID = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([a-z]+):(\d{12})")
_LOOKS_LIKE_ONE = re.compile(rb'"record"\s*:\s*"|"id"\s*:\s*"[0-9a-f-]{36}:[a-z]+:\d')
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """A whole record: where it stood (counted from 1), whose it is, and its line as the journal had it."""

    number: int
    run: str
    stream: str
    offset: int
    line: bytes


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """Something that should be a record and cannot be trusted."""

    number: int
    reason: str


def read_entries(content: bytes) -> Iterator[FoundRecord | RefusedRecord]:
    """Every record in `content`, in order."""
    for number, entry in _entries(content):
        if isinstance(entry, RefusedRecord):
            yield entry
        elif (line := _record_of(entry)) is not None:
            yield _checked(number, line)


def _entries(content: bytes) -> Iterator[tuple[int, Any]]:
    if content.lstrip()[:1] == b"[":
        try:
            yield from enumerate(_decode(content), 1)
        except msgspec.DecodeError as error:
            yield 1, RefusedRecord(1, f"the array of entries is cut off or damaged: {error}")
        return
    for number, text in enumerate(content.splitlines(), 1):
        try:
            entry = _decode(text) if text.strip() else None
        except msgspec.DecodeError:
            damaged = _LOOKS_LIKE_ONE.search(text) is not None
            entry = RefusedRecord(number, "the entry is cut off or damaged") if damaged else None
        # Only a journal's line begins so; its very bytes are what its checksum is about.
        yield number, text if isinstance(entry, dict) and "crc" in entry and "seq" in entry else entry


def _record_of(entry: Any) -> bytes | None:
    """The record's line in an entry, or None where there is none."""
    if isinstance(entry, bytes):
        return entry + b"\n"
    if not isinstance(entry, Mapping):
        return None
    for name in ("jsonPayload", "json_payload"):
        if isinstance(payload := entry.get(name), Mapping):
            return _record_of(payload)
    if isinstance(text := entry.get("textPayload"), str):
        try:
            return _record_of(_decode(text))
        except msgspec.DecodeError:
            return None
    record = entry.get("record")
    return record.rstrip("\n").encode(errors="replace") + b"\n" if isinstance(record, str) else None


def _checked(number: int, line: bytes) -> FoundRecord | RefusedRecord:
    if not lines.is_intact(line) or b"\n" in line[:-1]:
        return RefusedRecord(number, "the checksum of the record does not match its content")
    found = _ID.fullmatch(str(lines.decode(line).get("id", "")))
    if found is None or found[2] not in STREAMS:
        return RefusedRecord(number, "the record has no id of a run and a stream")
    return FoundRecord(number, found[1], found[2], int(found[3]), line)
