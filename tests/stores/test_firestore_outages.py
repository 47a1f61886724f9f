"""Firestore that stops, dies or forgets: nothing hangs, and the archive brings the live state back."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from runner.clock import ManualClock, SystemClock
from runner.errors import StoreUnavailable
from runner.layout import Home
from runner.logging.log_types import Kind
from runner.logging.shipper import Reports
from runner.operations.restore import restore_live
from runner.settings import Settings, Shipping, Stores
from runner.stores.base import Document, Watch
from runner.stores.directory import DirectoryArchive
from runner.stores.firestore import FirestoreLiveStore
from runner.wiring import build_shipper
from tests.emulators.emulator import Emulator
from tests.emulators.fixtures import StartEmulator
from tests.emulators.grpc_relay import GrpcRelay
from tests.logging.journeys import START, Fleet, PlainWriter, RecordingStream, documents_of, folded, ship_all

NOW = datetime(2024, 6, 3, 14, 30, tzinfo=UTC)
COMMIT = "Firestore/Commit"
Status = grpc.StatusCode


@pytest.fixture
def emulator(own_emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """One that the test may stop and kill."""
    emulator = own_emulator("firestore")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator.host)
    return emulator


@pytest.fixture
def writers(home: Home) -> list[PlainWriter]:
    """Two bots, one of them started twice; the older journal is found only after the newer was shipped."""
    clock = ManualClock(START)
    writers = [PlainWriter(home, clock, bot, epoch) for bot, epoch in (("vwap", 3), ("breakout", 2), ("breakout", 1))]
    for writer in writers:
        for number in range(60):
            writer.trade(number)
            writer.write(Kind.HEARTBEAT, {"status": "running", "number": number})
        writer.close()
    return writers


def document(key: str, seq: int) -> Document:
    return Document("live_trades", key, {"n": seq}, 1, seq, f"r:trades:{seq:012d}", NOW + timedelta(hours=1))


def test_a_firestore_that_stops_answering_hangs_nobody_and_misses_nothing(
    emulator: Emulator, demo_project: str
) -> None:
    store = FirestoreLiveStore(demo_project, timeout=1)
    commit_until_it_works(store, [document("a", 1)])
    emulator.suspend()
    began = time.monotonic()
    for call in (
        lambda: store.commit([document("a", 2)]),
        lambda: store.get("live_trades", "a"),
        lambda: store.query("live_trades", now=NOW),
        lambda: store.delete_expired(now=NOW),
    ):
        with pytest.raises(StoreUnavailable):
            call()
    assert time.monotonic() - began < 30
    time.sleep(1)
    emulator.resume()
    commit_until_it_works(store, [document("a", 3), document("b", 3)])
    assert [(one.key, one.seq) for one in store.query("live_trades", now=NOW)] == [("a", 3), ("b", 3)]
    store.close()


def commit_until_it_works(store: FirestoreLiveStore, documents: list[Document]) -> None:
    for _ in range(100):
        try:
            store.commit(documents)
            return
        except StoreUnavailable:
            time.sleep(0.1)
    pytest.fail("the store does not recover")


def test_a_firestore_that_is_down_refuses_at_once(emulator: Emulator, demo_project: str) -> None:
    emulator.kill()
    store = FirestoreLiveStore(demo_project, timeout=60)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.commit([document("a", 1)])
    assert time.monotonic() - began < 20
    store.close()


def test_a_firestore_that_lost_everything_is_restored_from_the_archive(
    home: Home,
    writers: list[PlainWriter],
    emulator: Emulator,
    own_emulator: StartEmulator,
    demo_project: str,
    tmp_path: Path,
) -> None:
    archive = DirectoryArchive(tmp_path / "archive")
    running = FirestoreLiveStore(demo_project, clock=ManualClock(START), timeout=5)
    watch = running.watch(["live_trades"])
    ship_all(Fleet(home, ManualClock(START), running, archive, RecordingStream()).build())
    assert documents_of(running) == folded(writers)
    assert watch.next(timeout=5)

    emulator.kill()
    own_emulator("firestore", host=emulator.host)
    fresh = FirestoreLiveStore(demo_project)
    assert documents_of(fresh) == {}

    restore_live(archive, fresh)

    assert documents_of(fresh) == folded(writers)
    told = {one.key for one in seen_by(watch, 180)}
    assert told == {key for collection, key in folded(writers) if collection == "live_trades"}
    latest = document("new", 1)
    commit_until_it_works(running, [latest])
    assert fresh.get("live_trades", "new") == latest
    running.close()
    fresh.close()


def seen_by(watch: Watch, count: int) -> list[Document]:
    found: list[Document] = []
    deadline = time.monotonic() + 30
    while len(found) < count and time.monotonic() < deadline:
        try:
            found += watch.next(timeout=0.2)
        except StoreUnavailable:
            continue
    return found


def test_what_fails_in_every_way_leaves_the_same_documents(
    home: Home,
    writers: list[PlainWriter],
    firestore_emulator: Emulator,
    demo_project: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with GrpcRelay(firestore_emulator.host) as relay:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", relay.host)
        for status in (Status.UNAVAILABLE, Status.ABORTED, Status.RESOURCE_EXHAUSTED, Status.UNAUTHENTICATED):
            relay.fail_next(status, of=COMMIT, done=True)
            relay.fail_next(status, of=COMMIT)
        relay.fail_next(Status.FAILED_PRECONDITION, of=COMMIT)
        stores = Stores(live=f"firestore://{demo_project}", stream="memory:")
        settings = Settings(home=home.path, stores=stores, shipping=Shipping(shipper="none"))
        assert build_shipper(settings, SystemClock(), threading.Event(), Reports()).run(follow=False)
        store = FirestoreLiveStore(demo_project)
        found = documents_of(store)
        assert {place: one for place, one in found.items() if one.fields["bot"] != "shipper"} == folded(writers)
        store.close()
