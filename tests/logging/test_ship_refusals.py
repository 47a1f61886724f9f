"""What a store will never take is set aside and told; what the archive does not take is never passed by."""

from __future__ import annotations

import msgspec
import pytest

from runner.clock import ManualClock
from runner.errors import ObjectExists, StoreRejected, StoreUnavailable
from runner.layout import Home, ObjectName
from runner.logging import lines, objects
from runner.logging.log_types import Kind
from runner.stores.base import Document, Message
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from runner.testing.faults import Fault, at_random, in_turn
from runner.testing.faulty import FaultyArchive
from tests.logging.journeys import (
    START,
    Fleet,
    PlainWriter,
    RecordingStream,
    archived_lines,
    documents_of,
    folded,
    ship_all,
)


class PickyLiveStore(MemoryLiveStore):
    def commit(self, documents: list[Document]) -> int:  # type: ignore[override]  # a list is enough here
        if any(document.fields.get("status") == "poison" for document in documents):
            raise StoreRejected("this content can never be stored")
        return super().commit(documents)


class PickyStream(RecordingStream):
    def publish(self, messages: list[Message]) -> None:  # type: ignore[override]  # a list is enough here
        if any(b"poison" in message.body for message in messages):
            raise StoreRejected("this content can never be published")
        super().publish(messages)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def writer(home: Home, clock: ManualClock) -> PlainWriter:
    return PlainWriter(home, clock)


def test_a_document_that_is_refused_is_found_set_aside_told_and_passed_by(
    home: Home, clock: ManualClock, writer: PlainWriter
) -> None:
    live = PickyLiveStore(clock=clock)
    fleet = Fleet(home, clock, live, MemoryArchive(), RecordingStream())
    for number in range(30):
        writer.trade(number)
    poison = writer.write(Kind.HEARTBEAT, {"status": "poison"})
    writer.trade(31)
    writer.close()
    follower = fleet.build()[0]

    ship_all([follower])

    expected = {place: one for place, one in folded([writer]).items() if one.record_id != poison}
    assert documents_of(live) == expected
    (report,) = [msgspec.json.decode(path.read_bytes()) for path in home.rejected.glob("*.json")]
    assert (report["run"], report["stream"], report["offset"]) == (writer.run, "live-system", 0)
    assert "can never be stored" in report["reason"]
    assert [news.what for news in follower.patience.news] == ["refused"]
    assert len(fleet.troubles) == 1


def test_a_message_that_is_refused_is_set_aside_and_all_others_arrive_in_order(
    home: Home, clock: ManualClock, writer: PlainWriter
) -> None:
    stream = PickyStream()
    fleet = Fleet(home, clock, MemoryLiveStore(clock=clock), MemoryArchive(), stream)
    for number in range(50):
        writer.write(Kind.WARNING, {"message": "poison" if number == 17 else "fine"})
    follower = fleet.build()[3]

    ship_all([follower])

    written = writer.lines["errors"]
    assert [message.body + b"\n" for message in stream.messages] == written[:17] + written[18:]
    assert [path.read_bytes() for path in home.rejected.glob("*-stream-errors-*17*.ndjson")] == [written[17]]
    writer.close()


def test_a_name_that_a_foreign_object_holds_is_reported_each_time_and_stops_only_its_stream(
    home: Home, clock: ManualClock, writer: PlainWriter
) -> None:
    archive = MemoryArchive()
    writer.trade(1)
    writer.write(Kind.ORDER, {"order_id": "o"})
    at = lines.moment(lines.head(writer.lines["trades"][0])[1])
    name = str(ObjectName("breakout", "trades", at, writer.run[-8:], 0))
    archive.create("trade-logs", name, b"foreign", metadata={}, content_type="text/plain")
    follower = Fleet(home, clock, MemoryLiveStore(clock=clock), archive, RecordingStream()).build()[1]

    for _ in range(3):
        with pytest.raises(ObjectExists, match="exists with other content"):
            follower.step(drain=True)

    assert archive.read("trade-logs", name) == b"foreign"
    assert follower.shipped(writer.run, "trades").next == 0
    assert follower.shipped(writer.run, "orders").next == 1
    archive.delete("trade-logs", name)
    ship_all([follower])
    assert archived_lines(archive)[writer.run]["trades"] == b"".join(writer.lines["trades"])
    writer.close()


