"""Relays that count what an emulator is really asked for, from the wire, without any of the product's own counting."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import grpc
from google.cloud.firestore_v1 import types as firestore
from google.pubsub_v1 import types as pubsub

from tests.emulators.http_relay import HttpRelay

_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

Count = Callable[[str, list[bytes], list[bytes]], Counter[str]]
"""What a call that succeeded is billed as: its method, its requests and its answers, as they are on the wire."""


class CountingGrpcRelay:
    """Forwards every call to `target` and adds up what `count` makes of those that succeed. A context manager."""

    def __init__(self, target: str, count: Count) -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._count = count
        self._channel = grpc.insecure_channel(target, _UNLIMITED)
        self._server = grpc.server(ThreadPoolExecutor(16), options=_UNLIMITED)
        self._server.add_generic_rpc_handlers((_Forward(self._carry),))
        self.host = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _carry(self, details: Any, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        asked: list[bytes] = []
        answers: list[bytes] = []
        metadata = [(name, value) for name, value in details.invocation_metadata if name != "user-agent"]
        call = self._channel.stream_stream(details.method)(
            _noting(requests, asked), metadata=metadata, timeout=context.time_remaining()
        )
        try:
            for answer in call:
                answers.append(answer)
                yield answer
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        with self._lock:
            self.counts += self._count(details.method.rpartition("/")[2], asked, answers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()
        self._server.stop(0).wait()


class _Forward(grpc.GenericRpcHandler):
    def __init__(self, carry: Callable[[Any, Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]) -> None:
        self._carry = carry

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.stream_stream_rpc_method_handler(lambda requests, context: self._carry(details, requests, context))


def _noting(requests: Iterator[bytes], noted: list[bytes]) -> Iterator[bytes]:
    for request in requests:
        noted.append(request)
        yield request


def firestore_operations(method: str, requests: list[bytes], answers: list[bytes]) -> Counter[str]:
    """Documents written, deleted and read, as Google bills them: a query that finds nothing is one read."""
    if method == "Commit":
        writes = [write for one in requests for write in firestore.CommitRequest.pb().FromString(one).writes]
        deletes = sum(bool(write.delete) for write in writes)
        return Counter(writes=len(writes) - deletes, deletes=deletes)
    if method == "BatchGetDocuments":
        asked = [firestore.BatchGetDocumentsRequest.pb().FromString(one) for one in requests]
        return Counter(reads=sum(len(one.documents) for one in asked))
    if method == "RunQuery":
        found = [firestore.RunQueryResponse.pb().FromString(one) for one in answers]
        return Counter(reads=max(1, sum(one.HasField("document") for one in found)))
    return Counter()


def pubsub_operations(method: str, requests: list[bytes], answers: list[bytes]) -> Counter[str]:
    """Requests, messages and bytes as Google bills them: data, key, attributes, 20 bytes of time and the id."""
    if method != "Publish":
        return Counter()
    counts: Counter[str] = Counter()
    for one in requests:
        messages = pubsub.PublishRequest.pb().FromString(one).messages
        size = sum(
            len(message.data)
            + len(message.ordering_key)
            + sum(len(name) + len(value) for name, value in message.attributes.items())
            + 40
            for message in messages
        )
        counts.update(requests=1, messages=len(messages), bytes_billed=max(1000, size))
    return counts


class CountingHttpRelay(HttpRelay):
    """Counts the operations of Cloud Storage's JSON API by the class that they are billed in."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.counts: Counter[str] = Counter()
        self._counting = threading.Lock()

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        answer = super().forward(method, path, headers, body)
        with self._counting:
            self.counts[_storage_class(method, path)] += 1
        return answer


def _storage_class(method: str, path: str) -> str:
    place = urlsplit(path)
    if method == "DELETE":
        return "deletes"
    is_list = place.path.endswith("/o") and method == "GET" and "alt" not in parse_qs(place.query)
    return "class_a" if is_list or method in ("POST", "PUT", "PATCH") else "class_b"
