"""The shipper's followers over Google Cloud stores that fail in every way: nothing is missed, nothing is doubled."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc
import pytest

from runner.clock import SystemClock
from runner.errors import StoreUnavailable
from runner.layout import Home
from runner.logging import create_trading_logger, lines
from runner.logging.objects import index, raw_lines
from runner.logging.reader import Tail
from runner.logging.routes import STREAMS
from runner.logging.shipper import Reports
from runner.operations.exports import export
from runner.operations.schemas import columns
from runner.operations.tables import shapes
from runner.settings import KIB, Settings, Shipping, Stores
from runner.stores.bigquery import BigqueryWarehouse
from runner.stores.envelope import Envelope, read_envelope
from runner.stores.gcs import GcsArchive
from runner.stores.listening import Listener
from runner.stores.pubsub import PubsubStream, PubsubSubscription
from runner.stores.seen import Seen
from runner.wiring import build_shipper
from tests.emulators.emulator import Emulator
from tests.emulators.fixtures import StartEmulator
from tests.emulators.grpc_relay import GrpcRelay
from tests.emulators.http_relay import HttpRelay
from tests.stores.bigquery_parts import make_dataset
from tests.stores.emulated import open_gcs, open_pubsub

BUCKETS = ("trade-logs", "system-logs", "analytics-data", "cognitive-archives", "compliance-logs")
STATUSES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED)
RECORDS = 300


@pytest.fixture
def http_relay(gcs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpRelay]:
    with HttpRelay(gcs_emulator.host) as relay:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", relay.url)
        yield relay


@pytest.fixture
def grpc_relay(pubsub_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[GrpcRelay]:
    with GrpcRelay(pubsub_emulator.host) as relay:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", relay.host)
        yield relay


@pytest.fixture
def archive(http_relay: HttpRelay, request: pytest.FixtureRequest) -> Iterator[GcsArchive]:
    archive = open_gcs(request, *BUCKETS)
    yield archive
    archive.close()


@pytest.fixture
def stream(grpc_relay: GrpcRelay, request: pytest.FixtureRequest) -> Iterator[PubsubStream]:
    stream = open_pubsub(request, "listener")
    yield stream
    stream.close()


def write_journal(settings: Settings) -> list[Envelope]:
    """Records of several streams, as the journal has them."""
    with create_trading_logger("s", "stock-trader", bot="breakout", settings=settings) as logger:
        for number in range(RECORDS):
            logger.log_system_event(f"event {number}", {"n": number})
            logger.log_performance_metric("equity", number)
            logger.log_warning("late")
    tail = Tail(Home(settings.home), from_start=True)
    found: list[bytes] = []
    while more := tail.next(0):
        found += more
    tail.close()
    return [read_envelope(line[:-1]) for line in found]


def archived(archive: GcsArchive) -> list[str]:
    """Ids of all records in the archive by stream and offset, copies for compliance left out."""
    batches = [batch for streams in index(archive).values() for found in streams.values() for batch in found]
    found = [line for batch in batches for line in lines.split(raw_lines(archive, batch))]
    return sorted(read_envelope(line[:-1]).id for line in found)


def heard(stream: PubsubStream, run: str, count: int) -> list[str]:
    """Ids of the records of a run that a listener handles, until there are `count` and no more come."""
    ids: list[str] = []

    def handle(envelope: Envelope, body: bytes) -> None:
        if envelope.run == run:
            ids.append(envelope.id)

    subscription = PubsubSubscription(stream.project, "listener")
    listener = Listener(subscription, Seen())
    while len(ids) < count:
        listener.step(handle, timeout=15)
    listener.step(handle, timeout=1)
    subscription.close()
    return ids


def test_what_fails_in_every_way_misses_and_doubles_nothing(
    home: Home, archive: GcsArchive, stream: PubsubStream, http_relay: HttpRelay, grpc_relay: GrpcRelay
) -> None:
    stores = Stores(archive=f"gs://{archive.prefix}", stream=f"pubsub://{stream.project}", live="memory:")
    shipping = Shipping(shipper="none", archive_bytes=1024, published=tuple(STREAMS))
    settings = Settings(home=home.path, stores=stores, shipping=shipping)
    written = write_journal(settings)
    run = written[0].run
    for bucket, status in zip(BUCKETS, (401, 403, 429, 503, 500), strict=True):
        http_relay.fail_next(status, of=f"{bucket}/o?uploadType")
        http_relay.fail_next(status, of=f"{bucket}/o?uploadType", done=True)
    for status in STATUSES:
        grpc_relay.fail_next(status, of="Publisher/Publish", done=True)
        grpc_relay.fail_next(status, of="Publisher/Publish")

    assert build_shipper(settings, SystemClock(), threading.Event(), Reports()).run(follow=False)

    ids = [envelope.id for envelope in written]
    assert [found for found in archived(archive) if found.startswith(run)] == sorted(ids)
    assert sorted(heard(stream, run, len(ids))) == sorted(ids)


def test_a_suspended_archive_holds_up_shipping_and_nothing_else(
    home: Home, own_emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = own_emulator("gcs")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    archive = GcsArchive("demo-suspended")
    archive.ensure(BUCKETS)
    stores = Stores(archive="gs://demo-suspended", live="memory:")
    settings = Settings(home=home.path, stores=stores, shipping=Shipping(shipper="none"))
    emulator.suspend()
    written = write_journal(settings)
    awakening = threading.Timer(2.0, emulator.resume)
    awakening.start()

    assert build_shipper(settings, SystemClock(), threading.Event(), Reports()).run(follow=False)

    awakening.join()
    assert [found for found in archived(archive) if found.startswith(written[0].run)] == sorted(
        envelope.id for envelope in written
    )
    archive.close()


def test_an_export_that_fails_in_every_way_loads_everything_once(
    home: Home,
    archive: GcsArchive,
    bigquery_emulator: Emulator,
    demo_project: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_dataset(demo_project, "tron")
    settings = Settings(
        home=home.path,
        stores=Stores(archive=f"gs://{archive.prefix}", live="memory:"),
        shipping=Shipping(shipper="none", archive_bytes=64 * KIB),
    )
    written = write_journal(settings)
    build_shipper(settings, SystemClock(), threading.Event(), Reports()).run(follow=False)
    with HttpRelay(bigquery_emulator.host) as relay:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", relay.url)
        warehouse = BigqueryWarehouse(demo_project, "tron", columns(), archive=archive.prefix, shapes=shapes())
        for status in (401, 403, 429, 500, 503):
            relay.fail_next(status, of="POST", done=True)
            relay.fail_next(status, of="POST")
            relay.fail_next(status, of="GET")
        failures = 0
        while not is_exported(archive, warehouse):
            failures += 1
        assert failures > 0
        (counted,) = warehouse.query("SELECT count(*), count(DISTINCT id) FROM records WHERE bot = 'breakout'").rows
        assert counted == (len(written), len(written))
        warehouse.close()


def is_exported(archive: GcsArchive, warehouse: BigqueryWarehouse) -> bool:
    try:
        export(archive, warehouse)
    except StoreUnavailable:
        return False
    return True
