"""A bot that writes as fast as it can while the shipper's process archives: trades a second until all are archived."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import records
from benchmarks.fresh import Sample, medians
from benchmarks.table import Row, show
from runner.layout import Home
from runner.logging import TradeLogData, TradingLogger
from runner.logging.disk import is_locked
from runner.settings import Settings

ROUNDS = 3
_TRADES = 200_000


def sample() -> Sample:
    with tempfile.TemporaryDirectory(prefix="tron-bench-") as folder:
        home = Home(Path(folder))
        with TradingLogger(settings=Settings(home=home.path)) as logger:
            _until(lambda: is_locked(home.shipper_lock))
            values = records.trade_values()
            start = time.perf_counter()
            for number in range(_TRADES):
                logger.log_trade_exit(TradeLogData(**values[number % records.COUNT]))
            written = time.perf_counter() - start
            if not logger.flush(remote=True, timeout=120):
                raise SystemExit(f"not archived after two minutes: {logger.get_metrics()}")
            archived = time.perf_counter() - start
        _until(lambda: not is_locked(home.shipper_lock))
    return {"written": _TRADES / written, "archived": _TRADES / archived}


def measure() -> None:
    found = medians("sustained", [()], ROUNDS)[()]
    ours, written = f"{found['archived']:,.0f} trades/s", f"{found['written']:,.0f} written"
    show(
        "bot and shipper",
        [Row("until archived", ours, written, found["archived"], 100_000, 150_000, more_is_better=True)],
    )


def _until(condition: Callable[[], bool]) -> None:
    """Wait for the shipper's process to start or to end."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not condition():
        time.sleep(0.05)
