"""The export: 1,000,000 archived records into the embedded warehouse, a second export, and two queries.

A fleet of ten bots, one week, eight streams, in objects as the daily compaction leaves them: of a day, bot and stream.
The archive is made once, outside the clock; every sample then exports it in a process of its own, whose peak memory is
what the operating system says. Queries are asked in a process of their own, five times; the first of these is cold.
`python -m benchmarks exports` takes about a minute and 200 MB of disk.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from isal import igzip

from benchmarks.fresh import Sample, medians
from benchmarks.table import Row, show
from runner.layout import ObjectName
from runner.logging.routes import STREAMS
from runner.operations import queries
from runner.operations.exports import export, search
from runner.operations.schemas import columns
from runner.operations.tables import shapes
from runner.stores.base import Warehouse
from runner.stores.directory import DirectoryArchive
from runner.stores.duckdb import DuckdbWarehouse

RECORDS = 1_000_000
BOTS, DAYS = 10, 7
FIRST_DAY = datetime(2026, 11, 9, tzinfo=UTC)
SYMBOLS = ("AAPL", "MSFT", "IBM", "GOOG", "FB", "BTC/USDT", "ETH/USDT", "BRK.B")
RARE = "ZION"
"""A symbol that one bot trades on the first day only."""
SHARES = {
    "metrics": ("metric", 46),
    "positions": ("position", 20),
    "decisions": ("decision", 15),
    "orders": ("fill", 8),
    "system": ("heartbeat", 5),
    "trades": ("trade_exit", 5),
    "errors": ("warning", 1),
}
TIMES = 5


def sample(action: str, folder: str, *arguments: str) -> Sample:
    """What a fresh process measures: "export" into a folder, or "ask" what lies there."""
    return {"export": _export, "ask": _ask}[action](Path(folder), *arguments)


def measure() -> None:
    with tempfile.TemporaryDirectory(prefix="tron-bench-") as name:
        folder = Path(name)
        size, objects = make_archive(folder)
        print(f"{RECORDS:,} records, {size / 1e6:,.0f} MB uncompressed, {objects:,} objects")
        exported = medians("exports", [("export", name, str(number)) for number in range(3)], 1)
        asked = medians("exports", [("ask", name)], 1)["ask", name]
    first = sorted(exported.values(), key=lambda one: one["rate"])[1]
    rows = [
        Row("export, records/s", f"{first['rate']:,.0f}", f"{first['seconds']:.1f} s", first["rate"]),
        Row("peak memory, MB", f"{first['peak']:,.0f}", f"{first['before']:,.0f} before", first["peak"]),
        Row("second export, records moved", f"{first['again']:,.0f}", f"{first['again_s']:.2f} s", first["again"], 0),
    ]
    for name, limit in ASKED.items():
        beside = f"cold {asked[name + ' cold']:,.0f}, CPU {asked[name + ' CPU']:,.0f}"
        rows.append(Row(f"{name}, ms", f"{asked[name]:,.0f}", beside, asked[name], limit))
    show("export", rows)


ASKED: dict[str, float | None] = {
    "recent trades of a symbol": 100,
    "recent trades of a rare symbol": 100,
    "recent trades by SQL": 100,
    "search, a word in every object": 1000,
    "search, one record's id": 1000,
    "search, nothing found": 1000,
    "closed trades by day": None,
}


def _export(folder: Path, number: str) -> Sample:
    archive, warehouse = DirectoryArchive(folder / "archive"), _warehouse(folder / f"warehouse-{number}")
    before = _peak()
    start = time.perf_counter()
    report = export(archive, warehouse)
    seconds = time.perf_counter() - start
    if report.records != RECORDS:
        raise SystemExit(f"{report.records} records arrived: {report.set_aside[:1]}")
    peak = _peak()
    start = time.perf_counter()
    again = export(archive, warehouse).records
    taken = time.perf_counter() - start
    rate = report.records / seconds
    return {"rate": rate, "seconds": seconds, "before": before, "peak": peak, "again": again, "again_s": taken}


def _ask(folder: Path) -> Sample:
    warehouse = _warehouse(folder / "warehouse-0")
    last = warehouse.query("SELECT max(id) FROM positions").rows[0][0]
    by_sql = "SELECT * FROM trades WHERE symbol = 'MSFT' ORDER BY ts DESC LIMIT 50"
    questions: dict[str, Callable[[], Any]] = {
        "recent trades of a symbol": lambda: queries.run(warehouse, "recent_trades", symbol="MSFT", limit=50),
        "recent trades of a rare symbol": lambda: queries.run(warehouse, "recent_trades", symbol=RARE, limit=50),
        "recent trades by SQL": lambda: warehouse.query(by_sql),
        "search, a word in every object": lambda: search(warehouse, "btc/usdt"),
        "search, one record's id": lambda: search(warehouse, last),
        "search, nothing found": lambda: search(warehouse, "no such text"),
        "closed trades by day": lambda: warehouse.query("SELECT * FROM daily_performance"),
    }
    found: Sample = {}
    for name, ask in questions.items():
        times = [_milliseconds(ask) for _ in range(TIMES)]
        wall, core = [one[0] for one in times], [one[1] for one in times]
        found |= {name: statistics.median(wall), f"{name} cold": wall[0], f"{name} CPU": statistics.median(core)}
    return found


def _milliseconds(ask: Callable[[], Any]) -> tuple[float, float]:
    """By the clock, and of all cores together; on a busy machine only the second says what a question costs."""
    wall, core = time.perf_counter(), time.process_time()
    ask()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - core) * 1000


def _warehouse(root: Path) -> Warehouse:
    return DuckdbWarehouse(root, columns(), shapes())


def _peak() -> float:
    """The largest resident size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def make_archive(folder: Path) -> tuple[int, int]:
    """Fill `folder/archive`; returns the uncompressed bytes and the number of objects."""
    archive, chance = DirectoryArchive(folder / "archive"), random.Random(7)
    size = objects = 0
    for bot in range(BOTS):
        run = f"019a8f00-0000-7000-8000-00000000{bot:04x}"
        for stream, (kind, share) in SHARES.items():
            count = RECORDS * share // 100 // BOTS // DAYS
            extra = RECORDS * share // 100 // BOTS - count * DAYS
            first = 0
            for day in range(DAYS):
                number = count + (extra if day == DAYS - 1 else 0)
                start = FIRST_DAY + timedelta(days=day, hours=14, minutes=30)
                raw = b"".join(_lines(run, bot, stream, kind, first, number, start, chance))
                name = ObjectName(f"bot-{bot}", stream, start, run[-8:], first)
                metadata = {"stream": stream, "raw_bytes": str(len(raw)), "raw_sha256": hashlib.sha256(raw).hexdigest()}
                body = igzip.compress(raw, 1, mtime=0)
                archive.create(STREAMS[stream].bucket, str(name), body, metadata=metadata, content_type="")
                first, size, objects = first + number, size + len(raw), objects + 1
    return size, objects


