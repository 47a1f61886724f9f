"""Runs that left the journal before every follower was done with them.

Only the archive pins the journal. A closed run that is archived may be swept while a live store or a stream is down;
what these followers are still owed they read from the archive. A run that is owed keeps its checkpoints:

<home>/checkpoints/<run>/owed.json
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from runner.errors import JournalError
from runner.layout import Home
from runner.logging import checkpoint
from runner.logging.journal import RunInfo


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """A swept run. `ends` are the next offsets of its streams, up to which followers are owed."""

    info: RunInfo
    ends: dict[str, int]


def owe(home: Home, info: RunInfo, ends: Mapping[str, int]) -> None:
    """Note, before a run is swept, that some follower still needs it."""
    checkpoint.save(home, info.run, checkpoint.OWED, Owed(info=info, ends=dict(ends)))


def owed_runs(home: Home) -> list[Owed]:
    """Every run that is owed, oldest first."""
    found = []
    for place in sorted(home.checkpoints.glob(f"*/{checkpoint.OWED}.json")):
        try:
            found.append(msgspec.json.decode(place.read_bytes(), type=Owed))
        except FileNotFoundError:
            continue
        except msgspec.MsgspecError as error:
            raise JournalError(f"{place} is damaged: {error}", "delete it: the live store can be restored") from None
    return found


def settle(home: Home, run: str) -> None:
    """Every follower is done with a run: forget it."""
    checkpoint.path(home, run, checkpoint.OWED).unlink(missing_ok=True)
    checkpoint.forget(home, run)
