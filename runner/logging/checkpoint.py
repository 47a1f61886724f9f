"""Checkpoints: how far a follower has shipped each run. One small file a run and follower, replaced atomically.

<home>/checkpoints/<run>/<follower>.json
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TypeVar

import msgspec

from runner.errors import JournalError
from runner.layout import Home
from runner.logging import disk

OWED = "owed"
"""The name of the note that a run which left the journal is still needed (see `owed`)."""

State = TypeVar("State", bound=msgspec.Struct)


def path(home: Home, run: str, follower: str) -> Path:
    return home.checkpoints / run / f"{follower}.json"


def load(home: Home, run: str, follower: str, kind: type[State]) -> State:
    """The follower's state for a run, or a fresh one when it has none."""
    place = path(home, run, follower)
    try:
        return msgspec.json.decode(place.read_bytes(), type=kind)
    except FileNotFoundError:
        return kind()
    except msgspec.MsgspecError as error:
        raise JournalError(
            f"{place} is damaged: {error}", "delete it: the follower finds out again where it was, doubling nothing"
        ) from None


def save(home: Home, run: str, follower: str, state: msgspec.Struct) -> None:
    """Make a state durable: when this returns, a restart continues from it. Raises `JournalError`."""
    place = path(home, run, follower)
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        disk.replace(place, msgspec.json.encode(state))
    except OSError as error:
        raise JournalError(f"{place} cannot be written: {error.strerror or error}", "free some space") from None


def forget(home: Home, run: str) -> None:
    """Forget how far followers are with a run that left the journal, unless one of them is owed its rest."""
    if not path(home, run, OWED).exists():
        shutil.rmtree(home.checkpoints / run, ignore_errors=True)
