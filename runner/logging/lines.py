"""The line: one record as bytes.

    {"id":"<run>:<stream>:<offset>","seq":7,"ts":"...Z",...,"data":{...},"crc":"0a1b2c3d"}\\n

The last 19 bytes are the trailer `,"crc":"xxxxxxxx"}` and a newline, so a checksum is found without parsing. It is the
CRC-32 (zlib) of every byte before the trailer. The offset is 12 digits, contiguous from 0 per run and stream.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from isal.isal_zlib import crc32

from runner.errors import JournalError

TRAILER = 19
TRAILER_FORMAT = b',"crc":"%08x"}\n'
OFFSET_DIGITS = 12
MAX_LINE = 256 * 1024
_MICROSECONDS = tuple(b"%03dZ" % number for number in range(1000))

_NEVER = 1 << 80
"""Nanoseconds after every time."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def trailer(body: bytes | memoryview) -> bytes:
    """What ends the line of a JSON object that is given without its closing brace."""
    return TRAILER_FORMAT % crc32(body)


def seal(body: bytes) -> bytes:
    """The whole line of a JSON object that is given without its closing brace."""
    return body + trailer(body)


def is_intact(line: bytes) -> bool:
    """Whether a line (with its newline) carries the checksum of its own bytes."""
    return line[-TRAILER:] == trailer(line[:-TRAILER])


def id_prefix(run: str, stream: str) -> bytes:
    """What every line of a run's stream begins with; its offset follows."""
    return f'{{"id":"{run}:{stream}:'.encode()


def offset_of(line: bytes, prefix: bytes) -> int:
    """The offset of a line of the stream with this prefix, or -1 when it is no such line."""
    digits = line[len(prefix) : len(prefix) + OFFSET_DIGITS]
    return int(digits) if line.startswith(prefix) and digits.isdigit() else -1


def split(chunk: bytes) -> list[bytes]:
    """The complete lines of a chunk, each with its newline; a last piece without one is left out."""
    lines = chunk.split(b"\n")
    lines.pop()
    return [line + b"\n" for line in lines]


def decode(line: bytes) -> dict[str, Any]:
    """A record as a dictionary. Raises `JournalError` when it is not JSON."""
    try:
        return _decode(line)  # type: ignore[no-any-return]  # a record is an object
    except msgspec.DecodeError as error:
        raise JournalError(f"a line is not a record: {error}") from None


def decode_all(chunk: bytes) -> Iterator[dict[str, Any]]:
    return (decode(line) for line in split(chunk))


def head(line: bytes) -> tuple[int, str]:
    """`seq` and `ts` of a line, without decoding all of it. They are the second and third member of the object."""
    start = line.index(b',"seq":') + 7
    end = line.index(b',"ts":"', start)
    stop = line.index(b'"', end + 7)
    return int(line[start:end]), line[end + 7 : stop].decode()


def new_run(time_ns: int) -> str:
    """A UUIDv7: sortable by the time it was made (milliseconds), random in the rest."""
    random = uuid.uuid4().int
    value = (time_ns // 1_000_000) << 80 | 0x7 << 76 | (random >> 64 & 0xFFF) << 64
    return str(uuid.UUID(int=value | 0b10 << 62 | random & (1 << 62) - 1))


class Timestamps:
    """The time now, in the form of every time in a record.

    `time_ns` gives nanoseconds since 1970-01-01 UTC. Safe in threads and signal handlers. What is the same for a
    second, and for a millisecond, is made once: a busy bot asks hundreds of times in one.
    """

    def __init__(self, time_ns: Callable[[], int]) -> None:
        self._time_ns = time_ns
        self._second, self._millisecond = (-1, b""), (_NEVER, b"")

    def now(self) -> bytes:
        moment = self._time_ns()
        start, text = self._millisecond
        passed = (moment - start) // 1000
        if 0 <= passed < 1000:
            return text + _MICROSECONDS[passed]
        return self._begin(moment) + _MICROSECONDS[moment // 1000 % 1000]

    def _begin(self, moment: int) -> bytes:
        """What all times in a millisecond begin with."""
        second, fraction = divmod(moment // 1_000_000, 1000)
        known, text = self._second
        if second != known:
            text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second)).encode()
            self._second = (second, text)
        text = b"%s%03d" % (text, fraction)
        self._millisecond = (moment - moment % 1_000_000, text)
        return text


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, the form of every time in a record. `moment` is aware."""
    if type(moment) is datetime and moment.tzinfo is UTC:
        text = _encode(moment)[1:-2].decode()
        return f"{text}Z" if moment.microsecond else f"{text}.000000Z"
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def moment(text: str) -> datetime:
    """The aware datetime of a record's time."""
    return datetime.fromisoformat(text)
