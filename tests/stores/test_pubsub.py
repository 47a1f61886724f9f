"""What the stream on Pub/Sub promises beyond the behaviour of every stream, and what its listeners may rely on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from runner.errors import StoreRejected, StoreUnavailable
from runner.stores.base import Message
from runner.stores.envelope import Envelope
from runner.stores.listening import Listener, StreamTail
from runner.stores.pubsub import DEAD_LETTERS, PubsubStream, PubsubSubscription, subscription_of
from runner.stores.seen import Seen
from tests.emulators.emulator import Emulator
from tests.emulators.grpc_relay import GrpcRelay
from tests.emulators.relay import Relay
from tests.stores.emulated import open_pubsub, pull, subscribe_hasty

RUN = "018fb0a0-0000-7000-8000-0000deadbeef"
PUBLISH = "Publisher/Publish"
Status = grpc.StatusCode


@pytest.fixture
def relay(pubsub_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[GrpcRelay]:
    with GrpcRelay(pubsub_emulator.host) as relay:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", relay.host)
        yield relay


@pytest.fixture
def stream(relay: GrpcRelay, request: pytest.FixtureRequest) -> Iterator[PubsubStream]:
    """A stream behind the relay, with the subscription `listener`."""
    stream = open_pubsub(request, "listener")
    yield stream
    stream.close()


@pytest.fixture
def subscription(stream: PubsubStream) -> Iterator[PubsubSubscription]:
    subscription = PubsubSubscription(stream.project, "listener")
    yield subscription
    subscription.close()


def record(offset: int, stream: str = "trades", bot: str = "breakout") -> Message:
    body = {
        "id": f"{RUN}:{stream}:{offset:012d}",
        "seq": offset,
        "ts": "2024-06-03T14:30:00.000000Z",
        "kind": "fill",
        "severity": "INFO",
        "bot": bot,
        "run": RUN,
        "data": {"n": offset},
        "crc": "00000000",
    }
    return Message(f"{bot}:{stream}", json.dumps(body).encode(), {"bot": bot, "stream": stream})


class Book:
    """What a listener was given, in order; it refuses the records with these offsets, so many times."""

    def __init__(self, refused: dict[int, int] | None = None) -> None:
        self.offsets: list[int] = []
        self.refused = refused or {}

    def __call__(self, envelope: Envelope, body: bytes) -> None:
        assert json.loads(body)["id"] == envelope.id
        if self.refused.get(envelope.seq, 0) > 0:
            self.refused[envelope.seq] -= 1
            raise ValueError(f"no {envelope.seq}")
        self.offsets.append(envelope.seq)


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "hint"),
        [
            (Status.UNAUTHENTICATED, "gcloud auth application-default login"),
            (Status.PERMISSION_DENIED, "grant the role roles/pubsub.publisher on projects/"),
            (Status.NOT_FOUND, "gcloud pubsub topics create tron-records --project="),
            (Status.RESOURCE_EXHAUSTED, "a quota is used up"),
            (Status.UNAVAILABLE, "is the network up?"),
            (Status.ABORTED, ""),
            (Status.DEADLINE_EXCEEDED, ""),
            (Status.INTERNAL, ""),
        ],
    )
    def test_what_may_be_over_later_is_unavailable_and_is_asked_once(
        self, stream: PubsubStream, relay: GrpcRelay, status: grpc.StatusCode, hint: str
    ) -> None:
        relay.fail_next(status, of=PUBLISH)
        with pytest.raises(StoreUnavailable, match=r"topic projects/demo-.*/topics/tron-records: .*injected") as caught:
            stream.publish([record(0)])
        assert hint in caught.value.hint
        assert [name for name in relay.seen if PUBLISH in name] == [f"/google.pubsub.v1.{PUBLISH}"]
        stream.publish([record(0)])

    def test_what_can_never_be_accepted_is_rejected(self, stream: PubsubStream, relay: GrpcRelay) -> None:
        relay.fail_next(Status.INVALID_ARGUMENT, of=PUBLISH)
        with pytest.raises(StoreRejected):
            stream.publish([record(0)])

    def test_a_message_that_pubsub_itself_refuses_is_rejected(self, stream: PubsubStream) -> None:
        with pytest.raises(StoreRejected):
            stream.publish([Message("breakout:trades", b"")])

    def test_a_missing_topic_names_the_command_that_creates_it(self, relay: GrpcRelay, demo_project: str) -> None:
        stream = PubsubStream(demo_project)
        with pytest.raises(StoreUnavailable) as caught:
            stream.publish([record(0)])
        stream.close()
        assert f"`gcloud pubsub topics create tron-records --project={demo_project}`" in caught.value.hint

    def test_a_missing_subscription_names_the_command_that_creates_it(self, stream: PubsubStream) -> None:
        subscription = PubsubSubscription(stream.project, "nobody")
        with pytest.raises(StoreUnavailable) as caught:
            subscription.pull(5)
        subscription.close()
        assert "`gcloud pubsub subscriptions create nobody --topic=tron-records" in caught.value.hint

    def test_a_service_that_never_answers_is_unavailable_until_it_heals(
        self, pubsub_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
    ) -> None:
        with Relay(pubsub_emulator.host) as wire:
            monkeypatch.setenv("PUBSUB_EMULATOR_HOST", wire.host)
            stream = open_pubsub(request, "listener", timeout=1.0)
            wire.suspend()
            with pytest.raises(StoreUnavailable):
                stream.publish([record(0)])
            wire.heal()
            stream.publish([record(1)])
            wire.cut()
            with pytest.raises(StoreUnavailable):
                stream.publish([record(2)])
            stream.close()


class TestRequests:
    def test_a_request_holds_one_key_only(self, stream: PubsubStream) -> None:
        stream.publish([record(0), record(0, "orders"), record(1), record(1, "orders")])
        volumes = {name: stream.operations[name] for name in ("bytes", "bytes_billed")}
        assert dict(stream.operations) == {"requests": 2, "messages": 4, **volumes}

    def test_a_request_holds_at_most_a_thousand_messages(self, stream: PubsubStream) -> None:
        stream.publish([record(number) for number in range(1001)])
        assert (stream.operations["requests"], stream.operations["messages"]) == (2, 1001)

    def test_a_request_holds_at_most_nine_megabytes(self, stream: PubsubStream) -> None:
        stream.publish([Message("breakout:trades", bytes([65]) * 256_000) for _ in range(40)])
        assert (stream.operations["requests"], stream.operations["messages"]) == (2, 40)

    def test_ensuring_twice_is_harmless(self, stream: PubsubStream) -> None:
        stream.ensure(["listener"])
        stream.publish([record(0)])
        assert pull(stream, "listener", 1) == [record(0)]


class TestListening:
    def test_a_record_that_was_published_twice_is_handled_once(
        self, stream: PubsubStream, subscription: PubsubSubscription, relay: GrpcRelay
    ) -> None:
        relay.fail_next(Status.UNAVAILABLE, of=PUBLISH, done=True)
        with pytest.raises(StoreUnavailable):
            stream.publish([record(0), record(1)])
        stream.publish([record(0), record(1), record(2)])
        book, listener = Book(), Listener(subscription, Seen())
        while len(book.offsets) < 3:
            listener.step(book, timeout=10)
        listener.step(book, timeout=1)
        assert book.offsets == [0, 1, 2]

    def test_a_listener_that_dies_before_it_acknowledges_goes_on_where_it_was(
        self, stream: PubsubStream, subscription: PubsubSubscription, relay: GrpcRelay, tmp_path: Path
    ) -> None:
        stream.publish([record(number) for number in range(5)])
        book = Book()
        relay.fail_next(Status.UNAVAILABLE, of="Acknowledge")
        with pytest.raises(StoreUnavailable, match="subscription"):
            Listener(subscription, Seen(tmp_path / "seen.json")).step(book, timeout=10)
        assert book.offsets == [0, 1, 2, 3, 4]
        stream.publish([record(number) for number in range(7)])
        again = Listener(subscription, Seen(tmp_path / "seen.json"))
        while book.offsets[-1] < 6:
            again.step(book, timeout=10)
        assert book.offsets == [0, 1, 2, 3, 4, 5, 6]

    def test_what_cannot_be_handled_comes_again_in_order_and_other_keys_go_on(
        self, stream: PubsubStream, subscription: PubsubSubscription
    ) -> None:
        stream.publish([record(number) for number in range(3)] + [record(10, "orders"), record(11, "orders")])
        book, listener = Book({1: 1}), Listener(subscription, Seen())
        with pytest.raises(ValueError, match="no 1"):
            listener.step(book, timeout=10)
        while len(book.offsets) < 5:
            listener.step(book, timeout=10)
        assert [offset for offset in book.offsets if offset < 10] == [0, 1, 2]
        assert [offset for offset in book.offsets if offset >= 10] == [10, 11]

    def test_what_is_no_record_becomes_a_dead_letter_and_holds_up_nothing(self, stream: PubsubStream) -> None:
        poison = Message("breakout:trades", b"not a record")
        subscribe_hasty(stream.project, "hasty")
        stream.publish([record(0), poison, record(1)])
        subscription = PubsubSubscription(stream.project, "hasty")
        book, listener = Book(), Listener(subscription, Seen())
        for _ in range(5):
            with pytest.raises(StoreRejected, match="is not a record"):
                listener.step(book, timeout=10)
        assert listener.step(book, timeout=2) == 0
        assert book.offsets == [0, 1]
        (dead,) = pull(stream, DEAD_LETTERS, 1)
        assert dead.body == poison.body
        assert dead.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
        subscription.close()

    def test_a_subscription_is_ordered_patient_and_has_dead_letters(self) -> None:
        asked = subscription_of("projects/demo-p/topics/tron-records", "alerts", 60)
        assert asked.name == "projects/demo-p/subscriptions/alerts"
        assert asked.enable_message_ordering
        assert asked.message_retention_duration == timedelta(days=7)
        assert asked.dead_letter_policy.dead_letter_topic == "projects/demo-p/topics/tron-records-dead-letter"
        assert asked.dead_letter_policy.max_delivery_attempts == 5
        assert asked.retry_policy.minimum_backoff == timedelta(seconds=1)


class TestTail:
    @pytest.fixture
    def tail(self, stream: PubsubStream) -> Iterator[StreamTail]:
        tail = StreamTail(PubsubSubscription.temporary(stream.project))
        yield tail
        tail.close()

    def test_new_lines_arrive_once_as_the_journal_has_them(self, stream: PubsubStream, tail: StreamTail) -> None:
        stream.publish([record(0), record(1)])
        stream.publish([record(1), record(2)])
        lines: list[bytes] = []
        while len(lines) < 3:
            lines += tail.next(10)
        assert lines == [record(number).body + b"\n" for number in range(3)]
        assert tail.next(0) == []

    def test_a_foreign_message_is_told_and_the_rest_is_shown(self, stream: PubsubStream, tail: StreamTail) -> None:
        stream.publish([Message("breakout:trades", b"not a record")])
        with pytest.raises(StoreRejected, match="is not a record"):
            tail.next(10)
        stream.publish([record(0)])
        assert tail.next(10) == [record(0).body + b"\n"]

    def test_a_waiting_tail_ends_when_it_is_closed(self, stream: PubsubStream) -> None:
        tail = StreamTail(PubsubSubscription.temporary(stream.project))
        closer = threading.Timer(0.2, tail.close)
        closer.start()
        assert tail.next(60) == []
        closer.join()

    def test_it_needs_a_topic(self, relay: GrpcRelay, demo_project: str) -> None:
        with pytest.raises(StoreUnavailable) as caught:
            PubsubSubscription.temporary(demo_project)
        assert "gcloud pubsub topics create tron-records" in caught.value.hint
