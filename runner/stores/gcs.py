"""The archive on Google Cloud Storage.

    gs://<prefix>-tron-<bucket>/<name>      one object, as it was given; its metadata is the object's custom metadata

- Every object is created by one request with the precondition "must not exist" and the CRC-32C of its bytes. Bodies
  above 8 MiB are refused: they would need an upload in several requests, where that precondition means less.
- A body is stored and read without transcoding: no content encoding is set, and reads ask for the stored bytes.
- What arrives is compared with the CRC-32C that Google keeps, in both directions. A new object that differs is deleted
  again, so that the next try finds the name free.
- A bucket that is missing is empty to readers, as a folder is; who creates an object in it is told how to make it.

No request is repeated here. Each ends within three times `timeout` seconds: to connect, to send, and to be answered.
"""

from __future__ import annotations

import io
import re
import time
import warnings
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice

import google_crc32c
import urllib3
from google.api_core import exceptions as google
from google.api_core.page_iterator import Page
from google.cloud.storage import Blob, Bucket, Client
from google.cloud.storage.exceptions import DataCorruption

from runner.errors import ObjectExists, StoreError, StoreRejected, StoreUnavailable
from runner.stores.base import Lifecycle, LifecycleRule, ObjectInfo
from runner.stores.cloud import Place, emulator, failures_as_ours, opening
from runner.stores.gcs_lifecycle import JsonRule, lifecycle_of, resources_of

EMULATOR = "STORAGE_EMULATOR_HOST"
BODY_LIMIT = 8 << 20
_BUCKET_ROLE = "roles/storage.admin"
_LONGEST_NAME = 1024
_PAGE = 1000
_FIELDS = "items(name,size,metadata),nextPageToken"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_RETAINED = ("retentionPolicyNotMet", "retention policy", "objectUnderActiveHold", "hold")


