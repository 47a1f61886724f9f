"""A BigQuery warehouse on the emulators, whose parts lie in the archive before they are loaded."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from google.api_core.exceptions import Conflict
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from runner.stores.base import Part
from runner.stores.bigquery import BigqueryWarehouse
from runner.stores.columns import Column


class ArchivedParts(BigqueryWarehouse):
    """Puts each part's object where the warehouse loads it from, as the archive's follower does."""

    bucket_prefix: str

    def load(self, parts: Sequence[Part]) -> int:
        for part in parts:
            put_object(self.bucket_prefix, part)
        return super().load(parts)


def put_object(prefix: str, part: Part) -> None:
    client = storage.Client("demo-tron", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]  # Google's
    bucket = client.bucket(f"{prefix}-tron-{part.bucket}")
    with suppress(Conflict):
        client.create_bucket(bucket)
    body = gzip.compress(part.lines, mtime=0)
    bucket.blob(part.name).upload_from_string(body, content_type="application/gzip", checksum="crc32c")


def open_bigquery(
    request: pytest.FixtureRequest, columns: Mapping[str, Sequence[Column]], **options: Any
) -> ArchivedParts:
    """A warehouse in a project and in buckets that no other test uses."""
    request.getfixturevalue("gcs_emulator")
    request.getfixturevalue("bigquery_emulator")
    project, prefix = request.getfixturevalue("demo_project"), f"demo-{uuid.uuid4().hex[:12]}"
    make_dataset(project, "tron")
    warehouse = ArchivedParts(project, "tron", columns, archive=prefix, **options)
    warehouse.bucket_prefix = prefix
    return warehouse


def client_of(project: str) -> bigquery.Client:
    return bigquery.Client(project, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]  # Google's


def make_dataset(project: str, name: str) -> None:
    client_of(project).create_dataset(name)
