"""What a shipper that must end could not ship: critical records as lines for Cloud Logging, so that none is lost.

One JSON object a line, as Cloud Logging reads it from the standard output: `severity`, `message`, labels, and under
`record` the record's line exactly as it stands in the journal, with its checksum, for `tron recover`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from runner.logging import lines
from runner.logging.follower import Follower, Journals
from runner.logging.journal import run_folder
from runner.logging.reader import StreamReader
from runner.logging.routes import KINDS

CRITICAL = frozenset(kind.value for kind, route in KINDS.items() if route.critical)
_STREAMS = tuple(dict.fromkeys(route.stream for route in KINDS.values() if route.critical))


def left_lines(journals: Journals, archive: Follower) -> Iterator[bytes]:
    """Intact lines of critical kinds that the journal holds and the archive does not, run by run, in order."""
    for info in journals.runs():
        for stream in _STREAMS:
            reader = StreamReader(run_folder(journals.home, info.run), stream, archive.shipped(info.run, stream))
            try:
                while chunk := reader.read():
                    yield from (line for line in lines.split(chunk) if _is_critical(line))
            finally:
                reader.close()


def cloud_entry(line: bytes) -> str:
    """A record's line as an entry of Cloud Logging, without a newline."""
    record = lines.decode(line)
    labels = {"record": record["id"], "kind": record["kind"], "bot": record["bot"], "run": record["run"]}
    entry = {
        "severity": record["severity"],
        "message": f"unshipped {record['kind']} of {record['bot']}",
        "time": record["ts"],
        "logging.googleapis.com/labels": labels,
        "record": line.decode(),
    }
    return msgspec.json.encode(entry).decode()


def _is_critical(line: bytes) -> bool:
    return lines.is_intact(line) and lines.decode(line)["kind"] in CRITICAL
