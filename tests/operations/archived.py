"""Records and archive objects of tests, as the archive's follower would have left them."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from runner.layout import ObjectName
from runner.logging.routes import STREAMS
from runner.stores.base import Archive

NOW = datetime(2024, 6, 3, 14, 30, tzinfo=UTC)
RUN = "018fb0a0-0000-7000-8000-0000deadbeef"
KINDS = {"trades": "trade_exit", "system": "system_event", "errors": "error", "metrics": "metric"}


def record(stream: str, offset: int, payload: Mapping[str, Any], *, at: datetime = NOW, **envelope: Any) -> bytes:
    """One line; `envelope` replaces or adds fields of the envelope."""
    moment = (at + timedelta(seconds=offset)).isoformat(timespec="microseconds")
    content = {"id": f"{RUN}:{stream}:{offset:012d}", "seq": offset, "ts": moment, "at": moment, "kind": KINDS[stream]}
    content |= {"severity": "INFO", "bot": "breakout", "run": RUN, "data": dict(payload), "crc": "00000000"}
    return json.dumps(content | envelope, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def put(
    archive: Archive, stream: str, lines: Sequence[bytes], *, first: int = 0, at: datetime = NOW, **changes: Any
) -> str:
    """Archive lines as one object of the day of `at`; `changes` replace its body or add to its metadata."""
    raw = b"".join(lines)
    name = str(ObjectName("breakout", stream, at, RUN[-8:], first))
    metadata = {"stream": stream, "raw_bytes": str(len(raw)), "raw_sha256": hashlib.sha256(raw).hexdigest()}
    metadata |= changes.get("metadata", {})
    body = changes.get("body", gzip.compress(raw, mtime=0))
    archive.create(STREAMS[stream].bucket, name, body, metadata=metadata, content_type="application/gzip")
    return name


def put_days(archive: Archive, days: int, *, start: datetime = NOW, stream: str = "trades") -> list[str]:
    """One object of one record for each of so many days."""
    moments = [start + timedelta(days=number) for number in range(days)]
    return [
        put(archive, stream, [record(stream, number, {"symbol": "AAPL"}, at=at)], first=number, at=at)
        for number, at in enumerate(moments)
    ]
