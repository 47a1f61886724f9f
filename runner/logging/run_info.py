"""Who writes a run, and where it lies: `run.json` and the paths of the journal."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from runner.errors import JournalError
from runner.layout import Home
from runner.logging import disk

FORMAT = 1


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `run.json`. `closed` is "" while the run is open, then "close" or "recovery"."""

    format: int
    run: str
    bot: str
    bot_type: str
    session_id: str
    environment: str
    epoch: int
    pid: int
    started: str
    closed: str = ""
    records: int = 0


def run_folder(home: Home, run: str) -> Path:
    return home.journal / run


def segment_path(folder: Path, stream: str, first: int) -> Path:
    return folder / stream / f"{first:020d}.ndjson"


def front_path(folder: Path, stream: str) -> Path:
    return folder / f"{stream}.front"


def write_info(folder: Path, info: RunInfo) -> None:
    disk.replace(folder / "run.json", msgspec.json.encode(info))


def read_info(folder: Path) -> RunInfo | None:
    """What `run.json` says, or None for a folder that is no run (yet). Raises `JournalError` for a newer format."""
    try:
        info = msgspec.json.decode((folder / "run.json").read_bytes(), type=RunInfo)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.MsgspecError as error:
        raise JournalError(f"{folder / 'run.json'} is damaged: {error}", "restore it from a backup") from None
    if info.format > FORMAT:
        raise JournalError(f"{folder} has format {info.format}, this version reads {FORMAT}", "use a newer version")
    return info


def runs(home: Home) -> list[RunInfo]:
    """Every run in the journal, oldest first, but for those of `unreadable_runs`."""
    return [info for folder in _folders(home) if isinstance(info := _try(folder), RunInfo)]


def unreadable_runs(home: Home, known: Collection[str] = ()) -> dict[str, JournalError]:
    """Runs whose `run.json` is damaged or of a newer format, with what is wrong; those in `known` are not looked at.

    They keep nobody from the others: readers leave them out, the shipper mends what it can, and `tron verify` names
    them.
    """
    looked = {folder.name: _try(folder) for folder in _folders(home) if folder.name not in known}
    return {run: error for run, error in looked.items() if isinstance(error, JournalError)}


def _folders(home: Home) -> list[Path]:
    """The folders in the journal. Hidden ones are runs that are being deleted."""
    found = sorted(home.journal.iterdir()) if home.journal.exists() else []
    return [folder for folder in found if not folder.name.startswith(".")]


def _try(folder: Path) -> RunInfo | JournalError | None:
    try:
        return read_info(folder)
    except JournalError as error:
        return error


def request_path(home: Home, run: str) -> Path:
    """While this file exists, the archive follower ships the run without waiting for a full batch."""
    return run_folder(home, run) / "ship"


def is_requested(home: Home, run: str) -> bool:
    return request_path(home, run).exists()


def is_alive(home: Home, run: str) -> bool:
    """Whether a living process still writes this run."""
    return disk.is_locked(run_folder(home, run) / "lock")
