"""An archive and a stream on the emulators, each apart from those of all other tests."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from runner.stores.base import Message, Stream
from runner.stores.gcs import GcsArchive
from runner.stores.pubsub import PubsubStream, PubsubSubscription


def open_gcs(request: pytest.FixtureRequest, *buckets: str, **options: Any) -> GcsArchive:
    """An archive with these buckets and no others."""
    request.getfixturevalue("gcs_emulator")
    archive = GcsArchive(f"demo-{uuid.uuid4().hex[:12]}", **options)
    archive.ensure(buckets)
    archive.operations.clear()
    return archive


def open_pubsub(request: pytest.FixtureRequest, *subscriptions: str, **options: Any) -> PubsubStream:
    """A stream in a project of its own, with these subscriptions."""
    request.getfixturevalue("pubsub_emulator")
    stream = PubsubStream(request.getfixturevalue("demo_project"), **options)
    stream.ensure(subscriptions)
    return stream


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
