"""The lifecycle of buckets: kept by the embedded archives, and asked of Google Cloud Storage in requests.

The emulator ignores lifecycles, so here a service of a few lines stands in for that part of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.errors import StoreRejected, StoreUnavailable
from runner.stores.base import Archive, Lifecycle, LifecycleRule
from runner.stores.directory import DirectoryArchive
from runner.stores.gcs import GcsArchive
from runner.stores.memory import MemoryArchive
from tests.emulators.emulator import Emulator
from tests.emulators.http_relay import HttpRelay
from tests.stores.emulated import open_gcs

BUCKET = "trade-logs"
NEARLINE, DELETE = LifecycleRule(30, "NEARLINE", 1 << 20), LifecycleRule(365)
OURS = [
    {
        "action": {"type": "SetStorageClass", "storageClass": "NEARLINE"},
        "condition": {"age": 30, "sizeAboveBytes": "1048576"},
    },
    {"action": {"type": "Delete"}, "condition": {"age": 365}},
]
FOREIGN = [
    {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 1}},
    {"action": {"type": "Delete"}, "condition": {"age": 7, "matchesPrefix": ["tmp/"]}},
    {"action": {"type": "Delete"}, "condition": {"numNewerVersions": 3}},
    {
        "action": {"type": "SetStorageClass", "storageClass": "COLDLINE"},
        "condition": {"age": 1, "matchesStorageClass": ["STANDARD"]},
    },
    {"action": {"type": "Delete"}, "condition": {"age": 365, "sizeAboveBytes": "5"}},
]


class Buckets(HttpRelay):
    """Answers for buckets like the real service: it keeps a lifecycle, and counts changes."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.lifecycle: dict[str, Any] = {}
        self.metageneration = 7
        self.patches: list[tuple[str, dict[str, Any]]] = []

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        if "/b/" not in path or "/o" in path.partition("/b/")[2]:
            return super().forward(method, path, headers, body)
        if method == "PATCH":
            self.patches.append((path, json.loads(body)))
            if f"ifMetagenerationMatch={self.metageneration}" not in path:
                return 412, [], b'{"error": {"code": 412, "message": "conditionNotMet"}}'
            self.lifecycle, self.metageneration = json.loads(body)["lifecycle"], self.metageneration + 1
        name = path.partition("/b/")[2].partition("?")[0]
        resource = {"name": name, "metageneration": str(self.metageneration), "lifecycle": self.lifecycle}
        return 200, [("Content-Type", "application/json")], json.dumps(resource).encode()


@pytest.fixture
def buckets(gcs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    with Buckets(gcs_emulator.host) as relay:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", relay.url)
        yield relay


@pytest.fixture
def archive(buckets: Buckets, request: pytest.FixtureRequest) -> Iterator[GcsArchive]:
    archive = open_gcs(request, BUCKET)
    yield archive
    archive.close()


def test_our_rules_are_read_as_what_they_are_and_others_are_foreign(archive: GcsArchive, buckets: Buckets) -> None:
    buckets.lifecycle = {"rule": [*FOREIGN, *OURS]}
    found = archive.lifecycle(BUCKET)
    assert found is not None
    assert (found.rules, found.enforced) == ((NEARLINE, DELETE), True)
    assert [json.loads(text) for text in found.foreign] == FOREIGN


def test_setting_rules_replaces_ours_and_keeps_every_foreign_one(archive: GcsArchive, buckets: Buckets) -> None:
    buckets.lifecycle = {"rule": [*OURS, *FOREIGN, {"action": {"type": "Delete"}, "condition": {"age": 30}}]}

    archive.set_lifecycle(BUCKET, [DELETE, NEARLINE])

    ((path, body),) = buckets.patches
    assert body == {"lifecycle": {"rule": [*FOREIGN, *OURS]}}
    assert "ifMetagenerationMatch=7" in path
    assert archive.lifecycle(BUCKET) == Lifecycle(
        (NEARLINE, DELETE), tuple(json.dumps(one, sort_keys=True) for one in FOREIGN), True
    )


def test_a_bucket_that_somebody_else_changes_meanwhile_is_tried_again_later(
    archive: GcsArchive, buckets: Buckets
) -> None:
    real = buckets.forward

    def forward(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        answer = real(method, path, headers, body)
        buckets.metageneration += method == "GET"
        return answer

    buckets.forward = forward  # type: ignore[method-assign]  # the bucket changes right after it was read
    with pytest.raises(StoreUnavailable, match="412"):
        archive.set_lifecycle(BUCKET, [DELETE])
    assert buckets.lifecycle == {}


def test_a_rule_of_an_action_that_nobody_knows_is_never_dropped(archive: GcsArchive, buckets: Buckets) -> None:
    buckets.lifecycle = {"rule": [{"action": {"type": "Teleport"}, "condition": {"age": 1}}]}
    with pytest.raises(StoreRejected, match="unknown action"):
        archive.set_lifecycle(BUCKET, [DELETE])
    with pytest.raises(StoreRejected, match="unknown action"):
        archive.lifecycle(BUCKET)
    assert buckets.patches == []


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_who_may_not_look_or_change_is_told_the_role(archive: GcsArchive, buckets: Buckets, method: str) -> None:
    buckets.fail_next(403, of=f"{method} /storage/v1/b/", message="no storage.buckets access")
    with pytest.raises(StoreUnavailable) as caught:
        archive.set_lifecycle(BUCKET, [DELETE])
    assert caught.value.hint == f"grant the role roles/storage.admin on gs://{archive.prefix}-tron-trade-logs"
    assert buckets.lifecycle == {}


def test_operations_of_the_lifecycle_are_counted(archive: GcsArchive) -> None:
    archive.operations.clear()
    archive.lifecycle(BUCKET)
    archive.set_lifecycle(BUCKET, [DELETE])
    assert dict(archive.operations) == {"class_b": 2, "class_a": 1}


@pytest.fixture(params=["memory", "directory"])
def embedded(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    archive: Archive = MemoryArchive() if request.param == "memory" else DirectoryArchive(tmp_path / "archive")
    archive.create(BUCKET, "logs/x", b"x", metadata={}, content_type="text/plain")
    return archive


def test_an_embedded_archive_keeps_rules_and_leaves_them_to_the_sweep(embedded: Archive) -> None:
    embedded.set_lifecycle(BUCKET, [DELETE, NEARLINE])
    assert embedded.lifecycle(BUCKET) == Lifecycle((NEARLINE, DELETE), (), enforced=False)
    embedded.set_lifecycle(BUCKET, [])
    assert embedded.lifecycle(BUCKET) == Lifecycle()


def test_rules_of_a_directory_outlive_the_process_and_a_damaged_file_is_told(tmp_path: Path) -> None:
    archive = DirectoryArchive(tmp_path)
    archive.create(BUCKET, "logs/x", b"x", metadata={}, content_type="text/plain")
    archive.set_lifecycle(BUCKET, [DELETE])
    assert DirectoryArchive(tmp_path).lifecycle(BUCKET) == Lifecycle((DELETE,))
    (tmp_path / f"tron-{BUCKET}" / ".lifecycle.json").write_text("{}")
    with pytest.raises(StoreRejected, match="is damaged"):
        DirectoryArchive(tmp_path).lifecycle(BUCKET)