def test_the_archive_never_advances_over_what_it_refuses(home: Home, clock: ManualClock, writer: PlainWriter) -> None:
    inner = MemoryArchive()
    refusing = FaultyArchive(inner, lambda operation: Fault(StoreRejected("no")) if operation == "create" else None)
    follower = Fleet(home, clock, MemoryLiveStore(clock=clock), refusing, RecordingStream()).build()[1]
    writer.trade(1)

    for _ in range(2):
        with pytest.raises(StoreRejected):
            follower.step(drain=True)

    assert follower.shipped(writer.run, "trades").next == 0
    refusing.faults = in_turn()
    ship_all([follower])
    assert archived_lines(inner)[writer.run]["trades"] == b"".join(writer.lines["trades"])
    writer.close()


def test_an_answer_that_is_lost_doubles_nothing(home: Home, clock: ManualClock, writer: PlainWriter) -> None:
    inner = MemoryArchive()
    archive = FaultyArchive(inner, in_turn(Fault(after=True), Fault(), Fault(after=True)))
    fleet = Fleet(home, clock, MemoryLiveStore(clock=clock), archive, RecordingStream())
    writer.trade(1)
    writer.close()

    ship_all(fleet.build()[1:2])

    assert archived_lines(inner)[writer.run]["trades"] == b"".join(writer.lines["trades"])
    assert [trouble.tries for trouble in fleet.troubles[:2]] == [1, 2]


def test_an_outage_begins_and_ends_once_however_many_tries_it_takes(
    home: Home, clock: ManualClock, writer: PlainWriter
) -> None:
    archive = FaultyArchive(MemoryArchive(), in_turn(*[Fault()] * 25))
    fleet = Fleet(home, clock, MemoryLiveStore(clock=clock), archive, RecordingStream())
    writer.trade(1)
    writer.close()
    follower = fleet.build()[1]

    ship_all([follower])

    assert [news.what for news in follower.patience.news] == ["began", "over"]
    assert [trouble.tries for trouble in fleet.troubles] == list(range(1, 26))


def test_told_to_stop_an_unavailable_store_is_tried_no_longer(
    home: Home, clock: ManualClock, writer: PlainWriter
) -> None:
    archive = FaultyArchive(MemoryArchive(), lambda operation: Fault())
    fleet = Fleet(home, clock, MemoryLiveStore(clock=clock), archive, RecordingStream())
    writer.trade(1)
    fleet.stop.set()

    with pytest.raises(StoreUnavailable):
        fleet.build()[1].step(drain=True)
    writer.close()


def test_damaged_lines_are_set_aside_and_the_rest_is_archived(
    home: Home, clock: ManualClock, writer: PlainWriter
) -> None:
    for number in range(10):
        writer.trade(number)
    writer.rotate("trades")
    writer.trade(10)
    path = writer.folder / "trades" / f"{0:020d}.ndjson"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    archive = MemoryArchive()
    fleet = Fleet(home, clock, MemoryLiveStore(clock=clock), archive, RecordingStream())
    follower = fleet.build()[1]

    ship_all([follower])

    written = writer.lines["trades"]
    found = [line for line in lines.split(b"".join(_raw(archive, writer.run))) if lines.is_intact(line)]
    assert found == written[:19] + written[20:]
    assert len(list(home.rejected.glob(f"{writer.run}-trades-{19:012d}*.ndjson"))) == 1
    assert any(news.what == "refused" for news in follower.patience.news)
    writer.close()


def test_content_that_does_not_compress_is_cut_into_objects_of_at_most_eight_mebibytes(
    home: Home, clock: ManualClock, writer: PlainWriter
) -> None:
    import random

    dice = random.Random(7)
    for _ in range(100):
        writer.write(Kind.METRIC, {"name": "m", "value": "1", "pad": dice.randbytes(60_000).hex()})
    archive = MemoryArchive()
    fleet = Fleet(home, clock, MemoryLiveStore(clock=clock), archive, RecordingStream(), archive_bytes=8 << 20)

    ship_all(fleet.build()[1:2])

    sizes = [batch.size for batch in objects.index(archive)[writer.run]["metrics"]]
    assert max(sizes) <= 8 << 20
    assert b"".join(_raw(archive, writer.run, "metrics")) == b"".join(writer.lines["metrics"])
    writer.close()


def test_a_seed_gives_the_same_faults_again() -> None:
    once, again = at_random(3), at_random(3)

    one, other = [once("create") for _ in range(200)], [again("create") for _ in range(200)]

    assert [fault and fault.after for fault in one] == [fault and fault.after for fault in other]
    assert 20 < sum(fault is not None for fault in one) < 60


def _raw(archive: MemoryArchive, run: str, stream: str = "trades") -> list[bytes]:
    return [objects.raw_lines(archive, batch) for batch in objects.index(archive)[run][stream]]
