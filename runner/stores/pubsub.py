"""The stream on Google Cloud Pub/Sub.

    topic         tron-records                one message a record: its JSON, ordered by the key `<bot>:<stream>`
    topic         tron-records-dead-letter    what a listener of a subscription gave back five times
    subscription  tron-records-dead-letter    keeps these for a week, to be looked at

`publish` sends requests itself and returns when the service has acknowledged all of them, because the journal is the
queue: the client's own queue in memory would be a second one, which a crash loses. A request holds messages of one
ordering key (Pub/Sub wants that), at most 1,000 and 9 MB. No request is repeated here.

Topics and subscriptions are Terraform's; `ensure` makes them for emulators and trials.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta

import grpc
from google.api_core import exceptions as google
from google.pubsub_v1 import PublisherClient, SubscriberClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from runner.errors import StoreUnavailable
from runner.stores.base import Message, billed_bytes
from runner.stores.cloud import Place, emulator, failures_as_ours, opening
from runner.stores.listening import Received

EMULATOR = "PUBSUB_EMULATOR_HOST"
TOPIC = "tron-records"
DEAD_LETTERS = "tron-records-dead-letter"
_MESSAGES_PER_REQUEST, _BYTES_PER_REQUEST = 1000, 9_000_000
_BYTES_PER_MESSAGE, _LEAST_BILLED = 64, 1000
_ATTEMPTS = 5
_WEEK, _DAY = timedelta(days=7), timedelta(days=1)


class PubsubStream:
    """A `Stream` to a topic. Each call ends within `timeout` seconds."""

    def __init__(self, project: str, topic: str = TOPIC, *, timeout: float = 30.0) -> None:
        self.operations: Counter[str] = Counter()
        self.project = project
        self._topic = f"projects/{project}/topics/{topic}"
        self._timeout = timeout
        create = f"gcloud pubsub topics create {topic} --project={project}"
        self._place = Place(f"topic {self._topic}", f"roles/pubsub.publisher on {self._topic}", create)
        with opening(f"pubsub://{project}"):
            self._client = _publisher()

    def publish(self, messages: Sequence[Message]) -> None:
        deadline = time.monotonic() + self._timeout
        for request in _requests(messages):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise StoreUnavailable(f"{self._place.name}: {self._timeout:g} seconds were not enough")
            self.operations["requests"] += 1
            with failures_as_ours(self._place):
                self._client.publish(
                    topic=self._topic, messages=[_wire(message) for message in request], timeout=remaining, retry=None
                )
            self.operations["messages"] += len(request)
            self.operations["bytes"] += sum(len(message.body) for message in request)
            self.operations["bytes_billed"] += max(_LEAST_BILLED, sum(map(billed_bytes, request)))

    def ensure(self, subscriptions: Iterable[str] = (), *, ack_seconds: int = 60) -> None:
        """Create the topic, the dead letters, and ordered subscriptions with these names, where they are missing.

        A message that is not acknowledged within `ack_seconds` is delivered again.
        """
        for topic in (self._topic, f"projects/{self.project}/topics/{DEAD_LETTERS}"):
            self._create(self._client.create_topic, {"name": topic})
        wanted = [subscription_of(self._topic, name, ack_seconds) for name in subscriptions]
        with _subscriber() as client:
            for subscription in [subscription_of_dead_letters(self.project), *wanted]:
                self._create(client.create_subscription, subscription)

    def close(self) -> None:
        self._client.transport.close()  # type: ignore[no-untyped-call]  # Google's

    def _create(self, create: Callable[..., object], request: object) -> None:
        with failures_as_ours(self._place):
            try:
                create(request=request, timeout=self._timeout, retry=None)
            except google.AlreadyExists:
                return


class PubsubSubscription:
    """A `Subscription` of Pub/Sub. A temporary one is deleted when it is closed."""

    def __init__(self, project: str, name: str, *, timeout: float = 30.0, limit: int = 1000) -> None:
        self._path = f"projects/{project}/subscriptions/{name}"
        self._timeout, self._limit = timeout, limit
        self._temporary = False
        create = f"gcloud pubsub subscriptions create {name} --topic={TOPIC} --enable-message-ordering"
        self._place = Place(
            f"subscription {self._path}", f"roles/pubsub.subscriber on {self._path}", f"{create} --project={project}"
        )
        with opening(f"pubsub://{project}"):
            self._client = _subscriber()

    @classmethod
    def temporary(cls, project: str, topic: str = TOPIC) -> PubsubSubscription:
        """A new one that begins now, for somebody who looks on. It needs `roles/pubsub.editor`."""
        opened = cls(project, f"tron-tail-{uuid.uuid4().hex[:12]}")
        subscription = types.Subscription(
            name=opened._path,
            topic=f"projects/{project}/topics/{topic}",
            enable_message_ordering=True,
            expiration_policy={"ttl": _DAY},
            message_retention_duration=timedelta(minutes=10),
        )
        create = f"gcloud pubsub topics create {topic} --project={project}"
        with failures_as_ours(Place(f"topic {subscription.topic}", f"roles/pubsub.editor on {project}", create)):
            opened._client.create_subscription(request=subscription, timeout=opened._timeout, retry=None)
        opened._temporary = True
        return opened

    def pull(self, timeout: float) -> list[Received]:
        with failures_as_ours(self._place):
            try:
                answer = self._client.pull(
                    subscription=self._path, max_messages=self._limit, timeout=timeout, retry=None
                )
            except google.DeadlineExceeded:
                return []
        return [_received(one) for one in answer.received_messages]

    def acknowledge(self, received: Sequence[Received]) -> None:
        tokens = [one.token for one in received]
        for start in range(0, len(tokens), _MESSAGES_PER_REQUEST):
            chosen = tokens[start : start + _MESSAGES_PER_REQUEST]
            with failures_as_ours(self._place):
                self._client.acknowledge(subscription=self._path, ack_ids=chosen, timeout=self._timeout, retry=None)

    def give_back(self, received: Sequence[Received]) -> None:
        tokens = [one.token for one in received]
        for start in range(0, len(tokens), _MESSAGES_PER_REQUEST):
            chosen = tokens[start : start + _MESSAGES_PER_REQUEST]
            with failures_as_ours(self._place):
                self._client.modify_ack_deadline(
                    subscription=self._path, ack_ids=chosen, ack_deadline_seconds=0, timeout=self._timeout, retry=None
                )

    def close(self) -> None:
        """Ends a waiting `pull`, too."""
        try:
            if self._temporary:
                with failures_as_ours(self._place):
                    self._client.delete_subscription(subscription=self._path, timeout=self._timeout, retry=None)
        finally:
            self._client.transport.close()  # type: ignore[no-untyped-call]  # Google's


def subscription_of(topic: str, name: str, ack_seconds: int) -> types.Subscription:
    """What is asked of Pub/Sub for a listener: order, a week's patience, dead letters, and a pause before repetitions.

    `topic` is its full name.
    """
    project = topic.rpartition("/topics/")[0]
    return types.Subscription(
        name=f"{project}/subscriptions/{name}",
        topic=topic,
        ack_deadline_seconds=ack_seconds,
        enable_message_ordering=True,
        message_retention_duration=_WEEK,
        dead_letter_policy={
            "dead_letter_topic": f"{project}/topics/{DEAD_LETTERS}",
            "max_delivery_attempts": _ATTEMPTS,
        },
        retry_policy={"minimum_backoff": timedelta(seconds=1), "maximum_backoff": timedelta(seconds=60)},
    )


def subscription_of_dead_letters(project: str) -> types.Subscription:
    return types.Subscription(
        name=f"projects/{project}/subscriptions/{DEAD_LETTERS}",
        topic=f"projects/{project}/topics/{DEAD_LETTERS}",
        message_retention_duration=_WEEK,
    )


def _requests(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Messages as they fit into requests: one key each, in their order."""
    by_key: dict[str, list[Message]] = {}
    for message in messages:
        by_key.setdefault(message.ordering_key, []).append(message)
    for ordered in by_key.values():
        request: list[Message] = []
        size = 0
        for message in ordered:
            added = _size(message)
            if request and (len(request) == _MESSAGES_PER_REQUEST or size + added > _BYTES_PER_REQUEST):
                yield request
                request, size = [], 0
            request.append(message)
            size += added
        yield request


def _size(message: Message) -> int:
    """About what a message takes on the wire, and not less."""
    attributes = sum(len(name) + len(value) + 16 for name, value in message.attributes.items())
    return len(message.body) + 4 * (len(message.ordering_key) + attributes) + _BYTES_PER_MESSAGE


def _wire(message: Message) -> types.PubsubMessage:
    return types.PubsubMessage(
        data=message.body, attributes=dict(message.attributes), ordering_key=message.ordering_key
    )


def _received(one: types.ReceivedMessage) -> Received:
    inner = one.message
    return Received(
        Message(inner.ordering_key, inner.data, dict(inner.attributes)), one.ack_id, int(one.delivery_attempt)
    )


def _publisher() -> PublisherClient:
    host = emulator(EMULATOR)
    return PublisherClient(transport=PublisherGrpcTransport(channel=_channel(host)) if host else None)


def _subscriber() -> SubscriberClient:
    host = emulator(EMULATOR)
    return SubscriberClient(transport=SubscriberGrpcTransport(channel=_channel(host)) if host else None)


def _channel(host: str) -> grpc.Channel:
    return grpc.insecure_channel(host, [("grpc.max_receive_message_length", -1)])
