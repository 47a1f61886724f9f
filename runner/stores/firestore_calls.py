"""The calls of the Firestore API that the live store makes, with plain protobuf messages and a deadline each.

No call is repeated here. The typed wrappers of Google's client are only wrapped around messages that are finished,
because filling them costs ten times what filling the messages does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import grpc
from google.api_core import exceptions as google
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

from runner.errors import StoreUnavailable
from runner.stores.cloud import Place, emulator, failures_as_ours, opening
from runner.stores.firestore_encoding import Message

EMULATOR = "FIRESTORE_EMULATOR_HOST"
INDEXES = "runner/stores/firestore.indexes.json"
ROLE = "roles/datastore.user"
_INDEX_MISSING = "requires an index"
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]


class Changed(Exception):
    """A precondition does not hold: at least one of the documents is not as it was when it was last seen."""


class FirestoreCalls:
    """One database. Every call ends within `timeout` seconds, but for `listen`, which ends when it is cancelled."""

    def __init__(self, project: str, database: str, *, timeout: float) -> None:
        self.database = f"projects/{project}/databases/{database}"
        self.root = f"{self.database}/documents"
        self._timeout = timeout
        create = f"gcloud firestore databases create --database='{database}' --location=LOCATION --project={project}"
        self._place = Place(f"Firestore {project}/{database}", f"{ROLE} in the project {project}", create)
        host = emulator(EMULATOR)
        self._metadata = [("google-cloud-resource-prefix", self.database)]
        self._metadata += [("authorization", "Bearer owner")] if host else []
        with opening(f"firestore://{project}/{database}"):
            channel = grpc.insecure_channel(host, _OPTIONS) if host else _production_channel
            self._client = FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))

    def commit(self, request: Message, *, timeout: float | None = None) -> tuple[list[int], int]:
        """Apply all writes or none; returns the update time of each and the time of all, in nanoseconds.

        Raises `Changed` where a precondition does not hold.
        """
        try:
            answer = self._call(self._client.commit, types.CommitRequest.wrap(request), timeout)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, (google.AlreadyExists, google.FailedPrecondition)):
                raise Changed from error
            raise
        found = types.CommitResponse.pb(answer)
        return [one.update_time.ToNanoseconds() for one in found.write_results], found.commit_time.ToNanoseconds()

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete all documents as they were read, or none. Raises `Changed` where one is not as it was read."""
        request = types.CommitRequest.pb()(database=self.database)
        for message in messages:
            write = request.writes.add(delete=message.name)
            write.current_document.update_time.CopyFrom(message.update_time)
        self.commit(request)

    def read(self, names: Sequence[str], *, only: Sequence[str] = (), timeout: float | None = None) -> list[Message]:
        """The documents of these names that exist, with all fields or `only` some, in any order."""
        request: Message = types.BatchGetDocumentsRequest.pb()(database=self.database, documents=names)
        request.mask.field_paths.extend(only)
        if not only:
            request.ClearField("mask")
        wrapped = types.BatchGetDocumentsRequest.wrap(request)
        answers = map(types.BatchGetDocumentsResponse.pb, self._all(self._client.batch_get_documents, wrapped, timeout))
        return [answer.found for answer in answers if answer.WhichOneof("result") == "found"]

    def query(self, query: Message) -> list[Message]:
        """The documents that a structured query selects, in its order."""
        request = types.RunQueryRequest.pb()(parent=self.root, structured_query=query)
        wrapped = types.RunQueryRequest.wrap(request)
        answers = map(types.RunQueryResponse.pb, self._all(self._client.run_query, wrapped, None))
        return [answer.document for answer in answers if answer.HasField("document")]

    def collections(self) -> list[str]:
        """Ids of all collections that hold documents."""
        request = types.ListCollectionIdsRequest(parent=self.root)
        found: list[str] = self._all(self._client.list_collection_ids, request, None)
        return found

    def listen(self, collections: Sequence[str]) -> Listening:
        """Begin to listen to whole collections; the target ids are 1, 2, ... in their order."""
        requests = [self._target(number, name) for number, name in enumerate(collections, 1)]
        return Listening(self._client.transport.listen, requests, self._metadata, self._place)

    def close(self) -> None:
        self._client.transport.close()  # type: ignore[no-untyped-call]  # Google's

    def _target(self, number: int, collection: str) -> types.ListenRequest:
        request: Message = types.ListenRequest.pb()(database=self.database)
        request.add_target.target_id = number
        request.add_target.query.parent = self.root
        request.add_target.query.structured_query.from_.add(collection_id=collection)
        wrapped: types.ListenRequest = types.ListenRequest.wrap(request)
        return wrapped

    def _all(self, call: Callable[..., Any], request: Any, timeout: float | None) -> list[Any]:
        """All answers of a call that streams or pages them."""
        with failures_as_ours(self._place):
            return list(self._call(call, request, timeout))

    def _call(self, call: Callable[..., Any], request: Any, timeout: float | None) -> Any:
        seconds = self._timeout if timeout is None else max(0.001, min(timeout, self._timeout))
        try:
            with failures_as_ours(self._place):
                return call(request=request, timeout=seconds, retry=None, metadata=self._metadata)
        except StoreUnavailable as error:
            if _INDEX_MISSING in str(error):
                raise StoreUnavailable(str(error), f"add it to {INDEXES} and deploy that") from error
            raise


class Listening:
    """An open stream of changes. Iterating ends when it is cancelled, and raises `StoreError` when it breaks."""

    def __init__(
        self, listen: Any, requests: Sequence[types.ListenRequest], metadata: Sequence[tuple[str, str]], place: Place
    ) -> None:
        self._place = place
        self._requests: SimpleQueue[types.ListenRequest | None] = SimpleQueue()
        for request in requests:
            self._requests.put(request)
        self._cancelled = False
        self._call = listen(iter(self._requests.get, None), metadata=metadata)

    def __iter__(self) -> Iterator[Message]:
        try:
            with failures_as_ours(self._place):
                yield from map(types.ListenResponse.pb, self._answers())
        except StoreUnavailable:
            if not self._cancelled:
                raise
        finally:
            self.cancel()

    def cancel(self) -> None:
        """End the stream, from any thread."""
        self._cancelled = True
        self._requests.put(None)
        self._call.cancel()

    def _answers(self) -> Iterator[types.ListenResponse]:
        try:
            yield from self._call
        except grpc.RpcError as error:
            raise google.from_grpc_error(error) from error  # type: ignore[no-untyped-call]  # Google's


def _production_channel(host: str, **options: Any) -> grpc.Channel:
    return FirestoreGrpcTransport.create_channel(host, **{**options, "options": _OPTIONS})
