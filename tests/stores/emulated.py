"""A live store, an archive and a stream on the emulators, each apart from those of all other tests."""

from __future__ import annotations

import os
import uuid
from typing import Any

import grpc
import pytest
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from runner.stores.base import Message, Stream
from runner.stores.firestore import FirestoreLiveStore
from runner.stores.gcs import GcsArchive
from runner.stores.pubsub import TOPIC, PubsubStream, PubsubSubscription, subscription_of


def open_firestore(request: pytest.FixtureRequest, **options: Any) -> FirestoreLiveStore:
    """A live store in a project of its own."""
    request.getfixturevalue("firestore_emulator")
    return FirestoreLiveStore(request.getfixturevalue("demo_project"), **options)


def open_gcs(request: pytest.FixtureRequest, *buckets: str, **options: Any) -> GcsArchive:
    """An archive with these buckets and no others."""
    request.getfixturevalue("gcs_emulator")
    archive = GcsArchive(f"demo-{uuid.uuid4().hex[:12]}", **options)
    archive.ensure(buckets)
    archive.operations.clear()
    return archive


def open_pubsub(request: pytest.FixtureRequest, *subscriptions: str, **options: Any) -> PubsubStream:
    """A stream in a project of its own, with these subscriptions, which deliver again after ten seconds."""
    request.getfixturevalue("pubsub_emulator")
    stream = PubsubStream(request.getfixturevalue("demo_project"), **options)
    stream.ensure(subscriptions, ack_seconds=10)
    return stream


def subscribe_hasty(project: str, name: str) -> None:
    """A subscription like all others, but without order and without a pause before a message is delivered again.

    The Pub/Sub emulator loses what an ordered subscription should have turned into a dead letter.
    """
    wanted = subscription_of(f"projects/{project}/topics/{TOPIC}", name, ack_seconds=10)
    wanted.enable_message_ordering = False
    del wanted.retry_policy
    channel = grpc.insecure_channel(os.environ["PUBSUB_EMULATOR_HOST"])
    with SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)) as client:
        client.create_subscription(request=wanted)


def pull(stream: Stream, name: str, count: int) -> list[Message]:
    """Take `count` messages from a subscription, or those that come before it is silent for some seconds."""
    assert isinstance(stream, PubsubStream)
    subscription = PubsubSubscription(stream.project, name)
    found: list[Message] = []
    try:
        while len(found) < count and (received := subscription.pull(10)):
            subscription.acknowledge(received)
            found += [one.message for one in received]
    finally:
        subscription.close()
    return found
