"""Live documents into the Firestore emulator: the live store beside the official client's BulkWriter at full throttle.

Both write the same trades, in turn, and what they wrote is read back and compared. The emulator runs on this machine
and takes its own share of it, so documents a second are those of both together; processor time is the client's alone.
It is warmed up first: a Java program compiles itself while it runs. It has memory for all rounds: with less, its
garbage collector takes a processor for itself in some rounds and not in others, and neither of the two is measured.
"""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google.cloud.firestore import Client
from google.cloud.firestore_v1.bulk_writer import BulkWriterOptions

from benchmarks.table import Row, show
from runner.stores.base import Document
from runner.stores.firestore import FirestoreLiveStore
from tests.emulators.emulator import Program, start
from tests.emulators.fixtures import VARIABLES
from tests.emulators.programs import PROGRAMS

DOCUMENTS, ROUNDS, WARMING, PER_COMMIT = 6_000, 5, 8, 500
TIMES_FASTER, SHARE_OF_CPU = 4.0, 0.15
_THROTTLE = 1_000_000
_MEMORY = "-XX:+UseSerialGC -Xms3g -Xmx4g -Xmn2g"
_EXPIRY = datetime(2099, 1, 1, tzinfo=UTC)
_NOW = datetime(2024, 6, 3, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a document: by the clock on the wall, and of this process on all its processors."""

    wall: float
    cpu: float


def measure() -> None:
    with _emulator():
        for _ in range(WARMING):
            _cost(_with_store)
        rounds = [(_cost(_with_store), _cost(_with_bulk_writer)) for _ in range(ROUNDS)]
        _compare_what_was_written()
    ours = _median([round[0] for round in rounds])
    theirs = _median([round[1] for round in rounds])
    show(f"Firestore, {DOCUMENTS:,} trades, median of {ROUNDS} rounds", _rows(ours, theirs))


def _rows(ours: Cost, theirs: Cost) -> list[Row]:
    speed = Row(
        "documents a second, beside BulkWriter",
        f"{1 / ours.wall:,.0f}/s",
        f"{1 / theirs.wall:,.0f}/s",
        theirs.wall / ours.wall,
        TIMES_FASTER,
        more_is_better=True,
    )
    cpu = Row(
        "client CPU of a document, beside BulkWriter",
        f"{ours.cpu * 1e6:.0f} us",
        f"{theirs.cpu * 1e6:.0f} us",
        ours.cpu / theirs.cpu,
        SHARE_OF_CPU,
    )
    return [speed, cpu]


def _cost(write: Callable[[str, list[Document]], None]) -> Cost:
    """What it takes to write all documents into a new project."""
    project, documents = _project(), trades(DOCUMENTS)
    wall, cpu = time.perf_counter(), time.process_time()
    write(project, documents)
    return Cost((time.perf_counter() - wall) / DOCUMENTS, (time.process_time() - cpu) / DOCUMENTS)


def _with_store(project: str, documents: list[Document]) -> None:
    """From two threads, so that one prepares while the other waits: BulkWriter sends from threads of its own, too."""
    store = FirestoreLiveStore(project)
    commits = [documents[begin : begin + PER_COMMIT] for begin in range(0, len(documents), PER_COMMIT)]
    with ThreadPoolExecutor(2) as pool:
        if sum(pool.map(store.commit, commits)) != len(documents):
            raise SystemExit("the live store did not write every document")
    store.close()


def _with_bulk_writer(project: str, documents: list[Document]) -> None:
    client = Client(project=project)
    writer = client.bulk_writer(BulkWriterOptions(initial_ops_per_second=_THROTTLE, max_ops_per_second=_THROTTLE))
    for document in documents:
        order = {"epoch": document.epoch, "seq": document.seq, "expire_at": document.expire_at}
        writer.create(client.collection(document.collection).document(document.key), {**document.fields, **order})
    writer.close()
    client.close()


def _compare_what_was_written() -> None:
    """Both must leave the same documents, and those that were meant."""
    documents = trades(DOCUMENTS)
    for write in (_with_store, _with_bulk_writer):
        project = _project()
        write(project, documents)
        store = FirestoreLiveStore(project)
        found = store.query("live_trades", now=_NOW, limit=DOCUMENTS + 1)
        store.close()
        if found != documents:
            raise SystemExit(f"{write.__name__} did not write what it was given")


def trades(count: int) -> list[Document]:
    """Trades as records fold into them."""
    return [_trade(number) for number in range(count)]


def _trade(number: int) -> Document:
    record_id = f"018fb0a0-0000-7000-8000-0000deadbeef:trades:{number:012d}"
    moment = (_NOW + timedelta(seconds=number)).isoformat()
    fields = {
        "bot": "breakout",
        "bot_type": "stock-trader",
        "run": "018fb0a0-0000-7000-8000-0000deadbeef",
        "kind": "trade_entry",
        "severity": "INFO",
        "ts": moment,
        "at": moment,
        "environment": "prod",
        "trade_id": f"t{number:08d}",
        "symbol": "AAPL",
        "action": "BUY",
        "side": "BUY",
        "quantity": "100",
        "price": f"{100 + number % 50}.25",
        "entry_price": f"{100 + number % 50}.25",
        "total_value": f"{(100 + number % 50) * 100}.00",
        "timestamp": moment,
        "entry_timestamp": moment,
        "strategy_name": "vwap",
        "reasoning": "price crossed the volume-weighted average upwards with more than usual volume",
        "confidence_score": 0.82,
        "risk_reward_ratio": 2.5,
        "indicators_used": ["vwap", "rsi"],
        "market_conditions": {"trend": "up", "volatility": 0.013},
        "execution_mode": "paper",
        "order_id": f"o{number:08d}",
        "status": "open",
        "exit_price": None,
        "record_id": record_id,
    }
    return Document("live_trades", f"t{number:08d}", fields, 1, number, record_id, _EXPIRY)


def _unbridled(folder: Path) -> Program:
    """The emulator with memory for all rounds and all of Java's compilation: tests are content with less."""
    return replace(PROGRAMS["firestore"](folder), environ={"JAVA_TOOL_OPTIONS": _MEMORY})


def _project() -> str:
    return f"demo-{uuid.uuid4().hex[:12]}"


def _median(costs: list[Cost]) -> Cost:
    middle = len(costs) // 2
    return Cost(sorted(cost.wall for cost in costs)[middle], sorted(cost.cpu for cost in costs)[middle])


@contextmanager
def _emulator() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        emulator = start("firestore", _unbridled, Path(folder))
        os.environ[VARIABLES["firestore"]] = emulator.host
        try:
            yield
        finally:
            emulator.kill()
