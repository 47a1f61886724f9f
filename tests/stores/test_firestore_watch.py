"""Watching Firestore: streams that break, fall silent or begin anew tell each change once, and never that all ended."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from runner.clock import ManualClock
from runner.errors import StoreUnavailable
from runner.stores.base import Document, Watch
from runner.stores.firestore import FirestoreLiveStore
from runner.stores.firestore_watch import PATIENCE
from tests.emulators.emulator import Emulator
from tests.emulators.grpc_relay import GrpcRelay
from tests.emulators.relay import Relay
from tests.stores.emulated import open_firestore

NOW = datetime(2024, 6, 3, 14, 30, tzinfo=UTC)
TRADES, STATUS = "live_trades", "live_system_status"
LISTEN = "Firestore/Listen"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def wire(firestore_emulator: Emulator) -> Iterator[Relay]:
    with Relay(firestore_emulator.host) as relay:
        yield relay


@pytest.fixture
def calls(firestore_emulator: Emulator) -> Iterator[GrpcRelay]:
    with GrpcRelay(firestore_emulator.host) as relay:
        yield relay


@pytest.fixture
def bot(request: pytest.FixtureRequest) -> Iterator[FirestoreLiveStore]:
    """The store of a process that writes, straight to the emulator."""
    bot = open_firestore(request)
    yield bot
    bot.close()


@pytest.fixture
def open_at(
    bot: FirestoreLiveStore, clock: ManualClock, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], FirestoreLiveStore]]:
    """Opens stores of the same database through a relay."""
    opened: list[FirestoreLiveStore] = []

    def open_one(host: str) -> FirestoreLiveStore:
        request.getfixturevalue("firestore_emulator")
        with monkeypatch.context() as patch:
            patch.setenv("FIRESTORE_EMULATOR_HOST", host)
            opened.append(FirestoreLiveStore(request.getfixturevalue("demo_project"), clock=clock, timeout=5))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def document(key: str, seq: int = 0, *, collection: str = TRADES) -> Document:
    return Document(collection, key, {"n": seq}, 1, seq, f"r:trades:{seq:012d}", NOW + timedelta(days=7))


def changes(watch: Watch, count: int, seconds: float = 20.0) -> list[tuple[str, int]]:
    """Keys and seqs of the next changes, until there are `count`; trouble on the way is waited out."""
    found: list[tuple[str, int]] = []
    deadline = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        try:
            found += [(one.key, one.seq) for one in watch.next(timeout=0.2)]
        except StoreUnavailable:
            continue
    return found


def test_a_stream_that_breaks_is_opened_again_and_tells_what_changed_meanwhile(
    bot: FirestoreLiveStore, open_at: Callable[[str], FirestoreLiveStore], wire: Relay
) -> None:
    bot.commit([document("a", 1), document("b", 1)])
    watch = open_at(wire.host).watch([TRADES])
    assert len(watch.next(timeout=0)) == 2
    wire.cut()
    bot.commit([document("b", 2), document("c", 1)])
    wire.heal()
    assert changes(watch, 2) == [("b", 2), ("c", 1)]
    assert watch.next(timeout=0.3) == []


def test_an_emulator_or_database_that_comes_back_empty_is_not_the_end_of_everything(
    bot: FirestoreLiveStore, open_at: Callable[[str], FirestoreLiveStore], calls: GrpcRelay
) -> None:
    bot.commit([document("a", 1), document("b", 1)])
    watch = open_at(calls.host).watch([TRADES])
    assert len(watch.next(timeout=0)) == 2
    bot.delete_expired(now=NOW + timedelta(days=30))
    assert watch.next(timeout=0.5) == []
    bot.commit([document("a", 2)])
    assert changes(watch, 1) == [("a", 2)]


def test_a_silent_stream_is_opened_anew_when_no_bot_was_heard_for_ninety_seconds(
    bot: FirestoreLiveStore, open_at: Callable[[str], FirestoreLiveStore], wire: Relay, clock: ManualClock
) -> None:
    bot.commit([document("bot", 1, collection=STATUS)])
    watch = open_at(wire.host).watch([TRADES, STATUS])
    assert len(watch.next(timeout=0)) == 1
    wire.suspend()
    bot.commit([document("bot", 2, collection=STATUS), document("a", 1)])
    assert watch.next(timeout=0.5) == []
    wire.cut()
    wire.heal()
    clock.advance(PATIENCE + 1)
    assert sorted(changes(watch, 2)) == [("a", 1), ("bot", 2)]


def test_where_nothing_goes_on_the_patience_doubles_until_a_bot_is_heard(
    bot: FirestoreLiveStore, open_at: Callable[[str], FirestoreLiveStore], calls: GrpcRelay, clock: ManualClock
) -> None:
    bot.commit([document("bot", 1, collection=STATUS)])
    watch = open_at(calls.host).watch([TRADES, STATUS])
    watch.next(timeout=0)
    trades = itertools.count(1)

    def streams_after(seconds: float) -> int:
        """How many streams are opened because so much time has passed; trades go on, but no bot says that it runs."""
        before = listens(calls)
        clock.advance(seconds)
        watch.next(timeout=0)
        bot.commit([document("a", next(trades))])
        assert len(changes(watch, 1)) == 1
        return listens(calls) - before

    assert [streams_after(PATIENCE + 1) for _ in range(4)] == [1, 0, 1, 0]
    bot.commit([document("bot", 2, collection=STATUS)])
    assert changes(watch, 1) == [("bot", 2)]
    assert [streams_after(PATIENCE + 1) for _ in range(2)] == [1, 0]


def listens(calls: GrpcRelay) -> int:
    return sum(LISTEN in name for name in calls.seen)


def test_a_stream_that_cannot_be_opened_is_trouble_until_it_can(
    bot: FirestoreLiveStore, open_at: Callable[[str], FirestoreLiveStore], calls: GrpcRelay
) -> None:
    calls.fail_next(grpc.StatusCode.PERMISSION_DENIED, of=LISTEN)
    watch = open_at(calls.host).watch([TRADES])
    with pytest.raises(StoreUnavailable) as caught:
        watch.next(timeout=0)
    assert "roles/datastore.user" in caught.value.hint
    assert changes(watch, 0) == []
    bot.commit([document("a", 1)])
    assert changes(watch, 1) == [("a", 1)]


def test_a_watch_that_never_gets_an_answer_says_so(
    bot: FirestoreLiveStore,
    open_at: Callable[[str], FirestoreLiveStore],
    wire: Relay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runner.stores.firestore_watch._SECONDS_TO_ANSWER", 0.5)
    wire.suspend()
    watch = open_at(wire.host).watch([TRADES])
    with pytest.raises(StoreUnavailable, match="does not answer"):
        watch.next(timeout=0)
    watch.close()


def test_documents_of_one_commit_are_told_together(
    bot: FirestoreLiveStore, open_at: Callable[[str], FirestoreLiveStore], calls: GrpcRelay
) -> None:
    watch = open_at(calls.host).watch([TRADES])
    watch.next(timeout=0)
    bot.commit([document(f"k{n:03d}", 1) for n in range(300)])
    assert len(watch.next(timeout=20)) == 300


def test_a_change_that_has_expired_is_not_told(
    bot: FirestoreLiveStore, open_at: Callable[[str], FirestoreLiveStore], calls: GrpcRelay
) -> None:
    watch = open_at(calls.host).watch([TRADES])
    watch.next(timeout=0)
    bot.commit([replace(document("old", 1), expire_at=NOW), document("new", 1)])
    assert changes(watch, 1) == [("new", 1)]


def test_closing_the_store_closes_its_watches(
    bot: FirestoreLiveStore, open_at: Callable[[str], FirestoreLiveStore], calls: GrpcRelay
) -> None:
    store = open_at(calls.host)
    watch = store.watch([TRADES])
    watch.next(timeout=0)
    store.close()
    assert watch.next(timeout=5) == []
