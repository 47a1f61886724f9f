"""Records that come from Pub/Sub are said once, at their severity; what is no record is never acknowledged."""

from __future__ import annotations

import json
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import SubscriberClient, types
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from runner.stores.base import Message
from runner.stores.pubsub import DEAD_LETTERS, TOPIC
from tests.emulators.emulator import Emulator
from tests.functions.conftest import Serve
from tests.functions.killing import KILLS, victim
from tests.functions.messages import EVENT, JSON, binary_event, pushed, raw_push, record, structured_event
from tests.functions.server import Server
from tests.functions.server import serve as serve_one
from tests.stores.emulated import open_pubsub, pull

ATTEMPTS = 5
GOOGLE = "logging.googleapis.com/"
Form = Callable[[bytes], tuple[dict[str, Any], dict[str, str]]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = serve_one("on_trading_record", tmp_path_factory.mktemp("shared"), {"GOOGLE_CLOUD_PROJECT": "acme"})
    yield server
    server.kill()


def send(server: Server, body: bytes, form: Form = raw_push) -> int:
    content, headers = form(body)
    return server.call(content, headers=headers).status


def said_of(server: Server, run: str) -> list[dict[str, Any]]:
    """The entries about records of a run."""
    return [entry for entry in server.entries() if entry[GOOGLE + "labels"].get("run") == run]


@pytest.fixture
def run() -> str:
    return str(uuid.uuid4())


@pytest.mark.parametrize("form", [binary_event, structured_event, raw_push])
def test_a_record_becomes_an_entry_at_its_severity(shared: Server, run: str, form: Form) -> None:
    assert send(shared, record(7, "CRITICAL", run=run, trace="4bf92f"), form) == 200
    (entry,) = said_of(shared, run)
    assert (entry["severity"], entry["time"]) == ("CRITICAL", "2024-06-03T14:30:07.000001Z")
    assert entry["message"] == "no bars for 7 minutes"
    assert entry[GOOGLE + "insertId"] == f"{run}:errors:000000000007"
    assert entry[GOOGLE + "trace"] == "projects/acme/traces/4bf92f"


def test_a_message_that_comes_again_is_acknowledged_and_not_said_again(shared: Server, run: str) -> None:
    assert [send(shared, record(n, run=run)) for n in (1, 2, 1, 2, 1)] == [200] * 5
    assert [entry["message"] for entry in said_of(shared, run)] == ["no bars for 1 minutes", "no bars for 2 minutes"]


def test_what_is_not_worth_an_alert_is_acknowledged_and_not_said(shared: Server, run: str) -> None:
    assert [send(shared, record(n, one, run=run)) for n, one in enumerate(("DEBUG", "INFO", "NOTICE"))] == [200] * 3
    assert said_of(shared, run) == []


def test_the_least_severity_can_be_set(serve: Serve, run: str) -> None:
    server = serve("on_trading_record", TRON_FUNCTION_SEVERITY="ERROR", LOG_EXECUTION_ID="true")
    for number, severity in enumerate(("WARNING", "ERROR", "CRITICAL")):
        send(server, record(number, severity, run=run))
    assert [entry["severity"] for entry in said_of(server, run)] == ["ERROR", "CRITICAL"]
    assert all(entry[GOOGLE + "labels"]["execution_id"] for entry in said_of(server, run))


GOOD = record(3)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (pushed(b"hello"), "is not a record: JSON is malformed"),
        (pushed(b"{}"), "is not a record: Object missing required field"),
        (pushed(GOOD.replace(b"minutes", b"seconds")), "was changed on its way"),
        (pushed(record(3, "LOUD")), "has the severity 'LOUD'"),
        (pushed(record(3, kind="error")), "lacks 'type'"),
        ({"message": {"data": "?", "messageId": "7"}}, "is not base64"),
        ({"message": {"attributes": {"a": "b"}, "messageId": "7"}}, "without data"),
        ({"message": 7}, "without data"),
        ({}, "without data"),
        ([1], "without data"),
    ],
)
def test_what_is_no_record_is_given_back_and_told(shared: Server, body: Any, error: str) -> None:
    _, headers = binary_event(b"")
    reply = shared.call(json.dumps(body), headers=headers)
    assert reply.status == 400
    assert error in reply.said["error"]
    assert reply.said["hint"]
    entry = shared.entries()[-1]
    assert entry["severity"] == "ERROR"
    assert error in entry["message"]


