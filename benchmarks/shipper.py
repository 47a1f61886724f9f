"""The archive follower alone: journal to hashed gzip objects on disk, uncompressed megabytes per second of one core."""

from __future__ import annotations

import time

from benchmarks.fresh import Sample, medians
from benchmarks.home import full_home, journal_bytes, ship
from benchmarks.table import Row, show

ROUNDS = 5


def sample() -> Sample:
    with full_home() as settings:
        size = journal_bytes(settings)
        wall, core = time.perf_counter(), time.process_time()
        ship(settings)
        core, wall = time.process_time() - core, time.perf_counter() - wall
    return {"core": size / core / 1e6, "wall": size / wall / 1e6}


def measure() -> None:
    found = medians("shipper", [()], ROUNDS)[()]
    ours, wall = f"{found['core']:,.0f} MB/s per core", f"{found['wall']:,.0f} MB/s by the clock"
    show("shipper", [Row("journal to archive", ours, wall, found["core"], 250, 500, more_is_better=True)])
