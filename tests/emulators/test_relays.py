from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from tests.emulators.emulator import Emulator
from tests.emulators.grpc_relay import GrpcRelay
from tests.emulators.http_relay import HttpRelay
from tests.emulators.relay import Relay

HEALTH = "/_internal/healthcheck"
LIST = "/google.pubsub.v1.Publisher/ListTopics"


def get(host: str, timeout: float = 5) -> int:
    connection = http.client.HTTPConnection(host, timeout=timeout)
    try:
        connection.request("GET", HEALTH)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture
def relay(gcs_emulator: Emulator) -> Iterator[Relay]:
    with Relay(gcs_emulator.host) as relay:
        yield relay


@pytest.fixture
def http_relay(gcs_emulator: Emulator) -> Iterator[HttpRelay]:
    with HttpRelay(gcs_emulator.host) as relay:
        yield relay


@pytest.fixture
def grpc_relay(pubsub_emulator: Emulator) -> Iterator[GrpcRelay]:
    with GrpcRelay(pubsub_emulator.host) as relay:
        yield relay


def list_topics(relay: GrpcRelay, timeout: float = 10) -> Any:
    with grpc.insecure_channel(relay.host) as channel:
        return channel.unary_unary(LIST)(b"\x0a\x0fprojects/demo-x", timeout=timeout)


def test_a_relay_passes_everything_through(relay: Relay) -> None:
    assert get(relay.host) == 200


def test_a_relay_that_is_cut_breaks_connections_until_it_heals(relay: Relay) -> None:
    relay.cut()
    with pytest.raises((OSError, http.client.HTTPException)):
        get(relay.host)
    relay.heal()
    assert get(relay.host) == 200


def test_a_suspended_relay_accepts_and_answers_nothing(relay: Relay) -> None:
    relay.suspend()
    with pytest.raises(TimeoutError):
        get(relay.host, timeout=0.2)
    relay.heal()
    assert get(relay.host) == 200


def test_a_slow_relay_is_slower_than_a_short_timeout(relay: Relay) -> None:
    relay.slow(0.5)
    with pytest.raises(TimeoutError):
        get(relay.host, timeout=0.2)
    assert get(relay.host, timeout=10) == 200


def test_an_http_relay_answers_for_the_emulator_as_often_as_it_is_told(http_relay: HttpRelay) -> None:
    http_relay.fail_next(503, times=2)
    http_relay.fail_next(401, of="POST")
    assert [get(http_relay.host) for _ in range(3)] == [503, 503, 200]
    assert http_relay.seen == (f"GET {HEALTH}",) * 3


def test_a_grpc_relay_answers_for_the_emulator_as_often_as_it_is_told(grpc_relay: GrpcRelay) -> None:
    grpc_relay.fail_next(grpc.StatusCode.ABORTED, of="ListTopics")
    with pytest.raises(grpc.RpcError, match="injected") as caught:
        list_topics(grpc_relay)
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert list_topics(grpc_relay) == b""
    assert grpc_relay.seen == (LIST, LIST)


def test_the_emulators_own_errors_pass_through_a_grpc_relay(grpc_relay: GrpcRelay) -> None:
    topic = b"projects/demo-x/topics/nothing"
    request = bytes([0x0A, len(topic)]) + topic
    with grpc.insecure_channel(grpc_relay.host) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/google.pubsub.v1.Publisher/GetTopic")(request, timeout=10)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