def _lines(
    run: str, bot: int, stream: str, kind: str, first: int, count: int, start: datetime, chance: random.Random
) -> Iterator[bytes]:
    """Records of one day, spread evenly over six and a half hours."""
    apart = timedelta(hours=6, minutes=30) / count
    known = [json.dumps(_payload(kind, bot, number, start, chance))[1:-1] for number in range(256)]
    for number in range(count):
        at = f"{(start + number * apart).isoformat(timespec='microseconds')[:26]}Z"
        offset = first + number
        symbol = RARE if bot == 3 and start.day == FIRST_DAY.day and number < 5 else SYMBOLS[number * 7 % len(SYMBOLS)]
        yield (
            f'{{"id":"{run}:{stream}:{offset:012d}","seq":{offset},"ts":"{at}","kind":"{kind}","severity":"INFO",'
            f'"run":"{run}","bot":"bot-{bot}","bot_type":"stock-trader","session_id":"{run}","bot_version":"0.1.0",'
            f'"config_hash":"{_HASH}","environment":"local","at":"{at}","data":{{"symbol":"{symbol}",'
            f'"trade_id":"bot-{bot}-{symbol}-{offset:08d}",{known[number % 256]}}},"crc":"{offset % 65536:08x}"}}\n'
        ).encode()


_HASH = "d99f660afd7716565edb0e95edeea22c7267597722bf14540572766a42647764"


def _payload(kind: str, bot: int, number: int, start: datetime, chance: random.Random) -> dict[str, Any]:
    """Fields with the sizes of real ones."""
    price, gain = f"{chance.uniform(50, 900):.2f}", f"{chance.uniform(-90, 90):.2f}"
    if kind == "metric":
        return {"name": chance.choice(("equity", "drawdown")), "value": price, "unit": "%", "tags": {}}
    if kind == "position":
        money = {"entry_price": price, "market_price": price, "unrealized_pnl": gain, "realized_pnl": "0"}
        return {**money, "quantity": "58", "strategy": "breakout", "opened_at": start.isoformat(), "target": price}
    if kind == "decision":
        reason = f"close {price} is below the 10-bar low {gain}"
        told = {"strategy": "breakout", "action": "exit", "outcome": "taken", "reason": reason, "confidence": 1.0}
        return {**told, "decision_id": f"d-{number}", "indicators": {"lowest": 201.66}, "context": {}}
    if kind == "fill":
        return {"fill_id": f"f-{number}", "order_id": f"o-{number}", "side": "SELL", "price": price, "commission": gain}
    if kind == "heartbeat":
        return {"status": "running", "equity": price, "cash": price, "open_positions": 3, "bars": number, "context": {}}
    if kind == "warning":
        return {"message": f"no bars for {number} seconds", "source": "feed", "context": {"venue": "XNAS"}}
    text = {"decision_reasoning": f"close {price} is above the 20-bar high {gain}, volume 3.1 times the usual"}
    text |= {"strategy_name": "breakout", "entry_type": "breakout", "outcome": "win", "execution_mode": "PAPER"}
    text |= {"exit_reasoning": "target reached", "action": "SELL", "order_id": f"o-{number}", "config_hash": _HASH}
    money = {"quantity": "58", "price": price, "total_value": price, "stop_loss": price, "net_profit_loss": gain}
    return {**money, **text, "profit_loss": gain, "commission": "1.25", "exit_timestamp": start.isoformat()}
