"""Starting the shipper's process on demand. It outlives the bot that started it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from runner.layout import Home
from runner.logging.disk import is_locked
from runner.settings import Settings

_started: dict[Path, subprocess.Popen[bytes]] = {}


def ensure_shipper(home: Home, settings: Settings) -> None:
    """Start `tron ship --follow` for this home unless one runs, or the settings say that somebody else does it.

    Two bots may both start one: the second finds the lock taken, and leaves. While the one that this process started
    is on its way to the lock, no other is started.
    """
    place = home.path.resolve()
    if settings.shipping.shipper != "process" or is_locked(home.shipper_lock) or _is_starting(place):
        return
    descriptor = os.open(home.shipper_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(descriptor, "ab") as output:
        _started[place] = subprocess.Popen(
            [sys.executable, "-m", "runner.cli", "ship", "--follow", "--quiet", "--unless-running"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment(home, settings)},
            cwd=Path.cwd(),
            start_new_session=True,
        )


def _is_starting(place: Path) -> bool:
    """Whether this process started a shipper that still runs. One that has ended is reaped by being asked."""
    started = _started.get(place)
    return started is not None and started.poll() is None


def environment(home: Home, settings: Settings) -> Mapping[str, str]:
    """The variables that make another process use the same home and stores."""
    stores = settings.stores
    return {
        "TRON_HOME": str(home.path.resolve()),
        "TRON_LIVE_STORE": stores.live,
        "TRON_ARCHIVE": stores.archive,
        "TRON_STREAM": stores.stream,
        "TRON_WAREHOUSE": stores.warehouse,
        "ENVIRONMENT": settings.environment,
    }
