"""What guards the tests themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.layout import Home

LEAVES_A_THREAD = """
import threading

def test_it():
    end = threading.Event()
    threading.Thread(target=end.wait, args=(4,), name="forgotten").start()
"""

READS_SETTINGS = """
import os

def test_it():
    assert "TRON_ARCHIVE" not in os.environ and "GOOGLE_CLOUD_PROJECT" not in os.environ
"""


def pytest_says(code: str, root: Path, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run one test file under the guards that all tests run under."""
    (folder / "test_one.py").write_text(code)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", "test_one.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_tests_refuse_to_start_in_production(root: Path, tmp_path: Path) -> None:
    done = pytest_says(READS_SETTINGS, root, tmp_path, ENVIRONMENT="prod")

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "tests never run with ENVIRONMENT=prod" in done.stderr


def test_tests_never_see_the_settings_of_the_developer(root: Path, tmp_path: Path) -> None:
    done = pytest_says(READS_SETTINGS, root, tmp_path, TRON_ARCHIVE="gs://acme", GOOGLE_CLOUD_PROJECT="acme")

    assert done.returncode == pytest.ExitCode.OK, done.stdout


def test_a_test_that_leaves_a_thread_running_fails_and_names_it(root: Path, tmp_path: Path) -> None:
    done = pytest_says(LEAVES_A_THREAD, root, tmp_path)

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "the test left these running: forgotten" in done.stdout


def test_every_test_has_a_home_of_its_own(home: Home, tmp_path: Path) -> None:
    assert os.environ["TRON_HOME"] == str(home.path)
    assert home.path.is_relative_to(tmp_path)
