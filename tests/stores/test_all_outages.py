"""All four emulators stand still for half a minute while a bot goes on: afterwards every store has everything once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from runner.errors import RunnerError
from runner.logging.objects import index, raw_lines
from runner.logging.routes import STREAMS
from runner.operations.exports import export
from runner.operations.restore import restore_live
from runner.operations.schemas import columns
from runner.operations.tables import shapes
from runner.stores.bigquery import BigqueryWarehouse
from runner.stores.envelope import read_envelope
from runner.stores.firestore import FirestoreLiveStore
from runner.stores.gcs import GcsArchive
from runner.stores.listening import Listener
from runner.stores.memory import MemoryLiveStore
from runner.stores.pubsub import PubsubSubscription
from runner.stores.seen import Seen
from tests.cli.terminal import Tron, end, until
from tests.emulators.__main__ import DATASET, prepare
from tests.emulators.__main__ import stores as store_urls
from tests.emulators.emulator import Emulator
from tests.emulators.fixtures import VARIABLES, StartEmulator
from tests.logging.journeys import documents_of
from tests.stores.emulated import subscribe_for_ever

SECONDS = 30.0
FEW, MANY = 4_000, 200_000
"""Records of the bot whose stream is Pub/Sub, whose emulator slows down with the square of what waits, and without."""
WARNING_EVERY = 500
GROWTH = 64 << 20
"""How many bytes the shipper may grow by while nothing can be shipped."""

BOT = """
import sys, time
from runner.logging import create_trading_logger

count, rate = int(sys.argv[1]), float(sys.argv[2])
with create_trading_logger("s", "stock-trader", bot="breakout") as logger:
    began = time.monotonic()
    for number in range(count):
        if number % 500 == 0:
            logger.log_warning(f"warning {number}")
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
        else:
            logger.log_performance_metric(f"m{number % 7}", number)
    sys.stdout.write(logger.run)
"""
SETTINGS = "archive_bytes = 65536\narchive_seconds = 2\narchive_prompt_seconds = 2\ncompliance_seconds = 5\n"
SETTINGS += f"published = {list(STREAMS)}\n"


@dataclass(frozen=True, slots=True)
class Cloud:
    """Four emulators that belong to one test, and a project in them."""

    project: str
    emulators: tuple[Emulator, ...]

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        for emulator in self.emulators:
            emulator.suspend()
        try:
            yield
        finally:
            for emulator in self.emulators:
                emulator.resume()

    def warehouse(self) -> BigqueryWarehouse:
        return BigqueryWarehouse(self.project, DATASET, columns(), archive=self.project, shapes=shapes())


@pytest.fixture
def cloud(own_emulator: StartEmulator, demo_project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    objects = {"objects": tmp_path / "objects"}
    options: dict[str, dict[str, Path]] = {"firestore": {}, "pubsub": {}, "gcs": objects, "bigquery": objects}
    with ThreadPoolExecutor(len(options)) as pool:
        started = dict(zip(options, pool.map(lambda kind: own_emulator(kind, **options[kind]), options), strict=True))
    for kind, emulator in started.items():
        monkeypatch.setenv(VARIABLES[kind], emulator.url if kind in ("gcs", "bigquery") else emulator.host)
    for name, url in store_urls(demo_project).items():
        monkeypatch.setenv(name, url)
    prepare(demo_project)
    return Cloud(demo_project, tuple(started.values()))


class Beside:
    """Does something again and again beside the bot, and counts how often it failed, until it is left."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.failures = 0
        self._work = work
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.02):
            try:
                self._work()
            except RunnerError:
                self.failures += 1


class Hearing:
    """Listens to the stream, and remembers the ids that it was given, in order."""

    def __init__(self, project: str) -> None:
        self.ids: list[str] = []
        subscribe_for_ever(project, "hearing")
        self._subscription = PubsubSubscription(project, "hearing")
        self._listener = Listener(self._subscription, Seen())

    def listen(self) -> int:
        return self._listener.step(lambda envelope, body: self.ids.append(envelope.id), timeout=15)

    def close(self) -> None:
        self._subscription.close()


