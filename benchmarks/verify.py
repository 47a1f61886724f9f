"""`tron verify` over an archived home: uncompressed megabytes per second of one core."""

from __future__ import annotations

import time

from benchmarks.fresh import Sample, medians
from benchmarks.home import full_home, journal_bytes, ship
from benchmarks.table import Row, show
from runner.layout import Home
from runner.logging.audit import Auditor
from runner.stores.open import open_archive

ROUNDS = 5


def sample() -> Sample:
    with full_home() as settings:
        size = journal_bytes(settings)
        ship(settings)
        auditor = Auditor(open_archive(settings), Home(settings.home))
        wall, core = time.perf_counter(), time.process_time()
        report = auditor.verify()
        core, wall = time.process_time() - core, time.perf_counter() - wall
        if any(finding.what != "missing copy" for finding in report.findings):
            raise SystemExit(f"the archive is not whole: {report.findings[0]}")
    return {"core": size / core / 1e6, "wall": size / wall / 1e6}


def measure() -> None:
    found = medians("verify", [()], ROUNDS)[()]
    ours, wall = f"{found['core']:,.0f} MB/s per core", f"{found['wall']:,.0f} MB/s by the clock"
    show("verify", [Row("archive and journal", ours, wall, found["core"], 200, 400, more_is_better=True)])
