"""What every test shares: a home of its own, real market data, an environment without the developer's settings."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from runner.layout import Home
from tests.emulators import real_cloud

pytest_plugins = ["tests.emulators.fixtures", "tests.stores.matrix"]

_SETTINGS = ("TRON_", "GOOGLE_", "ENVIRONMENT")
_SECONDS_TO_END = 2.0

hypothesis.settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("ENVIRONMENT") == "prod":
        raise pytest.UsageError("tests never run with ENVIRONMENT=prod; unset it")
    kept = real_cloud.kept(config) | {"TRON_TEST_DATA"}
    for name in [name for name in os.environ if name.startswith(_SETTINGS) and name not in kept]:
        del os.environ[name]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test, nor a process that it starts, ever opens the developer's home by default."""
    monkeypatch.setenv("TRON_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    """A test that leaves a thread or a child process of Python's running fails, and its name is told.

    Threads named `asyncio_*` belong to an event loop, which ends them when it closes and may be that of a whole module.
    """
    before = set(threading.enumerate())
    yield
    new = [thread for thread in threading.enumerate() if thread not in before]
    left = [thread for thread in new if not (thread.daemon or thread.name.startswith("asyncio_"))]
    for thread in left:
        thread.join(_SECONDS_TO_END)
    names = [thread.name for thread in left if thread.is_alive()]
    names += [child.name for child in multiprocessing.active_children()]
    assert not names, f"the test left these running: {', '.join(names)}"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home; it is also what TRON_HOME names."""
    return Home(tmp_path / "home").create()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real market data; tests that use it are skipped where there is none."""
    folder = os.environ.get("TRON_TEST_DATA", "")
    if not folder:
        pytest.skip("TRON_TEST_DATA names no folder of market data")
    return Path(folder)
