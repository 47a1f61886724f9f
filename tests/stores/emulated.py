"""A live store, an archive and a stream on the emulators, each apart from those of all other tests.

Where the real service is asked (see `real_cloud`), they are deleted after the test, or emptied before it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.cloud import storage
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from runner.stores.base import Message, Stream
from runner.stores.firestore import FirestoreLiveStore
from runner.stores.gcs import GcsArchive
from runner.stores.pubsub import TOPIC, PubsubStream, PubsubSubscription, subscription_of
from tests.emulators.real_cloud import DATABASE, real_project


def open_firestore(request: pytest.FixtureRequest, **options: Any) -> FirestoreLiveStore:
    """A live store in a project of its own."""
    project = request.getfixturevalue("demo_project")
    if real_project(request.config):
        store = FirestoreLiveStore(project, DATABASE, **options)
        while store.delete_expired(now=datetime.max.replace(tzinfo=UTC)):
            continue
        store.operations.clear()
        return store
    request.getfixturevalue("firestore_emulator")
    return FirestoreLiveStore(project, **options)


def open_gcs(request: pytest.FixtureRequest, *buckets: str, **options: Any) -> GcsArchive:
    """An archive with these buckets and no others."""
    archive = GcsArchive(new_prefix(request), project=real_project(request.config), **options)
    archive.ensure(buckets)
    archive.operations.clear()
    return archive


def new_prefix(request: pytest.FixtureRequest) -> str:
    """A prefix of buckets that no other test uses."""
    project = real_project(request.config)
    if not project:
        request.getfixturevalue("gcs_emulator")
        return f"demo-{uuid.uuid4().hex[:12]}"
    prefix = f"tron-test-{uuid.uuid4().hex[:12]}"
    request.addfinalizer(lambda: _delete_buckets(project, prefix))
    return prefix


def _delete_buckets(project: str, prefix: str) -> None:
    client = storage.Client(project)  # type: ignore[no-untyped-call]  # Google's
    for bucket in list(client.list_buckets(prefix=f"{prefix}-")):
        bucket.delete(force=True)


def open_pubsub(request: pytest.FixtureRequest, *subscriptions: str, **options: Any) -> PubsubStream:
    """A stream in a project of its own, with these subscriptions, which deliver again after ten seconds."""
    project = request.getfixturevalue("demo_project")
    if real_project(request.config):
        options["topic"] = f"tron-test-{uuid.uuid4().hex[:12]}"
        request.addfinalizer(lambda: _delete_topic(project, options["topic"], subscriptions))
    else:
        request.getfixturevalue("pubsub_emulator")
    stream = PubsubStream(project, **options)
    stream.ensure(subscriptions, ack_seconds=10)
    return stream


def _delete_topic(project: str, topic: str, subscriptions: Iterable[str]) -> None:
    with SubscriberClient() as subscriber, PublisherClient() as publisher:
        for name in subscriptions:
            subscriber.delete_subscription(subscription=f"projects/{project}/subscriptions/{name}")
        publisher.delete_topic(topic=f"projects/{project}/topics/{topic}")


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


def subscribe_for_ever(project: str, name: str) -> None:
    """A subscription like all others, but one that never gives a message up.

    The Pub/Sub emulator counts as an attempt what a call had got that nobody waited for any more; and see above.
    """
    wanted = subscription_of(f"projects/{project}/topics/{TOPIC}", name, ack_seconds=10)
    del wanted.dead_letter_policy
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
