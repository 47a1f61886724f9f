"""A BigQuery warehouse on the emulators, whose parts lie in the archive before they are loaded."""

from __future__ import annotations

import gzip
import os
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
from tests.emulators.real_cloud import VARIABLE as REAL
from tests.emulators.real_cloud import real_project
from tests.stores.emulated import new_prefix


class ArchivedParts(BigqueryWarehouse):
    """Puts each part's object where the warehouse loads it from, as the archive's follower does."""

    bucket_prefix: str
    dataset: str

    def load(self, parts: Sequence[Part]) -> int:
        for part in parts:
            put_object(self.bucket_prefix, part)
        return super().load(parts)


def put_object(prefix: str, part: Part) -> None:
    project = os.environ.get(REAL, "demo-tron")
    client = storage.Client(project, credentials=_credentials("STORAGE_EMULATOR_HOST"))  # type: ignore[no-untyped-call]  # Google's
    bucket = client.bucket(f"{prefix}-tron-{part.bucket}")
    with suppress(Conflict):
        client.create_bucket(bucket)
    body = gzip.compress(part.lines, mtime=0)
    bucket.blob(part.name).upload_from_string(body, content_type="application/gzip", checksum="crc32c")


def open_bigquery(
    request: pytest.FixtureRequest, columns: Mapping[str, Sequence[Column]], **options: Any
) -> ArchivedParts:
    """A warehouse in a project (or, in the real service, a dataset) and in buckets that no other test uses."""
    project, prefix, dataset = request.getfixturevalue("demo_project"), new_prefix(request), "tron"
    if real_project(request.config):
        dataset = f"tron_test_{uuid.uuid4().hex[:12]}"
        request.addfinalizer(lambda: client_of(project).delete_dataset(dataset, delete_contents=True))
    else:
        request.getfixturevalue("bigquery_emulator")
    make_dataset(project, dataset)
    warehouse = ArchivedParts(project, dataset, columns, archive=prefix, **options)
    warehouse.bucket_prefix, warehouse.dataset = prefix, dataset
    return warehouse


def client_of(project: str) -> bigquery.Client:
    return bigquery.Client(project, credentials=_credentials("BIGQUERY_EMULATOR_HOST"))


def _credentials(emulator: str) -> AnonymousCredentials | None:
    """Those of nobody for an emulator; for the real service, those that are found."""
    return AnonymousCredentials() if os.environ.get(emulator) else None  # type: ignore[no-untyped-call]  # Google's


def make_dataset(project: str, name: str) -> None:
    client_of(project).create_dataset(name)
