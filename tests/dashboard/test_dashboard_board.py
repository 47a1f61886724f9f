from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from runner.clock import ManualClock
from runner.dashboard.queries import KEPT_DOCUMENTS, KEPT_RECORDS, SHOWN_AT_ONCE, Board
from runner.errors import JournalError
from runner.stores.base import Document

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def document(key: str, *, collection: str = "live_trades", minute: int = 0, hours: float = 1) -> Document:
    ts = NOW + timedelta(minutes=minute)
    fields = {"ts": ts.isoformat(), "bot": "vwap"}
    return Document(collection, key, fields, 1, minute, f"r:{key}", NOW + timedelta(hours=hours))


def line(number: int, kind: str = "order", severity: str = "INFO", ts: datetime = NOW) -> bytes:
    record = {
        "id": f"run:x:{number:012d}",
        "kind": kind,
        "severity": severity,
        "ts": ts.isoformat(),
        "data": {"name": "n", "value": "1"},
    }
    return msgspec.json.encode(record)


def ids(lines: list[bytes]) -> list[int]:
    return [int(msgspec.json.decode(line)["id"][-12:]) for line in lines]


@pytest.fixture
def board() -> Board:
    return Board(ManualClock(NOW))


def test_only_the_newest_documents_of_a_collection_are_kept(board: Board) -> None:
    limit = KEPT_DOCUMENTS["live_trades"]
    kept = board.take_documents([document(f"t{n:03d}", minute=n) for n in range(limit + 5)])
    assert [one.key for one in kept] == [f"t{n:03d}" for n in range(5, limit + 5)]
    assert len(board.snapshot()["documents"]) == limit


def test_only_the_last_state_of_a_document_is_told(board: Board) -> None:
    kept = board.take_documents([document("t", minute=1), document("t", minute=2)])
    assert [one.seq for one in kept] == [2]


def test_expired_documents_are_not_shown(board: Board) -> None:
    board.take_documents([document("old", hours=-1), document("new")])
    assert [one["key"] for one in board.snapshot()["documents"]] == ["new"]


def test_warnings_and_errors_are_counted_by_day(board: Board) -> None:
    yesterday = NOW - timedelta(days=1)
    lines = [line(1, severity="WARNING"), line(2, severity="ERROR"), line(3, severity="CRITICAL"), line(4)]
    board.take_records([*lines, line(5, severity="ERROR", ts=yesterday)])
    assert board.counts == {"records": 5, "closed": {}, "warnings": 1, "errors": 2}


def test_reading_the_journal_again_counts_nothing_twice(board: Board) -> None:
    for _ in range(2):
        board.forget_records()
        board.take_records([line(1, severity="ERROR"), line(2)])
    assert board.counts == {"records": 2, "closed": {}, "warnings": 0, "errors": 1}
    assert len(board.snapshot()["records"]) == 2


def test_of_too_many_records_routine_ones_are_left_out_first(board: Board) -> None:
    flood = [line(n, kind="order" if n % 10 == 0 else "metric") for n in range(1000)]
    arrival = board.take_records(flood)
    shown = ids(list(arrival.lines))
    assert arrival.seen == 1000
    assert len(shown) == SHOWN_AT_ONCE
    assert shown == sorted(shown)
    assert set(range(0, 1000, 10)) <= set(shown)


def test_the_snapshot_holds_a_bounded_number_of_records(board: Board) -> None:
    for start in range(0, 2 * KEPT_RECORDS, 100):
        board.take_records([line(n) for n in range(start, start + 100)])
    assert len(board.snapshot()["records"]) == KEPT_RECORDS


def test_a_line_that_is_no_record_is_refused_by_name(board: Board) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        board.take_records([b'{"kind":'])


def test_a_trouble_is_news_once_and_its_end_is_news_too(board: Board) -> None:
    trouble = {"message": "locked", "hint": "wait"}
    assert board.set_trouble("live store", trouble)
    assert not board.set_trouble("live store", trouble)
    assert board.troubles == [{"source": "live store", **trouble}]
    assert board.set_trouble("live store", None)
    assert not board.set_trouble("live store", None)
    assert board.troubles == []
