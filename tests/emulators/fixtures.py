"""The emulators as fixtures, and the guard that keeps every test away from the real Google Cloud.

`firestore_emulator`, `pubsub_emulator`, `gcs_emulator` and `bigquery_emulator` are shared by the whole session: isolate
a test by a random project (`demo_project`) and by random buckets. `own_emulator` starts one that a test may kill.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.emulators import real_cloud
from tests.emulators.emulator import Emulator, EmulatorMissing, start
from tests.emulators.programs import PROGRAMS
from tests.emulators.shared import SharedEmulators

VARIABLES = {
    "firestore": "FIRESTORE_EMULATOR_HOST",
    "pubsub": "PUBSUB_EMULATOR_HOST",
    "gcs": "STORAGE_EMULATOR_HOST",
    "bigquery": "BIGQUERY_EMULATOR_HOST",
}
_NOBODY = "127.0.0.1:9"
_SHARED = pytest.StashKey[SharedEmulators]()

StartEmulator = Callable[..., Emulator]


def pytest_configure(config: pytest.Config) -> None:
    """The process that was started by hand owns the emulators; until one runs, its clients find nobody."""
    passed = getattr(config, "workerinput", {}).get("emulators")
    folder, owner = passed or (tempfile.mkdtemp(prefix="tron-emulators-"), os.getpid())
    config.stash[_SHARED] = SharedEmulators(Path(folder), owner)
    if real_cloud.is_asked(config):
        real_cloud.check(config, os.environ)
        return
    os.environ.update({variable: _address(kind, _NOBODY) for kind, variable in VARIABLES.items()})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    real_cloud.mark(items)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    shared = node.config.stash[_SHARED]
    node.workerinput["emulators"] = (str(shared.folder), shared.owner)


def pytest_unconfigure(config: pytest.Config) -> None:
    shared = config.stash.get(_SHARED, None)
    if shared is not None and shared.owner == os.getpid():
        shared.stop()


@pytest.fixture(scope="session")
def firestore_emulator(pytestconfig: pytest.Config) -> Emulator:
    return _shared(pytestconfig, "firestore")


@pytest.fixture(scope="session")
def pubsub_emulator(pytestconfig: pytest.Config) -> Emulator:
    return _shared(pytestconfig, "pubsub")


@pytest.fixture(scope="session")
def gcs_emulator(pytestconfig: pytest.Config) -> Emulator:
    return _shared(pytestconfig, "gcs")


@pytest.fixture(scope="session")
def bigquery_emulator(pytestconfig: pytest.Config) -> Emulator:
    """It loads from the objects of `gcs_emulator`."""
    return _shared(pytestconfig, "bigquery")


@pytest.fixture(scope="session")
def all_emulators(pytestconfig: pytest.Config) -> dict[str, Emulator]:
    """All four by kind, started side by side."""
    try:
        found = pytestconfig.stash[_SHARED].get_all(PROGRAMS)
    except EmulatorMissing as missing:
        _give_up(missing)
    return {kind: _announce(emulator) for kind, emulator in found.items()}


@pytest.fixture
def own_emulator(tmp_path: Path) -> Iterator[StartEmulator]:
    """Starts emulators for one test: `own_emulator("firestore", rules=path)`; all end with the test.

    With `host=` it listens where an earlier one did. The environment's variable is left as it is.
    """
    started: list[Emulator] = []
    numbers = itertools.count()

    def start_one(kind: str, **options: Any) -> Emulator:
        folder = tmp_path / f"{kind}-emulator-{next(numbers)}"
        try:
            started.append(start(kind, partial(PROGRAMS[kind], **options), folder))
        except EmulatorMissing as missing:
            _give_up(missing)
        return started[-1]

    yield start_one
    for emulator in started:
        emulator.kill()


@pytest.fixture
def demo_project(pytestconfig: pytest.Config) -> str:
    """A project that no other test uses, and that Google Cloud would never accept; the real one where that is asked."""
    return real_cloud.real_project(pytestconfig) or f"demo-{uuid.uuid4().hex[:12]}"


def _shared(config: pytest.Config, kind: str) -> Emulator:
    try:
        return _announce(config.stash[_SHARED].get(kind))
    except EmulatorMissing as missing:
        _give_up(missing)


def _announce(emulator: Emulator) -> Emulator:
    """Let the official clients find it, as they do everywhere."""
    os.environ[VARIABLES[emulator.kind]] = _address(emulator.kind, emulator.host)
    return emulator


def _address(kind: str, host: str) -> str:
    return f"http://{host}" if kind in ("gcs", "bigquery") else host


def _give_up(missing: EmulatorMissing) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(str(missing), pytrace=False)
    pytest.skip(str(missing))
