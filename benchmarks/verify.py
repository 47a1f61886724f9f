"""`tron verify`: uncompressed megabytes per second of one core, over an archive alone, and over a home that has both.

In a home, the lines that are still in the journal are checked too, and compared with those of the archive; the second
figure counts them.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.fresh import Sample, medians
from benchmarks.home import full_home, journal_bytes, ship
from benchmarks.table import Row, show
from runner.layout import Home
from runner.logging.audit import Auditor
from runner.stores.open import open_archive

ROUNDS = 5


def sample(where: str) -> Sample:
    with full_home() as settings, tempfile.TemporaryDirectory(prefix="tron-bench-") as empty:
        size = journal_bytes(settings)
        ship(settings)
        home = Home(Path(empty)) if where == "archive" else Home(settings.home)
        auditor = Auditor(open_archive(settings), home)
        wall, core = time.perf_counter(), time.process_time()
        report = auditor.verify()
        core, wall = time.process_time() - core, time.perf_counter() - wall
        if any(finding.what != "missing copy" for finding in report.findings):
            raise SystemExit(f"the archive is not whole: {report.findings[0]}")
    checked = size if where == "archive" else 2 * size
    return {"core": checked / core / 1e6, "wall": checked / wall / 1e6}


def measure() -> None:
    places = ("archive", "archive and journal")
    found = medians("verify", [(place,) for place in places], ROUNDS)
    show("verify", [_row(place, found[place,]) for place in places])


def _row(place: str, found: Sample) -> Row:
    ours, wall = f"{found['core']:,.0f} MB/s per core", f"{found['wall']:,.0f} MB/s by the clock"
    return Row(place, ours, wall, found["core"], 200, 400, more_is_better=True)
