"""What every backend of a store promises. A new backend is one more line in one of the four tables below."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runner.clock import ManualClock
from runner.errors import ObjectExists, StoreError, StoreRejected
from runner.stores.base import Archive, Document, LifecycleRule, LiveStore, Message, Part, Stream, Warehouse
from runner.stores.columns import Column, ColumnType
from runner.stores.directory import DirectoryArchive
from runner.stores.duckdb import DuckdbWarehouse
from runner.stores.memory import MemoryArchive, MemoryLiveStore, MemoryStream
from runner.stores.sqlite import SqliteLiveStore
from tests.stores.bigquery_parts import open_bigquery
from tests.stores.emulated import open_firestore, open_gcs, open_pubsub, pull

NOW = datetime(2024, 6, 3, 14, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
RUN = "018fb0a0-0000-7000-8000-0000deadbeef"
COLUMNS = {
    "trades": (
        Column("symbol", ColumnType.TEXT),
        Column("price", ColumnType.DECIMAL),
        Column("hold_duration_seconds", ColumnType.INTEGER),
        Column("risk_reward_ratio", ColumnType.FLOAT),
        Column("exit_timestamp", ColumnType.TIMESTAMP),
        Column("indicators_used", ColumnType.JSON),
        Column("session_id", ColumnType.TEXT),
    ),
    "system": (Column("halted", ColumnType.BOOLEAN), Column("date", ColumnType.DATE)),
}

LIVE: dict[str, Callable[[Path, ManualClock, pytest.FixtureRequest], LiveStore]] = {
    "memory": lambda _, clock, __: MemoryLiveStore(clock=clock),
    "sqlite": lambda folder, clock, _: SqliteLiveStore(folder / "live.sqlite", clock=clock),
    "firestore": lambda _, clock, request: open_firestore(request, clock=clock),
}
ARCHIVES: dict[str, Callable[[Path, pytest.FixtureRequest], Archive]] = {
    "memory": lambda *_: MemoryArchive(),
    "directory": lambda folder, _: DirectoryArchive(folder / "archive"),
    "gcs": lambda _, request: open_gcs(request, "trade-logs", "compliance-logs"),
}
STREAMS: dict[str, Callable[[pytest.FixtureRequest], Stream]] = {
    "memory": lambda _: MemoryStream(),
    "pubsub": lambda request: open_pubsub(request, "listener"),
}
WAREHOUSES: dict[str, Callable[[Path, pytest.FixtureRequest], Warehouse]] = {
    "duckdb": lambda folder, _: DuckdbWarehouse(folder / "warehouse", COLUMNS),
    "bigquery": lambda _, request: open_bigquery(request, COLUMNS),
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture(params=LIVE)
def live(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[LiveStore]:
    store = LIVE[request.param](tmp_path, clock, request)
    yield store
    store.close()


@pytest.fixture(params=ARCHIVES)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    store = ARCHIVES[request.param](tmp_path, request)
    yield store
    store.close()


@pytest.fixture(params=STREAMS)
def stream(request: pytest.FixtureRequest) -> Iterator[Stream]:
    store = STREAMS[request.param](request)
    yield store
    store.close()


@pytest.fixture(params=WAREHOUSES)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    store = WAREHOUSES[request.param](tmp_path, request)
    yield store
    store.close()


def document(key: str, seq: int = 0, *, epoch: int = 1, collection: str = "live_trades", **fields: Any) -> Document:
    expire_at = fields.pop("expire_at", NOW + HOUR)
    return Document(collection, key, fields, epoch, seq, f"{RUN}:trades:{seq:012d}", expire_at)


class TestLiveStore:
    def test_a_document_comes_back_as_it_was_written(self, live: LiveStore) -> None:
        written = document(
            "t/1 ä", 7, price="1.50", n=3, x=2.5, ok=True, none=None, deep={"a": [1, {"b": "c"}]}, uni="é☃"
        )
        assert live.commit([written]) == 1
        assert live.get("live_trades", "t/1 ä") == written

    def test_an_absent_document_is_none(self, live: LiveStore) -> None:
        assert live.get("live_trades", "nothing") is None

    @pytest.mark.parametrize(
        ("epoch", "seq", "wins"), [(1, 6, True), (2, 0, True), (1, 5, False), (1, 4, False), (0, 9, False)]
    )
    def test_only_a_newer_document_replaces_another(self, live: LiveStore, epoch: int, seq: int, wins: bool) -> None:
        live.commit([document("a", 5, epoch=1, state="old")])
        assert live.commit([document("a", seq, epoch=epoch, state="new")]) == int(wins)
        found = live.get("live_trades", "a")
        assert found is not None
        assert found.fields["state"] == ("new" if wins else "old")

    def test_of_one_commits_documents_with_one_key_the_newest_stays(self, live: LiveStore) -> None:
        assert live.commit([document("a", 1, n=1), document("a", 3, n=3), document("a", 2, n=2)]) == 2
        found = live.get("live_trades", "a")
        assert found is not None
        assert found.fields == {"n": 3}

    @pytest.mark.parametrize("value", [Decimal("1.5"), NOW, float("nan"), float("inf"), b"x", "\ud800", {1, 2}])
    def test_what_is_not_json_is_rejected_and_nothing_of_the_commit_is_written(
        self, live: LiveStore, value: Any
    ) -> None:
        with pytest.raises(StoreRejected):
            live.commit([document("good", n=1), document("bad", n=value)])
        assert live.get("live_trades", "good") is None

    def test_an_expired_document_is_never_seen(self, live: LiveStore) -> None:
        live.commit([document("old", expire_at=NOW), document("young", expire_at=NOW + timedelta(microseconds=1))])
        assert live.get("live_trades", "old", now=NOW) is None
        assert live.get("live_trades", "young", now=NOW) is not None
        assert [found.key for found in live.query("live_trades", now=NOW)] == ["young"]

    def test_a_query_matches_type_and_value(self, live: LiveStore) -> None:
        values: dict[str, Any] = {"one": 1, "true": True, "text": "1", "null": None, "list": [1], "real": 1.0}
        live.commit([document(key, n=value) for key, value in values.items()] + [document("absent")])

        def keys(value: Any) -> list[str]:
            return [found.key for found in live.query("live_trades", now=NOW, where={"n": value})]

        assert keys(1) == ["one", "real"]
        assert keys(True) == ["true"]
        assert keys("1") == ["text"]
        assert keys(None) == ["null"]

    def test_all_conditions_of_a_query_must_hold(self, live: LiveStore) -> None:
        live.commit(
            [document("a", bot="x", state="open"), document("b", bot="x", state="closed"), document("c", bot="y")]
        )
        found = live.query("live_trades", now=NOW, where={"bot": "x", "state": "open"})
        assert [one.key for one in found] == ["a"]

    def test_a_query_sorts_by_a_field_then_by_key_and_leaves_out_documents_without_it(self, live: LiveStore) -> None:
        live.commit(
            [document("b", n=1), document("a", n=1), document("c", n=0), document("none"), document("null", n=None)]
        )
        ascending = [found.key for found in live.query("live_trades", now=NOW, order_by="n")]
        assert ascending == ["null", "c", "a", "b"]
        descending = [found.key for found in live.query("live_trades", now=NOW, order_by="n", descending=True, limit=3)]
        assert descending == ["b", "a", "c"]

    @pytest.mark.parametrize("name", ["a b", "a'", 'a"', "a.b", "", "a;--", "1a", "ä"])
    def test_a_name_that_is_no_field_is_rejected(self, live: LiveStore, name: str) -> None:
        with pytest.raises(StoreRejected):
            live.query("live_trades", now=NOW, where={name: 1})

    def test_a_condition_on_a_list_is_rejected(self, live: LiveStore) -> None:
        with pytest.raises(StoreRejected):
            live.query("live_trades", now=NOW, where={"n": [1]})

    def test_a_query_sees_its_collection_only(self, live: LiveStore) -> None:
        live.commit([document("a"), document("a", collection="live_alerts")])
        assert [found.collection for found in live.query("live_alerts", now=NOW)] == ["live_alerts"]

    def test_expired_documents_are_deleted_in_pages(self, live: LiveStore) -> None:
        live.commit([document(f"old{n}", expire_at=NOW - n * HOUR) for n in range(5)] + [document("young")])
        assert [live.delete_expired(now=NOW, limit=3) for _ in range(3)] == [3, 2, 0]
        assert live.get("live_trades", "old0") is None
        assert live.get("live_trades", "young") is not None

    def test_a_watch_begins_with_every_unexpired_document(self, live: LiveStore) -> None:
        live.commit([document("a"), document("old", expire_at=NOW), document("b", collection="live_alerts")])
        watch = live.watch(["live_trades", "live_alerts"])
        assert [found.key for found in watch.next(timeout=0)] == ["a", "b"]
        watch.close()

    def test_a_watch_tells_changes_once_oldest_first(self, live: LiveStore) -> None:
        watch = live.watch(["live_trades"])
        assert watch.next(timeout=0) == []
        live.commit([document("b", 1), document("a", 2)])
        live.commit([document("b", 3, n=2), document("c", 4, collection="live_alerts")])
        assert [(found.key, found.seq) for found in watch.next(timeout=5)] == [("a", 2), ("b", 3)]
        assert watch.next(timeout=0) == []
        watch.close()

    def test_a_watch_does_not_tell_of_a_write_that_was_refused(self, live: LiveStore) -> None:
        live.commit([document("a", 5)])
        watch = live.watch(["live_trades"])
        watch.next(timeout=0)
        live.commit([document("a", 4)])
        assert watch.next(timeout=0) == []
        watch.close()

    def test_a_waiting_watch_wakes_when_a_document_changes(self, live: LiveStore) -> None:
        watch = live.watch(["live_trades"])
        watch.next(timeout=0)
        writer = threading.Timer(0.1, live.commit, [[document("a")]])
        writer.start()
        assert [found.key for found in watch.next(timeout=30)] == ["a"]
        writer.join()
        watch.close()

    def test_a_closed_watch_stops_waiting(self, live: LiveStore) -> None:
        watch = live.watch(["live_trades"])
        watch.next(timeout=0)
        closer = threading.Timer(0.1, watch.close)
        closer.start()
        assert watch.next(timeout=30) == []
        closer.join()

    def test_threads_that_race_for_a_key_leave_the_newest_document(self, live: LiveStore) -> None:
        def write(start: int) -> None:
            for seq in range(start, 200, 4):
                live.commit([document("a", seq, n=seq)])

        threads = [threading.Thread(target=write, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = live.get("live_trades", "a")
        assert found is not None
        assert found.fields == {"n": 199}
        assert live.operations["commits"] == 200

    def test_operations_are_counted(self, live: LiveStore) -> None:
        live.commit([document("a", n=1), document("b", n=22)])
        live.commit([document("a", n=1)])
        live.get("live_trades", "a")
        live.query("live_trades", now=NOW)
        live.delete_expired(now=NOW + 2 * HOUR)
        counted = {name: live.operations[name] for name in ("commits", "writes", "reads", "deletes")}
        assert counted == {"commits": 2, "writes": 2, "reads": 3, "deletes": 2}
        assert live.operations["bytes"] > 0


NAME = "logs/2024/06/03/breakout/trades_143000_deadbeef-000000000000_v1.json.gz"


def create(archive: Archive, name: str, body: bytes = b"body", bucket: str = "trade-logs") -> None:
    archive.create(
        bucket, name, body, metadata={"raw_sha256": hashlib.sha256(body).hexdigest()}, content_type="text/plain"
    )


RULES = (LifecycleRule(365), LifecycleRule(30, "NEARLINE", 1 << 20))


class TestArchive:
    def test_an_object_comes_back_as_it_was_created(self, archive: Archive) -> None:
        body = bytes(range(256)) * 100
        create(archive, NAME, body)
        assert archive.read("trade-logs", NAME) == body
        info = archive.stat("trade-logs", NAME)
        assert info is not None
        assert (info.bucket, info.name, info.size) == ("trade-logs", NAME, len(body))
        assert info.metadata == {"raw_sha256": hashlib.sha256(body).hexdigest()}

    def test_a_name_is_created_once_and_the_first_body_stays(self, archive: Archive) -> None:
        create(archive, NAME, b"first")
        with pytest.raises(ObjectExists):
            create(archive, NAME, b"second")
        assert archive.read("trade-logs", NAME) == b"first"

    def test_one_name_lies_in_two_buckets(self, archive: Archive) -> None:
        create(archive, NAME, b"first")
        create(archive, NAME, b"second", bucket="compliance-logs")
        assert archive.read("compliance-logs", NAME) == b"second"

    def test_an_absent_object_cannot_be_read(self, archive: Archive) -> None:
        assert archive.stat("trade-logs", NAME) is None
        with pytest.raises(StoreError, match="no object"):
            archive.read("trade-logs", NAME)

    def test_an_empty_object_is_an_object(self, archive: Archive) -> None:
        create(archive, "logs/empty", b"")
        assert archive.read("trade-logs", "logs/empty") == b""

    def test_a_missing_bucket_is_empty(self, archive: Archive) -> None:
        assert list(archive.list("system-logs")) == []

    def test_objects_are_listed_in_order_of_name_with_their_metadata(self, archive: Archive) -> None:
        names = ["logs/a/b", "logs/a-b", "logs/a.b", "logs/a0", "logs/aa/x", "logs/b", "logs/ä", "m"]
        for name in reversed(names):
            create(archive, name, name.encode())
        listed = list(archive.list("trade-logs"))
        assert [info.name for info in listed] == sorted(names)
        assert all(info.metadata["raw_sha256"] == hashlib.sha256(info.name.encode()).hexdigest() for info in listed)

    @pytest.mark.parametrize("prefix", ["", "logs/", "logs/a", "logs/a/", "logs/a/b", "logs/a/bc", "x", "logs//", "lo"])
    def test_a_prefix_selects_names(self, archive: Archive, prefix: str) -> None:
        names = ["logs/a/b", "logs/a/bc/d", "logs/a-b", "logs/ab/x", "logs/b", "m"]
        for name in names:
            create(archive, name)
        expected = sorted(name for name in names if name.startswith(prefix))
        assert [info.name for info in archive.list("trade-logs", prefix)] == expected

    def test_a_deleted_object_is_gone_and_its_name_is_free_again(self, archive: Archive) -> None:
        create(archive, NAME, b"first")
        archive.delete("trade-logs", NAME)
        archive.delete("trade-logs", NAME)
        assert archive.stat("trade-logs", NAME) is None
        assert list(archive.list("trade-logs")) == []
        create(archive, NAME, b"second")
        assert archive.read("trade-logs", NAME) == b"second"

    def test_of_threads_that_race_for_a_name_one_wins(self, archive: Archive) -> None:
        won: list[int] = []

        def race(number: int) -> None:
            try:
                create(archive, NAME, f"body {number}".encode())
            except ObjectExists:
                return
            won.append(number)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert archive.read("trade-logs", NAME) == f"body {won[0]}".encode()

    def test_a_missing_bucket_has_no_lifecycle_and_takes_none(self, archive: Archive) -> None:
        assert archive.lifecycle("system-logs") is None
        with pytest.raises(StoreError, match="system-logs"):
            archive.set_lifecycle("system-logs", RULES)
        assert archive.lifecycle("system-logs") is None

    def test_a_bucket_has_no_rules_until_it_is_given_some(self, archive: Archive) -> None:
        create(archive, NAME)
        found = archive.lifecycle("trade-logs")
        assert found is not None
        assert (found.rules, found.foreign) == ((), ())

    def test_rules_change_no_object_and_no_listing(self, archive: Archive) -> None:
        create(archive, NAME)
        archive.set_lifecycle("trade-logs", RULES)
        archive.set_lifecycle("trade-logs", RULES[:1])
        assert [info.name for info in archive.list("trade-logs")] == [NAME]
        archive.delete("trade-logs", NAME)
        assert archive.lifecycle("trade-logs") is not None

    def test_operations_are_counted(self, archive: Archive) -> None:
        create(archive, NAME, b"12345")
        archive.read("trade-logs", NAME)
        archive.stat("trade-logs", NAME)
        list(archive.list("trade-logs"))
        archive.delete("trade-logs", NAME)
        assert dict(archive.operations) == {"class_a": 2, "class_b": 2, "deletes": 1, "bytes": 5, "read_bytes": 5}


def received(stream: Stream, count: int) -> list[Message]:
    """The first `count` messages, as listeners get them."""
    return list(stream.messages) if isinstance(stream, MemoryStream) else pull(stream, "listener", count)


class TestStream:
    def test_messages_arrive_as_they_were_published_and_in_order(self, stream: Stream) -> None:
        messages = [Message("breakout:trades", f"{number}".encode(), {"kind": "fill"}) for number in range(5)]
        stream.publish(messages[:2])
        stream.publish(messages[2:])
        assert received(stream, 5) == messages

    def test_messages_of_each_key_arrive_in_order(self, stream: Stream) -> None:
        messages = [Message(f"bot{number % 3}:trades", f"{number}".encode()) for number in range(30)]
        stream.publish(messages)
        found = received(stream, 30)
        for key in ("bot0:trades", "bot1:trades", "bot2:trades"):
            ordered = [message for message in messages if message.ordering_key == key]
            assert [message for message in found if message.ordering_key == key] == ordered

    def test_any_bytes_may_be_a_body(self, stream: Stream) -> None:
        message = Message("breakout:trades", bytes(range(256)), {"ä": "☃"})
        stream.publish([message])
        assert received(stream, 1) == [message]

    def test_publishing_nothing_is_harmless(self, stream: Stream) -> None:
        stream.publish([])
        assert stream.operations["messages"] == 0

    def test_operations_are_counted(self, stream: Stream) -> None:
        messages = [Message("breakout:trades", f"{number}".encode()) for number in range(5)]
        stream.publish(messages[:2])
        stream.publish(messages[2:])
        assert dict(stream.operations) == {"requests": 2, "messages": 5, "bytes": 5, "bytes_billed": 2000}


def record(offset: int, stream: str = "trades", **payload: Any) -> dict[str, Any]:
    moment = (NOW + timedelta(seconds=offset)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {
        "id": f"{RUN}:{stream}:{offset:012d}",
        "seq": offset * 2,
        "ts": moment,
        "at": moment,
        "kind": "trade_entry" if stream == "trades" else "heartbeat",
        "severity": "INFO",
        "bot": "breakout",
        "bot_type": "stock-trader",
        "run": RUN,
        "data": payload,
        "crc": "00000000",
    }


def lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in records)


def part(first: int, content: bytes, stream: str = "trades", bot: str = "breakout") -> Part:
    name = f"logs/2024/06/03/{bot}/{stream}_143000_deadbeef-{first:012d}_v1.json.gz"
    return Part("trade-logs", name, stream, {}, content)


class TestWarehouse:
    def test_an_empty_warehouse_has_every_table(self, warehouse: Warehouse) -> None:
        assert warehouse.loaded("trades") == frozenset()
        assert warehouse.query("SELECT count(*), sum(price) FROM trades").rows == ((0, None),)
        assert warehouse.query("SELECT * FROM records").rows == ()

    def test_a_loaded_record_comes_back_with_typed_columns(self, warehouse: Warehouse) -> None:
        payload = {
            "symbol": "AAPL",
            "price": "187.123456789012",
            "hold_duration_seconds": 60,
            "risk_reward_ratio": 2.5,
            "exit_timestamp": "2024-06-03T15:00:00.000001Z",
            "indicators_used": ["rsi"],
            "session_id": "of the payload",
        }
        assert warehouse.load([part(0, lines(record(0, **payload) | {"session_id": "of the envelope"}))]) == 1
        (row,) = warehouse.query("SELECT * FROM trades").dicts()
        assert row["id"] == f"{RUN}:trades:000000000000"
        assert (row["run"], row["stream"], row["offset"], row["seq"]) == (RUN, "trades", 0, 0)
        assert row["ts"] == row["at"] == NOW
        assert row["symbol"] == "AAPL"
        assert row["price"] == Decimal("187.123456789012")
        assert (row["hold_duration_seconds"], row["risk_reward_ratio"]) == (60, 2.5)
        assert row["exit_timestamp"] == datetime(2024, 6, 3, 15, 0, 0, 1, tzinfo=UTC)
        assert json.loads(row["indicators_used"]) == ["rsi"]
        assert row["session_id"] == "of the envelope"
        assert row["actor"] is None
        assert json.loads(row["data"]) == payload

    def test_booleans_and_dates_are_typed(self, warehouse: Warehouse) -> None:
        warehouse.load([part(0, lines(record(0, "system", halted=True, date="2024-06-03")), "system")])
        assert warehouse.query("SELECT halted, date FROM system").rows == ((True, date(2024, 6, 3)),)

    def test_what_does_not_fit_its_column_is_null_there_and_exact_in_data(self, warehouse: Warehouse) -> None:
        warehouse.load([part(0, lines(record(0, price="1e30", hold_duration_seconds="long")))])
        (row,) = warehouse.query("SELECT price, hold_duration_seconds, data FROM trades").rows
        assert row[:2] == (None, None)
        assert json.loads(row[2]) == {"price": "1e30", "hold_duration_seconds": "long"}

    def test_loading_twice_adds_nothing(self, warehouse: Warehouse) -> None:
        one = part(0, lines(record(0), record(1)))
        assert [warehouse.load([one]), warehouse.load([one])] == [2, 0]
        assert warehouse.query("SELECT count(*) FROM trades").rows == ((2,),)
        assert warehouse.loaded("trades") == {one.name}
        assert warehouse.loaded("system") == frozenset()

    @pytest.mark.parametrize("bot", ["breakout", "a'b", "x[1]*?", "ä b%2F", "a-b.c"])
    def test_the_name_of_a_loaded_object_comes_back_exactly(self, warehouse: Warehouse, bot: str) -> None:
        one = part(7, lines(record(7)), bot=bot)
        warehouse.load([one])
        assert warehouse.loaded("trades") == {one.name}
        assert warehouse.query("SELECT count(*) FROM trades").rows == ((1,),)

    def test_records_shows_every_streams_envelope(self, warehouse: Warehouse) -> None:
        warehouse.load([part(0, lines(record(0))), part(0, lines(record(1, "system")), "system")])
        found = warehouse.query("SELECT stream, kind FROM records ORDER BY stream")
        assert found.rows == (("system", "heartbeat"), ("trades", "trade_entry"))

    @pytest.mark.parametrize(
        "bad",
        [
            b'{"id":"torn',
            b"[]\n",
            b"\xff\n",
            lines(record(5) | {"seq": "x"}),
            lines(record(5) | {"ts": "2024-06-03T14:30:00"}),
            lines(record(5, "system")),
            lines(record(5) | {"id": "no place"}),
        ],
    )
    def test_a_line_that_is_no_record_is_named_and_nothing_is_loaded(self, warehouse: Warehouse, bad: bytes) -> None:
        with pytest.raises(StoreRejected, match=r"_v1.json.gz line 2 is not a record"):
            warehouse.load([part(0, lines(record(0))), part(4, lines(record(4)) + bad)])
        assert warehouse.query("SELECT count(*) FROM trades").rows == ((0,),)

    def test_a_part_that_is_not_named_as_an_archive_object_is_rejected(self, warehouse: Warehouse) -> None:
        with pytest.raises(StoreRejected):
            warehouse.load([Part("trade-logs", "logs/../../etc/trades.json.gz", "trades", {}, lines(record(0)))])

    def test_unshipped_lines_are_seen_once(self, warehouse: Warehouse) -> None:
        warehouse.load([part(0, lines(record(0, price="1"), record(1, price="2")))])
        rest = {"trades": lines(record(1, price="2"), record(2, price="4")), "system": lines(record(3, "system"))}
        assert warehouse.query("SELECT sum(price) FROM trades", unshipped=rest).rows == ((Decimal(7),),)
        assert warehouse.query("SELECT count(*) FROM records", unshipped=rest).rows == ((4,),)
        assert warehouse.query("SELECT count(*) FROM records").rows == ((2,),)

    def test_unshipped_lines_of_an_unknown_stream_are_rejected(self, warehouse: Warehouse) -> None:
        with pytest.raises(StoreRejected, match="no stream 'fills'"):
            warehouse.query("SELECT 1", unshipped={"fills": b""})

    def test_parameters_are_values_and_never_sql(self, warehouse: Warehouse) -> None:
        assert warehouse.query("SELECT ? AS x, ? AS y", ("1; DROP", 2)).rows == (("1; DROP", 2),)

    def test_a_sum_of_integers_is_an_integer(self, warehouse: Warehouse) -> None:
        warehouse.load([part(0, lines(record(0), record(1), record(2)))])
        (total,) = warehouse.query("SELECT sum(seq) FROM trades").rows[0]
        assert total == 6
        assert isinstance(total, int)

    @pytest.mark.parametrize(
        "sql", ["WITH a AS (SELECT 1) SELECT * FROM a", "DESCRIBE trades", "SHOW TABLES", "EXPLAIN SELECT 1"]
    )
    def test_statements_that_read_are_accepted(self, warehouse: Warehouse, sql: str) -> None:
        assert warehouse.query(sql).rows

    @pytest.mark.parametrize(
        "sql",
        [
            "",
            "SELECT 1; SELECT 2",
            "SELEC 1",
            "SELECT nothing FROM trades",
            "INSERT INTO trades VALUES (1)",
            "DROP VIEW trades",
            "CREATE TABLE t (a INT)",
            "COPY (SELECT 1) TO 'stolen.csv'",
            "EXPLAIN ANALYZE COPY (SELECT 1) TO 'stolen.csv'",
            "WITH a AS (COPY (SELECT 1) TO 'stolen.csv') SELECT * FROM a",
            "ATTACH 'other.db'",
            "SET enable_external_access = true",
            "SELECT * FROM read_text('/etc/passwd')",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM glob('/*')",
            "INSTALL httpfs",
            "PRAGMA database_list",
            "SELECT * FROM sql",
            "SELECT offset FROM trades",
            "CALL pragma_version()",
        ],
    )
    def test_what_does_not_only_read_the_tables_is_rejected_with_a_hint(self, warehouse: Warehouse, sql: str) -> None:
        with pytest.raises(StoreRejected) as caught:
            warehouse.query(sql)
        assert "\n" not in str(caught.value)
        assert caught.value.hint

    def test_operations_are_counted(self, warehouse: Warehouse) -> None:
        content = lines(record(0), record(1))
        warehouse.load([part(0, content)])
        warehouse.load([part(0, content)])
        warehouse.query("SELECT 1")
        assert dict(warehouse.operations) == {"loads": 1, "rows": 2, "bytes": len(content), "queries": 1}
