"""Waiting until runs are shipped, with a shipper that is started again when it dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from runner.errors import StoreUnavailable
from runner.layout import Home
from runner.logging import backlog
from runner.logging.spawn import ensure_shipper
from runner.settings import Settings

_PATIENCE = 60.0
"""Seconds without any progress after which waiting is given up; nothing is lost by that."""
_RESTART_SECONDS = 2.0
_LOOK_SECONDS = 0.05
_LAST_WORDS = 4096


def await_shipped(settings: Settings, home: Home, runs: Collection[str], stop: threading.Event) -> None:
    """Wait while the shipper gets on; once `stop` is set, no longer than a shipper may drain without any progress.

    Raises `StoreUnavailable` when it does not get on.
    """
    left = backlog.measure(home, runs).total
    since, next_start = time.monotonic(), 0.0
    while left:
        if time.monotonic() >= next_start:
            ensure_shipper(home, settings)
            next_start = time.monotonic() + _RESTART_SECONDS
        time.sleep(_LOOK_SECONDS)
        now = backlog.measure(home, runs).total
        if now != left:
            left, since = now, time.monotonic()
        elif time.monotonic() - since > (settings.shipping.drain_seconds if stop.is_set() else _PATIENCE):
            raise StoreUnavailable(
                f"{left:,} bytes are not shipped: {_last_words(home)}",
                f"nothing is lost: run `tron ship` later; {home.shipper_log} tells more",
            )


def _last_words(home: Home) -> str:
    """The last line that the shipper wrote."""
    try:
        lines = home.shipper_log.read_bytes()[-_LAST_WORDS:].decode(errors="replace").split("\n")
    except OSError:
        lines = []
    return next((line for line in reversed(lines) if line.strip()), "the shipper says nothing")
