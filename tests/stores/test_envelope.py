from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from runner.errors import StoreRejected
from runner.layout import Home
from runner.logging import create_trading_logger
from runner.logging.reader import Tail
from runner.settings import Settings, Shipping
from runner.stores.envelope import SCHEMA_FILE, read_envelope, schema


def test_the_schema_file_is_that_of_the_envelope() -> None:
    assert SCHEMA_FILE.read_text() == schema()


def test_every_line_of_a_journal_is_an_envelope(home: Home) -> None:
    settings = Settings(home=home.path, shipping=Shipping(shipper="none"))
    with create_trading_logger("s", "stock-trader", bot="breakout", settings=settings) as logger:
        logger.log_system_event("started", {"ä": "☃"})
        logger.bind(trace="t", actor="ann", symbol="IBM").log_warning("late")
        logger.log_performance_metric("equity", 1.5, unit="USD")
    tail = Tail(home, from_start=True)
    envelopes = [read_envelope(line[:-1]) for line in tail.next(0)]
    tail.close()
    assert {"system_event", "warning", "metric", "seal"} <= {envelope.kind for envelope in envelopes}
    assert all(envelope.id.startswith(f"{envelope.run}:") for envelope in envelopes)
    assert all(datetime.fromisoformat(envelope.ts).tzinfo == UTC for envelope in envelopes)


GOOD = {
    "id": "018fb0a0-0000-7000-8000-0000deadbeef:trades:000000000007",
    "seq": 9,
    "ts": "2024-06-03T14:30:00.000001Z",
    "kind": "fill",
    "severity": "INFO",
    "bot": "breakout",
    "run": "018fb0a0-0000-7000-8000-0000deadbeef",
    "data": {"price": "1.5"},
    "crc": "0a1b2c3d",
}


def test_fields_of_later_versions_are_no_harm() -> None:
    assert read_envelope(json.dumps(GOOD | {"new": [1]}).encode()).data == {"price": "1.5"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        *(json.dumps({key: value for key, value in GOOD.items() if key != gone}).encode() for gone in GOOD),
        json.dumps(GOOD | {"id": "7"}).encode(),
        json.dumps(GOOD | {"seq": -1}).encode(),
        json.dumps(GOOD | {"data": "x"}).encode(),
        json.dumps(GOOD | {"ts": "yesterday"}).encode(),
    ],
)
def test_what_is_no_record_is_rejected(body: bytes) -> None:
    with pytest.raises(StoreRejected, match="a message is not a record"):
        read_envelope(body)
