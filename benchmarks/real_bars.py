"""Records of the house's bots, with the limits of the house, on real bars.

Five coins in bars of five minutes, where `TRON_TEST_DATA` names the folder; else the sample of daily bars.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.bots.run import run_bots
from runner.clock import SystemClock
from runner.feeds.open import open_feed
from runner.layout import Home
from runner.logging import backlog, lines
from runner.settings import Settings, Shipping
from runner.wiring import build_bots, open_loggers, plan_bots


@contextmanager
def records() -> Iterator[dict[str, list[bytes]]]:
    """Lines by stream, in order."""
    data = os.environ.get("TRON_TEST_DATA", "")
    feed = open_feed(f"replay:{Path(data) / 'klines_5m'}" if data else "sample")
    with tempfile.TemporaryDirectory(prefix="tron-bench-") as folder:
        settings = Settings(home=Path(folder), shipping=Shipping(shipper="none"))
        clock, plans = SystemClock(), plan_bots(settings, feed)
        with open_loggers(settings, plans, feed, clock) as loggers:
            bots = build_bots(settings, plans, feed, loggers, clock)
            run_bots(bots, feed.bars(), speed=0, stop=threading.Event(), clock=clock)
        found = backlog.unshipped(Home(settings.home))
        yield {stream: lines.split(raw) for stream, raw in found.items()}
