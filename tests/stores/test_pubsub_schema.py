"""Every message is a record by the schema file, for whoever reads it in another language; and why no topic has one."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import InvalidArgument
from google.pubsub_v1 import PublisherClient, SchemaServiceClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport
from jsonschema import Draft202012Validator

from runner.clock import SystemClock
from runner.layout import Home
from runner.logging import create_trading_logger
from runner.logging.routes import STREAMS
from runner.logging.shipper import Reports
from runner.settings import Settings, Shipping, Stores
from runner.stores.envelope import SCHEMA_FILE
from runner.wiring import build_shipper
from tests.stores.emulated import open_pubsub, pull

TYPES = {"string": "string", "integer": "long", "object": "string"}
LINE = {
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


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())
    return found


def test_every_message_that_arrives_is_valid_by_the_schema_file(
    home: Home, request: pytest.FixtureRequest, demo_project: str, schema: dict[str, Any]
) -> None:
    stream = open_pubsub(request, "listener")
    stores = Stores(stream=f"pubsub://{demo_project}", live="memory:")
    shipping = Shipping(shipper="none", published=tuple(STREAMS))
    settings = Settings(home=home.path, stores=stores, shipping=shipping)
    with create_trading_logger("s", "stock-trader", bot="breakout", settings=settings) as logger:
        logger.log_system_event("started", {"\u00e4": "\u2603"})
        logger.bind(trace="t", actor="ann", symbol="IBM").log_warning("late")
        logger.log_performance_metric("equity", 1.5, unit="USD")
    assert build_shipper(settings, SystemClock(), threading.Event(), Reports()).run(follow=False)
    messages = pull(stream, "listener", 4)
    stream.close()
    kinds = {json.loads(message.body)["kind"] for message in messages}
    assert {"system_event", "warning", "metric", "seal"} <= kinds
    validator = Draft202012Validator(schema)
    assert [error.message for one in messages for error in validator.iter_errors(json.loads(one.body))] == []


@pytest.mark.parametrize("broken", [{"id": "7"}, {"seq": "9"}, {"data": "x"}, {"crc": "zz"}, {"kind": ""}])
def test_the_schema_file_refuses_what_is_no_record(schema: dict[str, Any], broken: dict[str, Any]) -> None:
    assert Draft202012Validator(schema).is_valid(LINE)
    assert not Draft202012Validator(schema).is_valid(LINE | broken)


@pytest.fixture
def avro_topic(pubsub_emulator: object, demo_project: str, schema: dict[str, Any]) -> Iterator[tuple[Any, str]]:
    """A topic with the nearest thing to the envelope that Pub/Sub has: an Avro record with the same fields."""
    fields = [
        {"name": name, "type": TYPES[one["type"]], **({"default": ""} if "default" in one else {})}
        for name, one in schema["$defs"]["Envelope"]["properties"].items()
    ]
    definition = json.dumps({"type": "record", "name": "Record", "fields": fields})
    with grpc.insecure_channel(os.environ["PUBSUB_EMULATOR_HOST"]) as channel:
        schemas = SchemaServiceClient(transport=SchemaServiceGrpcTransport(channel=channel))
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        asked = {"type_": "AVRO", "definition": definition}
        made = schemas.create_schema(
            request={"parent": f"projects/{demo_project}", "schema_id": "record", "schema": asked}
        )
        topic = f"projects/{demo_project}/topics/strict"
        publisher.create_topic(request={"name": topic, "schema_settings": {"schema": made.name, "encoding": "JSON"}})
        yield publisher, topic


def test_a_schema_of_the_topic_would_refuse_records_because_they_leave_out_what_is_empty(
    avro_topic: tuple[Any, str], schema: dict[str, Any]
) -> None:
    publisher, topic = avro_topic
    empty = {name: "" for name, one in schema["$defs"]["Envelope"]["properties"].items() if "default" in one}
    whole = LINE | empty | {"data": json.dumps(LINE["data"])}

    def publish(record: dict[str, Any]) -> None:
        publisher.publish(topic=topic, messages=[{"data": json.dumps(record).encode()}], retry=None, timeout=10)

    publish(whole)
    for refused in (LINE, {**whole, "data": LINE["data"]}, {key: one for key, one in whole.items() if key != "at"}):
        with pytest.raises(InvalidArgument):
            publish(refused)
