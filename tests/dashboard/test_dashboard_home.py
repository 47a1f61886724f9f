"""The dashboard over a real home: real loggers, the real journal, a real live store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest

from runner.clock import ManualClock, SystemClock
from runner.dashboard.app import create_app
from runner.dashboard.serve import serve
from runner.layout import Home
from runner.logging.core_logger import TradingLogger
from runner.logging.reader import Tail
from runner.settings import Settings, Shipping
from runner.stores.memory import MemoryLiveStore
from tests.dashboard.listening import listen_to, snapshot_when
from tests.dashboard.stage import START


@pytest.fixture
def logger(home: Home) -> Iterator[TradingLogger]:
    settings = Settings(home=home.path, shipping=Shipping(shipper="none"))
    with TradingLogger(bot="vwap", settings=settings, clock=ManualClock(START + timedelta(days=1))) as logger:
        yield logger


def test_what_a_logger_writes_appears_as_it_is_and_at_its_market_time(home: Home, logger: TradingLogger) -> None:
    logger.log_performance_metric("equity", Decimal("100000"))
    app = create_app(MemoryLiveStore(), lambda: Tail(home, from_start=True), clock=SystemClock(), beat_seconds=0.3)
    server = serve(app, port=0)
    try:
        snapshot = snapshot_when(server.url, lambda snapshot: snapshot["equity"]["series"])
        [series] = snapshot["equity"]["series"]
        assert (series["bot"], series["run"]) == ("vwap", logger.run)
        assert series["points"] == [[(START + timedelta(days=1)).timestamp(), 100_000.0]]
        with listen_to(server.url, since=snapshot["cursor"]) as ear:
            record_id = logger.log_warning("a gap in the bars")
            found: list[dict[str, object]] = []
            while not found:
                found = [record for record in ear.until("records").data["records"] if record["id"] == record_id]
        assert [record["data"]["message"] for record in found] == ["a gap in the bars"]
        assert httpx.get(f"{server.url}/api/snapshot").json()["counts"]["warnings"] == 1
    finally:
        server.stop()
