from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.emulators import guard
from tests.emulators.emulator import Emulator
from tests.emulators.fixtures import VARIABLES, StartEmulator


def answers(emulator: Emulator, timeout: float = 2) -> bool:
    try:
        with urllib.request.urlopen(f"{emulator.url}/_internal/healthcheck", timeout=timeout):
            return True
    except OSError:
        return False


def becomes(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_all_four_run_and_the_official_clients_find_them(all_emulators: dict[str, Emulator]) -> None:
    for kind, variable in VARIABLES.items():
        assert os.environ[variable].removeprefix("http://") == all_emulators[kind].host
        assert guard.is_alive(all_emulators[kind].pid)
    assert all_emulators["gcs"].root == all_emulators["bigquery"].root


def test_a_session_has_one_emulator_of_a_kind(all_emulators: dict[str, Emulator], gcs_emulator: Emulator) -> None:
    assert all_emulators["gcs"] == gcs_emulator


def test_an_emulator_of_ones_own_can_be_suspended_and_killed_and_started_again(own_emulator: StartEmulator) -> None:
    emulator = own_emulator("gcs")
    emulator.suspend()
    assert becomes(lambda: not answers(emulator, timeout=0.3))
    emulator.resume()
    assert answers(emulator)
    emulator.kill()
    assert not answers(emulator)
    again = own_emulator("gcs", host=emulator.host)
    assert again.host == emulator.host
    assert answers(again)


def test_an_emulator_ends_when_the_tests_that_wanted_it_are_killed(tmp_path: Path) -> None:
    watched = subprocess.Popen(["sleep", "600"])
    command = [sys.executable, "-S", guard.__file__, str(watched.pid), "sleep", "600"]
    guarding = subprocess.Popen(command, start_new_session=True)
    assert guard.is_alive(guarding.pid)
    watched.kill()
    watched.wait()
    assert guarding.wait(20) != 0


@pytest.mark.parametrize("variable", VARIABLES.values())
def test_no_client_reaches_the_real_google_cloud(variable: str) -> None:
    assert os.environ[variable].removeprefix("http://").startswith("127.0.0.1:")
