"""Each Google Cloud store over a wire that is cut, that falls silent, that is slow: no endless wait, nothing twice."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from runner.errors import ObjectExists, StoreUnavailable
from runner.stores.base import Document, Message, Part
from runner.stores.bigquery_jobs import Deadlines
from runner.stores.columns import Column, ColumnType
from runner.stores.firestore import FirestoreLiveStore
from runner.stores.gcs import GcsArchive
from runner.stores.pubsub import PubsubStream
from tests.emulators.fixtures import VARIABLES
from tests.emulators.relay import Relay
from tests.stores.bigquery_parts import ArchivedParts, open_bigquery
from tests.stores.emulated import open_firestore, open_gcs, open_pubsub, pull

NOW = datetime(2024, 6, 3, 14, 30, tzinfo=UTC)
RUN = "018fb0a0-0000-7000-8000-0000deadbeef"
SECONDS = 3.0


class Writing(ABC):
    """One store over the wire: writes things that have a number, and says the numbers of those that are there."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.request = request
        self.store = self.open()

    @abstractmethod
    def open(self) -> FirestoreLiveStore | GcsArchive | PubsubStream | ArchivedParts: ...

    @abstractmethod
    def write(self, number: int) -> None: ...

    @abstractmethod
    def numbers(self) -> list[int]: ...


class Live(Writing):
    store: FirestoreLiveStore

    def open(self) -> FirestoreLiveStore:
        return open_firestore(self.request, timeout=SECONDS)

    def write(self, number: int) -> None:
        expiry = NOW + timedelta(hours=1)
        self.store.commit([Document("live_trades", f"{number}", {"n": number}, 1, number, f"r:{number}", expiry)])

    def numbers(self) -> list[int]:
        return [one.seq for one in self.store.query("live_trades", now=NOW)]


class Archived(Writing):
    store: GcsArchive

    def open(self) -> GcsArchive:
        return open_gcs(self.request, "trade-logs", timeout=SECONDS)

    def write(self, number: int) -> None:
        """What exists already is what an earlier try left."""
        with suppress(ObjectExists):
            self.store.create("trade-logs", f"{number}", b"x" * 40_000, metadata={}, content_type="application/gzip")

    def numbers(self) -> list[int]:
        return [int(info.name) for info in self.store.list("trade-logs")]


class Streamed(Writing):
    store: PubsubStream

    def open(self) -> PubsubStream:
        return open_pubsub(self.request, "listener", timeout=SECONDS)

    def write(self, number: int) -> None:
        self.store.publish([Message("breakout:trades", f"{number}".encode())])

    def numbers(self) -> list[int]:
        """A message may come twice, as its listeners know."""
        return sorted({int(message.body) for message in pull(self.store, "listener", 2)})


class Loaded(Writing):
    store: ArchivedParts

    def open(self) -> ArchivedParts:
        columns = {"trades": (Column("price", ColumnType.DECIMAL),)}
        return open_bigquery(self.request, columns, deadlines=Deadlines(SECONDS, SECONDS, SECONDS))

    def write(self, number: int) -> None:
        body = {"id": f"{RUN}:trades:{number:012d}", "seq": number, "ts": NOW.isoformat(timespec="microseconds")}
        line = json.dumps(body | {"kind": "fill", "bot": "a", "run": RUN, "data": {}}).encode() + b"\n"
        name = f"logs/2024/06/03/a/trades_143000_deadbeef-{number:012d}_v1.json.gz"
        self.store.load([Part("trade-logs", name, "trades", {}, line)])

    def numbers(self) -> list[int]:
        return [row[0] for row in self.store.query("SELECT seq FROM trades ORDER BY seq").rows]


STORES: dict[str, Callable[[pytest.FixtureRequest], Writing]] = {
    "firestore": Live,
    "gcs": Archived,
    "pubsub": Streamed,
    "bigquery": Loaded,
}


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wire(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The way to one of the emulators; the others are reached directly."""
    emulators = {one: request.getfixturevalue(f"{one}_emulator") for one in STORES}
    with Relay(emulators[kind].host) as wire:
        monkeypatch.setenv(VARIABLES[kind], wire.url if kind in ("gcs", "bigquery") else wire.host)
        yield wire


@pytest.fixture
def writing(kind: str, wire: Relay, request: pytest.FixtureRequest) -> Iterator[Writing]:
    writing = STORES[kind](request)
    yield writing
    wire.heal()
    writing.store.close()


def patiently(write: Callable[[int], None], number: int) -> None:
    """As followers do: the same again, until it works."""
    for _ in range(100):
        try:
            return write(number)
        except StoreUnavailable:
            time.sleep(0.1)
    pytest.fail("the store does not recover")


@pytest.mark.parametrize("trouble", ["cut", "suspend"])
def test_a_wire_that_fails_is_unavailable_and_heals_without_a_trace(
    writing: Writing, wire: Relay, trouble: str
) -> None:
    writing.write(1)
    getattr(wire, trouble)()
    with pytest.raises(StoreUnavailable):
        writing.write(2)
    wire.heal()
    patiently(writing.write, 2)
    assert writing.numbers() == [1, 2]


def test_a_wire_that_is_slow_is_waited_for(writing: Writing, wire: Relay) -> None:
    writing.write(1)
    wire.slow(0.05)
    writing.write(2)
    assert writing.numbers() == [1, 2]
