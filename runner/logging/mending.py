"""Making a damaged `run.json` again, from what the run's own lines say.

A line carries everything but the epoch and the process. The epoch is milliseconds of the moment when the run was
opened, as the run's id is; a second is added, so that what the run wrote last is never taken for older than what it
wrote first.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from runner.layout import Home
from runner.logging import lines
from runner.logging.journal import FORMAT, RunInfo, run_folder, write_info
from runner.logging.reader import Cursor, StreamReader, segments
from runner.logging.recovery import quarantine
from runner.logging.routes import STREAMS

_SLACK_MS = 1000


def mend(home: Home, run: str) -> bool:
    """Set a damaged `run.json` aside and write a new one; returns whether it could.

    Only for a run that nobody writes. One of a newer format, and one without an intact line, are left alone.
    """
    folder = run_folder(home, run)
    content = (folder / "run.json").read_bytes()
    info = _info(folder, run)
    if info is None or _is_readable(content):
        return False
    quarantine(home, run, "run", 0, content, "run.json was damaged, and was made again from the run's lines")
    write_info(folder, info)
    return True


def _is_readable(content: bytes) -> bool:
    try:
        msgspec.json.decode(content, type=RunInfo)
    except msgspec.MsgspecError:
        return False
    return True


def _info(folder: Path, run: str) -> RunInfo | None:
    """What a run's first intact line says of it."""
    for stream in STREAMS:
        line = _first_line(folder, run, stream)
        if line:
            record = lines.decode(line)
            opened = int(run.replace("-", "")[:12], 16)
            return RunInfo(
                format=FORMAT,
                run=run,
                bot=record["bot"],
                bot_type=record["bot_type"],
                session_id=record.get("session_id", run),
                environment=record.get("environment", ""),
                epoch=opened + _SLACK_MS,
                pid=0,
                started=lines.timestamp(datetime.fromtimestamp(opened / 1000, UTC)),
            )
    return None


def _first_line(folder: Path, run: str, stream: str) -> bytes:
    known = segments(folder, stream)
    if not known:
        return b""
    reader = StreamReader(folder, stream, Cursor(segment=known[0]))
    try:
        prefix = lines.id_prefix(run, stream)
        found = (line for line in lines.split(reader.read()) if line.startswith(prefix) and lines.is_intact(line))
        return next(found, b"")
    finally:
        reader.close()
