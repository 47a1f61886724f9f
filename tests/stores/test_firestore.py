"""What the live store on Firestore promises beyond the behaviour of every live store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud.firestore import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.clock import ManualClock
from runner.errors import ConfigError, StoreDenied, StoreError, StoreRejected, StoreUnavailable
from runner.settings import Settings, Stores
from runner.stores.base import Document
from runner.stores.firestore import FirestoreLiveStore
from runner.stores.firestore_versions import COMMIT_DOCUMENTS
from runner.stores.open import check_urls, open_live
from runner.stores.write_ramp import WriteRamp
from tests.emulators.emulator import Emulator
from tests.emulators.grpc_relay import GrpcRelay
from tests.stores.emulated import open_firestore

NOW = datetime(2024, 6, 3, 14, 30, tzinfo=UTC)
LIVE = "live_trades"
COMMIT, READ = "Firestore/Commit", "Firestore/BatchGetDocuments"
Status = grpc.StatusCode


@pytest.fixture
def relay(firestore_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[GrpcRelay]:
    with GrpcRelay(firestore_emulator.host) as relay:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", relay.host)
        yield relay


@pytest.fixture
def store(relay: GrpcRelay, request: pytest.FixtureRequest) -> Iterator[FirestoreLiveStore]:
    """A live store behind the relay."""
    store = open_firestore(request, timeout=5)
    yield store
    store.close()


@pytest.fixture
def other(store: FirestoreLiveStore, request: pytest.FixtureRequest) -> Iterator[FirestoreLiveStore]:
    """What another process has of the same database."""
    other = open_firestore(request)
    yield other
    other.close()


def document(key: str, seq: int = 0, *, epoch: int = 1, **fields: Any) -> Document:
    return Document(LIVE, key, fields, epoch, seq, f"r:trades:{seq:012d}", NOW + timedelta(hours=1))


def stored(store: FirestoreLiveStore, key: str) -> Document:
    found = store.get(LIVE, key)
    assert found is not None
    return found


def commits(relay: GrpcRelay) -> int:
    return sum(COMMIT in name for name in relay.seen)


class TestDocuments:
    def test_other_clients_see_fields_of_their_own_types_and_an_expiry(
        self, store: FirestoreLiveStore, demo_project: str
    ) -> None:
        store.commit([document("a", 7, price="1.50", n=3, tags=["x"], deep={"b": None})])
        client = Client(project=demo_project)
        found = client.collection(LIVE).document("a").get().to_dict()
        client.close()
        assert found == {
            "price": "1.50",
            "n": 3,
            "tags": ["x"],
            "deep": {"b": None},
            "epoch": 1,
            "seq": 7,
            "expire_at": NOW + timedelta(hours=1),
            "=record_id": "r:trades:000000000007",
        }

    @pytest.mark.parametrize("key", ["", ".", "..", "__x__", "a/b", "=", "a=2Fb", "bot:BTC%2FUSDT", "ä☃"])
    def test_every_key_names_a_document_of_its_own(self, store: FirestoreLiveStore, key: str) -> None:
        fields = {"n": 1, "nested": [[1, [2]], []], "epoch": 5, "__x__": {"": 1, "a.b`": 2}}
        one = replace(document(key, 1), fields=fields)
        store.commit([one, document("other")])
        assert store.get(LIVE, key) == one
        assert one in store.query(LIVE, now=NOW, where={"epoch": 5})

    def test_a_document_that_is_too_large_becomes_its_record_and_the_small_fields(
        self, store: FirestoreLiveStore
    ) -> None:
        one = document("a", 1, symbol="AAPL", text="x" * 1_100_000)
        assert store.commit([one, document("b", 1)]) == 2
        assert stored(store, "a") == replace(one, fields={"symbol": "AAPL", "_left_out": ["text"]})

    def test_a_large_commit_is_made_in_parts_that_fit(self, store: FirestoreLiveStore, relay: GrpcRelay) -> None:
        large = [document(f"large{n}", text="x" * 1_000_000) for n in range(8)]
        assert store.commit(large) == 8
        assert commits(relay) == 3
        small = [document(f"small{n}") for n in range(COMMIT_DOCUMENTS + 1)]
        assert store.commit(small) == len(small)
        assert commits(relay) == 5
        assert stored(store, "large7").fields["text"] == "x" * 1_000_000
        assert len(store.query(LIVE, now=NOW)) == len(large) + len(small)

    def test_committing_nothing_asks_for_nothing(self, store: FirestoreLiveStore, relay: GrpcRelay) -> None:
        assert store.commit([]) == 0
        assert relay.seen == ()

    def test_a_query_reads_on_past_expired_documents_until_it_has_enough(self, store: FirestoreLiveStore) -> None:
        expired = [replace(document(f"a{n:03d}", n=n), expire_at=NOW) for n in range(30)]
        fresh = [document(f"b{n:03d}", n=n) for n in range(30)]
        store.commit(expired + fresh)
        assert store.query(LIVE, now=NOW, limit=7) == fresh[:7]
        by_number = store.query(LIVE, now=NOW, order_by="n", descending=True, limit=7)
        assert by_number == list(reversed(fresh[-7:]))
        assert len(store.query(LIVE, now=NOW, limit=2**63 - 1)) == 30

    def test_an_order_by_a_field_that_is_named_like_our_own_is_that_of_the_field(
        self, store: FirestoreLiveStore
    ) -> None:
        store.commit([replace(document(f"k{n}", n), fields={"epoch": -n}) for n in range(3)])
        found = store.query(LIVE, now=NOW, order_by="epoch", limit=2)
        assert [one.key for one in found] == ["k2", "k1"]

    def test_databases_of_one_project_are_apart(self, store: FirestoreLiveStore, demo_project: str) -> None:
        store.commit([document("a")])
        second = FirestoreLiveStore(demo_project, "second")
        assert second.get(LIVE, "a") is None
        second.close()


class TestGuard:
    def test_an_older_state_never_replaces_that_of_another_process(
        self, store: FirestoreLiveStore, other: FirestoreLiveStore
    ) -> None:
        store.commit([document("a", 1, epoch=1, by="old")])
        other.commit([document("a", 0, epoch=2, by="new")])
        assert store.commit([document("a", 9, epoch=1, by="old"), document("b", 10, by="old")]) == 1
        assert stored(store, "a").fields == {"by": "new"}
        assert stored(store, "b").fields == {"by": "old"}

    def test_a_new_key_costs_no_read_and_a_known_one_costs_one_once(
        self, store: FirestoreLiveStore, other: FirestoreLiveStore
    ) -> None:
        store.commit([document(f"k{n}", 1) for n in range(10)])
        store.commit([document(f"k{n}", 2) for n in range(10)])
        assert store.operations["own_reads"] == 0
        other.commit([document("k0", 3)])
        other.commit([document("k0", 4)])
        assert other.operations["own_reads"] == 1
        assert other.operations["reads"] == 0

    def test_a_document_that_was_deleted_meanwhile_is_written_anew(
        self, store: FirestoreLiveStore, other: FirestoreLiveStore
    ) -> None:
        store.commit([document("a", 1)])
        assert other.delete_expired(now=NOW + timedelta(days=1)) == 1
        assert store.commit([document("a", 2)]) == 1
        assert stored(store, "a").seq == 2

    def test_a_document_that_is_written_to_meanwhile_is_not_swept(
        self, store: FirestoreLiveStore, other: FirestoreLiveStore, relay: GrpcRelay
    ) -> None:
        store.commit([replace(document("a", 1), expire_at=NOW), replace(document("b", 1), expire_at=NOW)])
        relay.fail_next(Status.FAILED_PRECONDITION, of=COMMIT)
        assert store.delete_expired(now=NOW) == 2
        store.commit([replace(document("a", 2), expire_at=NOW)])
        other.commit([document("a", 3)])
        assert store.delete_expired(now=NOW) == 0
        assert stored(store, "a").seq == 3

    def test_keys_that_were_forgotten_are_guarded_all_the_same(
        self, relay: GrpcRelay, request: pytest.FixtureRequest
    ) -> None:
        store = open_firestore(request, kept=2)
        store.commit([document(f"k{n}", 5) for n in range(6)])
        assert store.commit([document(f"k{n}", 4) for n in range(6)]) == 0
        assert store.commit([document(f"k{n}", 6) for n in range(6)]) == 6
        store.close()

    def test_a_commit_whose_answer_was_lost_may_be_repeated(self, store: FirestoreLiveStore, relay: GrpcRelay) -> None:
        relay.fail_next(Status.UNAVAILABLE, of=COMMIT, done=True)
        with pytest.raises(StoreUnavailable):
            store.commit([document("a", 1), document("b", 1)])
        assert store.commit([document("a", 1), document("b", 1)]) == 0
        assert store.commit([document("a", 2), document("b", 2)]) == 2

    def test_writers_that_never_stop_are_given_up_on(self, store: FirestoreLiveStore, relay: GrpcRelay) -> None:
        relay.fail_next(Status.FAILED_PRECONDITION, times=20, of=COMMIT)
        with pytest.raises(StoreUnavailable, match="other writers"):
            store.commit([document("a")])

    @settings(max_examples=15)
    @given(
        st.lists(
            st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.integers(0, 9)), max_size=6), max_size=6
        )
    )
    def test_however_two_writers_race_the_newest_state_of_each_key_stays(
        self, firestore_emulator: Emulator, turns: list[list[tuple[str, int, int]]]
    ) -> None:
        project = f"demo-{threading.get_ident()}-{id(turns)}"
        writers = [FirestoreLiveStore(project) for _ in range(2)]
        writers[0].delete_expired(now=NOW + timedelta(days=1))
        batches = [
            [document(key, seq, epoch=epoch, by=[epoch, seq]) for key, epoch, seq in turn] for turn in turns if turn
        ]
        race(writers, batches)
        for key in {one.key for batch in batches for one in batch}:
            newest = max((one.epoch, one.seq) for batch in batches for one in batch if one.key == key)
            found = stored(writers[0], key)
            assert (found.epoch, found.seq) == newest == tuple(found.fields["by"])
        for writer in writers:
            writer.close()

    def test_two_processes_that_race_old_epochs_against_new_leave_the_newest(
        self, store: FirestoreLiveStore, other: FirestoreLiveStore
    ) -> None:
        batches = [
            [document(f"k{n % 5}", seq, epoch=epoch, by=[epoch, seq]) for n in range(3)]
            for seq in range(25)
            for epoch in (2, 1)
        ]
        race([store, other], batches)
        for n in range(3):
            assert stored(store, f"k{n}").fields == {"by": [2, 24]}


def race(writers: list[FirestoreLiveStore], batches: list[list[Document]]) -> None:
    """Each writer commits every other batch, until it succeeds."""

    def write(number: int) -> None:
        for batch in batches[number :: len(writers)]:
            while True:
                try:
                    writers[number].commit(batch)
                    break
                except StoreUnavailable:
                    continue

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(writers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "expected", "hint"),
        [
            (Status.UNAVAILABLE, StoreUnavailable, "network"),
            (Status.ABORTED, StoreUnavailable, "network"),
            (Status.DEADLINE_EXCEEDED, StoreUnavailable, "network"),
            (Status.INTERNAL, StoreUnavailable, "network"),
            (Status.RESOURCE_EXHAUSTED, StoreUnavailable, "quota"),
            (Status.UNAUTHENTICATED, StoreDenied, "gcloud auth application-default login"),
            (Status.PERMISSION_DENIED, StoreDenied, "roles/datastore.user"),
            (Status.NOT_FOUND, StoreUnavailable, "gcloud firestore databases create --database='(default)'"),
            (Status.INVALID_ARGUMENT, StoreRejected, ""),
        ],
    )
    @pytest.mark.parametrize("call", ["commit", "get", "query", "delete_expired"])
    def test_what_google_refuses_is_told_with_what_to_do_about_it(
        self, store: FirestoreLiveStore, relay: GrpcRelay, call: str, status: Any, expected: type[StoreError], hint: str
    ) -> None:
        calls = {
            "commit": lambda: store.commit([document("a")]),
            "get": lambda: store.get(LIVE, "a"),
            "query": lambda: store.query(LIVE, now=NOW),
            "delete_expired": lambda: store.delete_expired(now=NOW),
        }
        relay.fail_next(status)
        with pytest.raises(expected) as caught:
            calls[call]()
        assert type(caught.value) is expected
        assert hint in caught.value.hint
        assert "\n" not in str(caught.value)
        calls[call]()

    def test_a_missing_index_is_told_with_the_file_that_has_it(
        self, store: FirestoreLiveStore, relay: GrpcRelay
    ) -> None:
        message = "The query requires an index. You can create it here: https://console.firebase.google.com/..."
        relay.fail_next(Status.FAILED_PRECONDITION, of="RunQuery", message=message)
        with pytest.raises(StoreUnavailable, match="requires an index") as caught:
            store.query(LIVE, now=NOW, where={"bot": "x"}, order_by="n")
        assert "firestore.indexes.json" in caught.value.hint

    def test_a_watch_on_what_may_not_be_read_says_so_at_once(self, store: FirestoreLiveStore, relay: GrpcRelay) -> None:
        relay.fail_next(Status.PERMISSION_DENIED, times=3, of="Firestore/Listen")
        watch = store.watch([LIVE])
        with pytest.raises(StoreUnavailable) as caught:
            watch.next(timeout=0)
        assert "roles/datastore.user" in caught.value.hint
        watch.close()


class TestRamp:
    def test_commits_keep_the_pace_of_a_new_database(self, relay: GrpcRelay, request: pytest.FixtureRequest) -> None:
        clock = ManualClock(NOW)
        store = open_firestore(request, ramp=WriteRamp(clock))
        store.commit([document(f"k{n}") for n in range(1500)])
        assert clock.monotonic() == pytest.approx(2)
        store.close()


class TestUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "firestore://demo-p",
            "firestore://demo-p/",
            "firestore://demo-p/(default)",
            "firestore://demo-p/live-1",
            "firestore://demo-p?ramp",
            "firestore://demo-p/live-1?ramp",
        ],
    )
    def test_a_url_opens_the_store(self, tmp_path: Path, url: str, firestore_emulator: Emulator) -> None:
        live = open_live(Settings(home=tmp_path, stores=Stores(live=url)))
        assert isinstance(live, FirestoreLiveStore)
        assert live.commit([document(url, 1)]) in (0, 1)
        live.close()

    @pytest.mark.parametrize(
        "url", ["firestore:", "firestore://", "firestore:///x", "firestore://P", "firestore://demo-p/X"]
    )
    def test_a_url_without_a_project_or_with_a_wrong_name_is_refused(self, tmp_path: Path, url: str) -> None:
        with pytest.raises(ConfigError) as caught:
            check_urls(Settings(home=tmp_path, stores=Stores(live=url)))
        assert "firestore://project/database" in caught.value.hint

    def test_production_never_talks_to_an_emulator(self, tmp_path: Path, firestore_emulator: Emulator) -> None:
        settings = Settings(home=tmp_path, environment="prod", stores=Stores(live="firestore://demo-p"))
        with pytest.raises(ConfigError, match="FIRESTORE_EMULATOR_HOST"):
            open_live(settings)

    def test_missing_credentials_are_told_when_the_store_is_opened(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("FIRESTORE_EMULATOR_HOST")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
        with pytest.raises(ConfigError) as caught:
            FirestoreLiveStore("demo-p")
        assert "gcloud auth application-default login" in caught.value.hint
