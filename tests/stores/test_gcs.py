"""What the archive on Google Cloud Storage promises beyond the behaviour of every archive: faults, limits, requests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest

from runner.errors import ObjectExists, StoreError, StoreRejected, StoreUnavailable
from runner.stores.base import ObjectInfo
from runner.stores.gcs import BODY_LIMIT, GcsArchive
from tests.emulators.emulator import Emulator
from tests.emulators.fixtures import StartEmulator
from tests.emulators.http_relay import HttpRelay
from tests.emulators.relay import Relay
from tests.stores.emulated import open_gcs

NAME = "logs/2024/06/03/breakout/trades_143000_deadbeef-000000000000_v1.json.gz"
BUCKET = "trade-logs"


@pytest.fixture
def relay(gcs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpRelay]:
    with HttpRelay(gcs_emulator.host) as relay:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", relay.url)
        yield relay


@pytest.fixture
def archive(relay: HttpRelay, request: pytest.FixtureRequest) -> Iterator[GcsArchive]:
    """An archive behind the relay, with one bucket."""
    archive = open_gcs(request, BUCKET)
    yield archive
    archive.close()


def create(archive: GcsArchive, body: bytes = b"body", name: str = NAME, **metadata: str) -> None:
    archive.create(BUCKET, name, body, metadata=metadata, content_type="application/gzip")


class TestFailures:
    @pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502, 503, 504])
    def test_what_may_be_over_later_is_unavailable_and_is_asked_once(
        self, archive: GcsArchive, relay: HttpRelay, status: int
    ) -> None:
        before = len(relay.seen)
        for action in (
            lambda: create(archive),
            lambda: archive.read(BUCKET, NAME),
            lambda: archive.stat(BUCKET, NAME),
            lambda: list(archive.list(BUCKET)),
            lambda: archive.delete(BUCKET, NAME),
        ):
            relay.fail_next(status, message="for now")
            with pytest.raises(StoreUnavailable, match=rf"-tron-trade-logs: ({status} for now|Anonymous credentials)"):
                action()
        assert len(relay.seen) - before == 5
        create(archive)

    @pytest.mark.parametrize("status", [400, 413])
    def test_what_can_never_be_accepted_is_rejected(self, archive: GcsArchive, relay: HttpRelay, status: int) -> None:
        relay.fail_next(status)
        with pytest.raises(StoreRejected):
            create(archive)

    @pytest.mark.parametrize(
        ("status", "message", "hint"),
        [
            (401, "who", "gcloud auth application-default login"),
            (403, "no", "grant the role roles/storage.objectUser on gs://"),
            (403, "accessNotConfigured", "enable the API"),
            (429, "slow down", "a quota is used up"),
        ],
    )
    def test_a_refusal_says_what_to_do(
        self, archive: GcsArchive, relay: HttpRelay, status: int, message: str, hint: str
    ) -> None:
        relay.fail_next(status, message=message)
        with pytest.raises(StoreUnavailable) as caught:
            create(archive)
        assert hint in caught.value.hint

    def test_a_missing_bucket_is_empty_to_readers_and_names_its_command_to_writers(self, archive: GcsArchive) -> None:
        assert list(archive.list("system-logs")) == []
        assert archive.stat("system-logs", NAME) is None
        archive.delete("system-logs", NAME)
        with pytest.raises(StoreError, match="there is no object"):
            archive.read("system-logs", NAME)
        with pytest.raises(StoreUnavailable) as caught:
            archive.create("system-logs", NAME, b"", metadata={}, content_type="text/plain")
        assert f"gcloud storage buckets create gs://{archive.prefix}-tron-system-logs" in caught.value.hint

    def test_creating_again_after_a_lost_answer_finds_its_own_object(
        self, archive: GcsArchive, relay: HttpRelay
    ) -> None:
        relay.fail_next(503, of="POST", done=True)
        with pytest.raises(StoreUnavailable):
            create(archive, raw_sha256="of mine")
        with pytest.raises(ObjectExists):
            create(archive, raw_sha256="of mine")
        found = archive.stat(BUCKET, NAME)
        assert found is not None
        assert found.metadata == {"raw_sha256": "of mine"}

    def test_what_retention_keeps_is_told_apart_from_a_missing_permission(
        self, archive: GcsArchive, relay: HttpRelay
    ) -> None:
        create(archive)
        relay.fail_next(
            403, of="DELETE", message="Object is subject to bucket's retention policy and cannot be deleted"
        )
        with pytest.raises(StoreUnavailable, match="may not be deleted yet") as caught:
            archive.delete(BUCKET, NAME)
        assert "lifecycle" in caught.value.hint
        relay.fail_next(403, of="DELETE", message="does not have storage.objects.delete access")
        with pytest.raises(StoreUnavailable) as caught:
            archive.delete(BUCKET, NAME)
        assert "grant the role" in caught.value.hint

    def test_a_deleted_object_that_can_be_had_back_is_told_with_the_command(
        self, archive: GcsArchive, relay: HttpRelay
    ) -> None:
        deleted = {
            "name": NAME,
            "generation": "17",
            "softDeleteTime": "2024-06-03T00:00:00Z",
            "hardDeleteTime": "2024-06-10T00:00:00Z",
        }
        relay.fail_next(200, of="softDeleted", message=json.dumps({"items": [deleted]}))
        with pytest.raises(StoreError, match="there is no object") as caught:
            archive.read(BUCKET, NAME)
        assert "until 2024-06-10, `gcloud storage restore gs://" in caught.value.hint
        assert f"{NAME}#17`" in caught.value.hint


class TestDamage:
    def test_a_body_that_is_damaged_on_its_way_in_leaves_its_name_free(
        self, archive: GcsArchive, relay: HttpRelay
    ) -> None:
        relay.replace_next(b"payload", b"paylaod", of="POST")
        with pytest.raises(StoreUnavailable, match="was damaged on its way"):
            create(archive, b"the payload")
        create(archive, b"the payload")
        assert archive.read(BUCKET, NAME) == b"the payload"

    def test_damage_that_google_itself_finds_is_tried_again(self, archive: GcsArchive, relay: HttpRelay) -> None:
        relay.fail_next(400, of="POST", message="Provided CRC32C does not match the calculated one")
        with pytest.raises(StoreUnavailable, match="was damaged on its way"):
            create(archive)

    def test_a_body_that_is_damaged_on_its_way_out_is_not_returned(self, archive: GcsArchive, relay: HttpRelay) -> None:
        create(archive, b"the payload")
        relay.replace_next(b"payload", b"paylaod", of="GET")
        with pytest.raises(StoreUnavailable, match="was damaged on its way"):
            archive.read(BUCKET, NAME)
        assert archive.read(BUCKET, NAME) == b"the payload"


class TestRequests:
    def test_gzip_is_stored_and_read_as_it_is(self, archive: GcsArchive, gcs_emulator: Emulator) -> None:
        body = gzip.compress(b"line\n" * 100, mtime=0)
        create(archive, body)
        assert archive.read(BUCKET, NAME) == body
        assert archive.stat(BUCKET, NAME) == ObjectInfo(BUCKET, NAME, len(body), {})

    def test_an_object_is_created_by_one_request_with_its_precondition(
        self, archive: GcsArchive, relay: HttpRelay
    ) -> None:
        create(archive, bytes(BODY_LIMIT))
        (upload,) = [name for name in relay.seen if name.startswith("POST /upload/")]
        assert "uploadType=multipart" in upload
        assert "ifGenerationMatch=0" in upload

    def test_a_body_that_would_need_several_requests_is_rejected_without_one(
        self, archive: GcsArchive, relay: HttpRelay
    ) -> None:
        before = relay.seen
        with pytest.raises(StoreRejected, match="8388609 bytes"):
            create(archive, bytes(BODY_LIMIT + 1))
        assert relay.seen == before

    @pytest.mark.parametrize("name", ["", ".x", "/x", "a\nb", "a\x00b", "\ud800", "x" * 1025])
    def test_a_name_that_no_object_may_have_is_rejected_without_a_request(
        self, archive: GcsArchive, relay: HttpRelay, name: str
    ) -> None:
        before = relay.seen
        with pytest.raises(StoreRejected):
            create(archive, name=name)
        assert relay.seen == before

    def test_a_listing_asks_for_its_prefix_only_and_counts_every_page(
        self, archive: GcsArchive, relay: HttpRelay, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("runner.stores.gcs._PAGE", 2)
        for number in range(5):
            create(archive, name=f"logs/{number}")
        create(archive, name="other")
        archive.operations.clear()
        asked = len(relay.seen)
        assert [info.name for info in archive.list(BUCKET, "logs/")] == [f"logs/{number}" for number in range(5)]
        assert archive.operations["class_a"] == len(relay.seen) - asked == 3
        assert all("prefix=logs%2F" in name for name in relay.seen[asked:])

    def test_buckets_that_exist_are_left_alone(self, archive: GcsArchive) -> None:
        create(archive, b"kept")
        archive.ensure([BUCKET])
        assert archive.read(BUCKET, NAME) == b"kept"


class TestOutages:
    @pytest.fixture
    def wire(self, gcs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
        with Relay(gcs_emulator.host) as wire:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", wire.url)
            yield wire

    @pytest.fixture
    def distant(self, wire: Relay, request: pytest.FixtureRequest) -> Iterator[GcsArchive]:
        """An archive behind a wire that can be cut, which waits for half a second."""
        archive = open_gcs(request, BUCKET, timeout=0.5)
        yield archive
        archive.close()

    def test_a_cut_connection_is_unavailable_until_it_heals(self, distant: GcsArchive, wire: Relay) -> None:
        create(distant)
        wire.cut()
        with pytest.raises(StoreUnavailable, match="bucket"):
            distant.read(BUCKET, NAME)
        wire.heal()
        assert distant.read(BUCKET, NAME) == b"body"

    def test_a_service_that_never_answers_is_unavailable(self, distant: GcsArchive, wire: Relay) -> None:
        wire.suspend()
        with pytest.raises(StoreUnavailable):
            create(distant)
        wire.heal()

    def test_a_body_that_drips_is_unavailable(self, distant: GcsArchive, wire: Relay) -> None:
        create(distant, bytes(2 << 20))
        wire.slow(0.2)
        with pytest.raises(StoreUnavailable, match="took too long"):
            distant.read(BUCKET, NAME)
        wire.heal()

    def test_a_server_that_was_killed_and_started_again_still_has_every_object(
        self, own_emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        emulator = own_emulator("gcs")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
        archive = GcsArchive("demo-restarted")
        archive.ensure([BUCKET])
        create(archive, b"kept", raw_sha256="x")
        emulator.kill()
        with pytest.raises(StoreUnavailable):
            archive.read(BUCKET, NAME)
        own_emulator("gcs", host=emulator.host, objects=emulator.folder)
        assert archive.read(BUCKET, NAME) == b"kept"
        assert [info.metadata for info in archive.list(BUCKET)] == [{"raw_sha256": "x"}]
        archive.close()
