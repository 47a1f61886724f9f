"""A home full of trades, for what works on journals and archives."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import records
from runner.clock import SystemClock
from runner.layout import Home
from runner.logging import TradeLogData, TradingLogger
from runner.logging.follower import Journals, Patience
from runner.logging.gcs_logger import GCSLogger
from runner.settings import Settings, Shipping
from runner.stores.open import open_archive
from runner.wiring import archive_policy

TRADES = 100_000


@contextmanager
def full_home() -> Iterator[Settings]:
    """Settings whose home holds one closed run of `TRADES` trades that nobody has shipped."""
    with tempfile.TemporaryDirectory(prefix="tron-bench-") as folder:
        settings = Settings(home=Path(folder), shipping=Shipping(shipper="none"))
        values = records.trade_values()
        with TradingLogger(settings=settings) as logger:
            for number in range(TRADES):
                logger.log_trade_exit(TradeLogData(**values[number % records.COUNT]))
        yield settings


def journal_bytes(settings: Settings) -> int:
    return sum(path.stat().st_size for path in Home(settings.home).journal.glob("*/*/*.ndjson"))


def ship(settings: Settings) -> None:
    """Archive everything, in this thread."""
    journals = Journals(Home(settings.home), SystemClock())
    patience = Patience("archive", threading.Event(), lambda trouble: None)
    follower = GCSLogger(journals, open_archive(settings), archive_policy(settings), patience)
    while follower.step(drain=True):
        pass
    follower.close()