def growth_of(pid: int, during: Callable[[], None]) -> int:
    """By how many bytes a process grew at most while something went on."""
    process, done = psutil.Process(pid), threading.Event()
    before = largest = process.memory_info().rss

    def look() -> None:
        nonlocal largest
        while not done.wait(0.2):
            largest = max(largest, process.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    during()
    done.set()
    looking.join()
    return largest - before


def archived_ids(archive: GcsArchive) -> list[str]:
    """Ids of all records in the archive, compliance copies left out, in order."""
    batches = [batch for streams in index(archive).values() for found in streams.values() for batch in found]
    found = [line for batch in batches for line in raw_lines(archive, batch).splitlines()]
    return sorted(read_envelope(line).id for line in found)


class Fleet:
    """A bot at a home of its own, with the shipper that it started; nothing is left of them in the end."""

    def __init__(self, folder: Path, records: int, **environ: str) -> None:
        folder.mkdir()
        self.tron = Tron(folder)
        self.tron.write_settings(SETTINGS)
        self._records = records
        self._environ = environ
        command = [sys.executable, "-c", BOT, str(records), str(records / (SECONDS + 5))]
        environment = self.tron.environ(environ)
        self._bot = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)

    def shipper(self) -> int:
        until(lambda: len(self.tron.shippers()) == 1)
        return self.tron.shippers()[0]

    def finish(self) -> str:
        """Wait until all is written and shipped; returns the bot's run."""
        run = end(self._bot)
        patiently(lambda: not self.tron.shippers())
        return run

    def verify(self) -> str:
        return self.tron.succeeds("verify", **self._environ)

    def wrote(self, run: str) -> list[str]:
        """The ids that the bot was given, but for seals."""
        warnings = self._records // WARNING_EVERY
        metrics = [f"{run}:metrics:{number:012d}" for number in range(self._records - warnings)]
        return [f"{run}:errors:{number:012d}" for number in range(warnings)] + metrics


def patiently(condition: Callable[[], bool]) -> None:
    """Wait until it holds, also on a machine that has much else to do."""
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_half_a_minute_in_which_no_store_answers_misses_and_doubles_nothing(cloud: Cloud, tmp_path: Path) -> None:
    archive, warehouse, live = GcsArchive(cloud.project), cloud.warehouse(), FirestoreLiveStore(cloud.project)
    hearing = Hearing(cloud.project)
    with Beside(lambda: export(archive, warehouse)) as loading, Beside(hearing.listen):
        small, large = Fleet(tmp_path / "small", FEW), Fleet(tmp_path / "large", MANY, TRON_STREAM="memory:")
        until(lambda: len(index(archive)) == 2)
        with cloud.standing_still():
            grown = growth_of(large.shipper(), lambda: time.sleep(SECONDS))
        runs = small.finish(), large.finish()
        ids = archived_ids(archive)
        published = [one for one in ids if (small.tron.home.journal / one.partition(":")[0]).exists()]
        patiently(lambda: len(hearing.ids) >= len(published))
    hearing.listen()

    sys.stdout.write(f"the shipper grew by {grown / (1 << 20):.1f} MiB while {MANY:,} records came\n")
    assert grown < GROWTH
    assert loading.failures > 0
    assert len(ids) == len(set(ids))
    for fleet, run in zip((small, large), runs, strict=True):
        assert [one for one in ids if one.startswith(run) and ":seals:" not in one] == fleet.wrote(run)
        assert fleet.verify().startswith("verify: complete")
    assert sorted(hearing.ids) == published
    export(archive, warehouse)
    assert warehouse.query("SELECT count(*), count(DISTINCT id) FROM records").rows == ((len(ids), len(ids)),)
    restore_live(archive, expected := MemoryLiveStore())
    assert documents_of(live) == documents_of(expected)
    for store in (archive, live, warehouse, hearing):
        store.close()