class GcsArchive:
    """An `Archive` in the buckets `<prefix>-tron-...`. Safe among threads."""

    def __init__(self, prefix: str, *, project: str = "", timeout: float = 20.0) -> None:
        self.operations: Counter[str] = Counter()
        self.prefix = prefix
        self._timeout = timeout
        with opening(f"gs://{prefix}"):
            self._client = Client(project=project or ("demo-tron" if emulator(EMULATOR) else None))

    def create(self, bucket: str, name: str, body: bytes, *, metadata: Mapping[str, str], content_type: str) -> None:
        if len(body) > BODY_LIMIT:
            raise StoreRejected(f"{bucket}/{name} has {len(body)} bytes", f"an object has at most {BODY_LIMIT}")
        blob = self._blob(bucket, name)
        blob.metadata = dict(metadata)
        self.operations["class_a"] += 1
        with self._failures_as_ours(bucket):
            try:
                blob.upload_from_string(
                    body, content_type, if_generation_match=0, checksum="crc32c", timeout=self._timeout, retry=None
                )
            except google.PreconditionFailed:
                raise ObjectExists(f"{bucket}/{name} exists") from None
            except google.BadRequest as error:
                raise _damaged(bucket, name) if "crc32c" in str(error).lower() else error from None
            self._check_stored(blob, bucket, body)
        self.operations["bytes"] += len(body)

    def read(self, bucket: str, name: str) -> bytes:
        blob = self._blob(bucket, name)
        sink = _Sink(time.monotonic() + 3 * self._timeout)
        self.operations["class_b"] += 1
        with self._failures_as_ours(bucket):
            try:
                blob.download_to_file(sink, raw_download=True, checksum="crc32c", timeout=self._timeout, retry=None)
            except google.NotFound:
                raise StoreError(f"there is no object {bucket}/{name}", self._how_to_restore(bucket, name)) from None
            except DataCorruption as error:
                raise _damaged(bucket, name) from error
        self.operations["read_bytes"] += len(sink.getvalue())
        return sink.getvalue()

    def stat(self, bucket: str, name: str) -> ObjectInfo | None:
        place = self._bucket(bucket)
        _check_name(name)
        self.operations["class_b"] += 1
        with self._failures_as_ours(bucket):
            blob = place.get_blob(name, timeout=self._timeout, retry=None)
        return None if blob is None else _info(bucket, blob)

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        pages = self._client.list_blobs(
            self._bucket(bucket),
            prefix=prefix or None,
            page_size=_PAGE,
            fields=_FIELDS,
            timeout=self._timeout,
            retry=None,
        ).pages
        while page := self._next_page(bucket, pages):
            yield from page

    def delete(self, bucket: str, name: str) -> None:
        blob = self._blob(bucket, name)
        self.operations["deletes"] += 1
        with self._failures_as_ours(bucket):
            try:
                blob.delete(timeout=self._timeout, retry=None)
            except google.NotFound:
                return
            except google.Forbidden as error:
                if any(sign in str(error) for sign in _RETAINED):
                    raise _retained(bucket, name) from error
                raise

    def lifecycle(self, bucket: str) -> Lifecycle | None:
        self.operations["class_b"] += 1
        with self._failures_as_ours(bucket, _BUCKET_ROLE):
            try:
                found = self._client.get_bucket(self._bucket(bucket), timeout=self._timeout, retry=None)
            except google.NotFound:
                return None
        return lifecycle_of(_resources(found))

    def set_lifecycle(self, bucket: str, rules: Sequence[LifecycleRule]) -> None:
        """One change at a time: a bucket that somebody else changes meanwhile is `StoreUnavailable`."""
        self.operations["class_b"] += 1
        self.operations["class_a"] += 1
        with self._failures_as_ours(bucket, _BUCKET_ROLE):
            found = self._client.get_bucket(self._bucket(bucket), timeout=self._timeout, retry=None)
            found.lifecycle_rules = resources_of(rules, _resources(found))
            found.patch(if_metageneration_match=found.metageneration, timeout=self._timeout, retry=None)

    def ensure(self, buckets: Iterable[str], *, location: str = "") -> None:
        """Create buckets that are missing, without any retention: for emulators and trials. Terraform does it right."""
        for bucket in buckets:
            self.operations["class_a"] += 1
            with self._failures_as_ours(bucket):
                try:
                    self._client.create_bucket(
                        self._bucket(bucket), location=location or None, timeout=self._timeout, retry=None
                    )
                except google.Conflict:
                    continue

    def close(self) -> None:
        self._client.close()

    def _bucket(self, bucket: str) -> Bucket:
        if not _BUCKET.fullmatch(bucket):
            raise StoreRejected(f"{bucket!r} is not the name of a bucket", "use a-z, 0-9 and dashes")
        return self._client.bucket(f"{self.prefix}-tron-{bucket}")

    def _blob(self, bucket: str, name: str) -> Blob:
        _check_name(name)
        return self._bucket(bucket).blob(name)

    @contextmanager
    def _failures_as_ours(self, bucket: str, role: str = "roles/storage.objectUser") -> Iterator[None]:
        full = f"{self.prefix}-tron-{bucket}"
        create = f"gcloud storage buckets create gs://{full} --uniform-bucket-level-access"
        with failures_as_ours(Place(f"bucket {full}", f"{role} on gs://{full}", create)):
            try:
                yield
            except urllib3.exceptions.HTTPError as error:
                raise ConnectionError(str(error)) from error

    def _next_page(self, bucket: str, pages: Iterator[Page]) -> Sequence[ObjectInfo]:
        """The objects of the next page with any; nothing after the last one, and for a bucket that is missing."""
        with self._failures_as_ours(bucket):
            try:
                for page in pages:
                    self.operations["class_a"] += 1
                    if page.num_items:
                        return [_info(bucket, blob) for blob in page]
            except google.NotFound:
                self.operations["class_a"] += 1
        return []

    def _check_stored(self, blob: Blob, bucket: str, body: bytes) -> None:
        """Take back an object whose checksum, as Google tells it, is not the one of what was sent."""
        if blob.crc32c == b64encode(google_crc32c.value(body).to_bytes(4, "big")).decode():
            return
        self.operations["deletes"] += 1
        blob.delete(if_generation_match=blob.generation, timeout=self._timeout, retry=None)
        raise _damaged(bucket, blob.name)

    def _how_to_restore(self, bucket: str, name: str) -> str:
        """What to do about an object that is absent: deleted ones can be had back while soft delete keeps them."""
        self.operations["class_a"] += 1
        try:
            found = self._client.list_blobs(
                self._bucket(bucket),
                prefix=name,
                soft_deleted=True,
                max_results=_PAGE,
                timeout=self._timeout,
                retry=None,
            )
            deleted = next((blob for blob in islice(found, _PAGE) if blob.name == name and blob.soft_delete_time), None)
        except (google.GoogleAPIError, OSError):
            deleted = None
        if deleted is None:
            return "`tron verify` names what is missing"
        command = f"gcloud storage restore gs://{self.prefix}-tron-{bucket}/{name}#{deleted.generation}"
        return f"it was deleted: until {deleted.hard_delete_time:%Y-%m-%d}, `{command}` brings it back"


class _Sink(io.BytesIO):
    """Takes a body, and no longer than until `deadline` (monotonic seconds)."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline

    def write(self, chunk: bytes, /) -> int:  # type: ignore[override]  # the client writes bytes only
        if time.monotonic() > self._deadline:
            raise TimeoutError("the body took too long to arrive")
        return super().write(chunk)


def _info(bucket: str, blob: Blob) -> ObjectInfo:
    return ObjectInfo(bucket, blob.name, int(blob.size or 0), dict(blob.metadata or {}))


def _resources(found: Bucket) -> list[JsonRule]:
    """A bucket's rules as they are. The client leaves out those of an action that it does not know."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return list(found.lifecycle_rules)
        except UserWarning as error:
            raise StoreRejected(
                f"bucket {found.name} has a lifecycle rule of an unknown action", "change its lifecycle by hand"
            ) from error


def _damaged(bucket: str, name: str) -> StoreUnavailable:
    return StoreUnavailable(f"{bucket}/{name} was damaged on its way: its CRC-32C differs", "it is tried again")


def _retained(bucket: str, name: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{bucket}/{name} may not be deleted yet: the bucket's retention policy or a hold keeps it",
        "leave it: the bucket's lifecycle deletes it when its time has come",
    )


def _check_name(name: str) -> None:
    fits = 0 < len(name.encode(errors="surrogatepass")) <= _LONGEST_NAME and not name.startswith((".", "/"))
    if not fits or _NOT_IN_A_NAME.search(name):
        raise StoreRejected(f"{name!r} is not the name of an object", "use 1 to 1024 bytes without control characters")