def test_an_event_of_another_kind_is_given_back(shared: Server) -> None:
    headers = {**JSON, **{f"ce-{name}": value for name, value in EVENT.items()}, "ce-type": "google.cloud.audit.log"}
    assert "google.cloud.audit.log" in shared.call(pushed(GOOD), headers=headers).said["error"]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_nothing_but_an_event_is_taken(shared: Server, method: str) -> None:
    assert shared.call(b"", method=method).status == 405
    assert shared.call(b"{}", headers=JSON).status == 400


class TestPubSub:
    """A push subscription of the emulator, which calls the function as Pub/Sub does."""

    def subscribe(self, project: str, name: str, endpoint: str) -> None:
        topic = f"projects/{project}/topics/"
        wanted = types.Subscription(
            name=f"projects/{project}/subscriptions/{name}",
            topic=topic + TOPIC,
            ack_deadline_seconds=10,
            push_config=types.PushConfig(push_endpoint=endpoint),
            dead_letter_policy=types.DeadLetterPolicy(
                dead_letter_topic=topic + DEAD_LETTERS, max_delivery_attempts=ATTEMPTS
            ),
            retry_policy=types.RetryPolicy(
                minimum_backoff=Duration(nanos=100_000_000), maximum_backoff=timedelta(seconds=1)
            ),
        )
        channel = grpc.insecure_channel(os.environ["PUBSUB_EMULATOR_HOST"])
        with SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)) as client:
            client.create_subscription(request=wanted)

    @pytest.mark.slow
    def test_a_poisoned_message_becomes_a_dead_letter_and_the_others_arrive(
        self, request: pytest.FixtureRequest, pubsub_emulator: Emulator, demo_project: str, shared: Server, run: str
    ) -> None:
        stream = open_pubsub(request)
        self.subscribe(demo_project, "on-trading-record", shared.url)
        before = len(complaints(shared))
        good = [Message("", record(number, run=run), {"stream": "errors"}) for number in range(20)]
        stream.publish([*good[:10], Message("", b"poison", {"stream": "errors"}), *good[10:]])
        wait_until(lambda: [entry["severity"] for entry in complaints(shared)[before:]] == ["ERROR"] * ATTEMPTS)
        (dead,) = pull(stream, DEAD_LETTERS, 1)
        assert dead.body == b"poison"
        wait_until(lambda: len(said_of(shared, run)) >= len(good))
        assert sorted(entry[GOOGLE + "insertId"] for entry in said_of(shared, run)) == [
            f"{run}:errors:{number:012d}" for number in range(20)
        ]
        stream.close()


def complaints(server: Server) -> list[dict[str, Any]]:
    """The complaints about a message that is no record."""
    return [entry for entry in server.entries() if "JSON is malformed" in entry["message"]]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)


RECORDS = 40


@pytest.mark.crash
@pytest.mark.slow
def test_killed_at_any_moment_it_has_said_every_record_and_what_it_said_twice_is_one_entry(tmp_path: Path) -> None:
    choose = random.Random("on_trading_record")
    with victim("on_trading_record", tmp_path, {}) as found:
        for _ in range(KILLS):
            run = str(uuid.uuid4())
            waiting = [record(number, run=run) for number in range(RECORDS)]
            killed = found.alive()
            waiting = push_until(killed, waiting, kill=found.kill, after=choose.randrange(1, RECORDS - 1))
            assert waiting, "it was killed too late"
            again = found.alive()
            assert push_until(again, waiting) == []
            entries = [*said_of(killed, run), *said_of(again, run)]
            for entry in entries:
                del entry[GOOGLE + "labels"]["execution_id"]
            different = {json.dumps(entry, sort_keys=True) for entry in entries}
            ids = sorted(json.loads(entry)[GOOGLE + "insertId"] for entry in different)
            assert ids == [json.loads(record(number, run=run))["id"] for number in range(RECORDS)]
            assert len(entries) - RECORDS <= 1


def push_until(
    server: Server, bodies: list[bytes], kill: Callable[[], None] | None = None, after: int = -1
) -> list[bytes]:
    """Push messages as Pub/Sub would, and `kill` beside the one numbered `after`; what was not acknowledged."""
    left = []
    for number, body in enumerate(bodies):
        killing = threading.Timer(random.uniform(0, 0.004), kill) if kill and number == after else None
        if killing is not None:
            killing.start()
        try:
            status = server.call(pushed(body), headers=JSON).status
        except httpx.TransportError:
            status = 0
        if status != 200:
            left.append(body)
        if killing is not None:
            killing.join()
    return left
