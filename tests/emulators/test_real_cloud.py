"""The real Google Cloud is asked only where everything says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulators import real_cloud

ROOT = Path(__file__).parents[2]
SUITE = ("tests/stores/test_conformance.py", "tests/operations/test_queries.py")


def pytest_says(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in (*real_cloud.EMULATORS, "CI")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SUITE, *arguments]
    return subprocess.run(command, cwd=ROOT, env={**inherited, **environ}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "set TRON_TEST_REAL_CLOUD to a project for tests"),
        ({"TRON_TEST_REAL_CLOUD": "acme-prod"}, "set TRON_TEST_REAL_CLOUD"),
        ({"TRON_TEST_REAL_CLOUD": "demo-acme"}, "set TRON_TEST_REAL_CLOUD"),
        ({"TRON_TEST_REAL_CLOUD": "acme-test", "CI": "true"}, "never runs where CI=true"),
        ({"TRON_TEST_REAL_CLOUD": "acme-test", "PUBSUB_EMULATOR_HOST": "127.0.0.1:9"}, "unset PUBSUB_EMULATOR_HOST"),
    ],
)
def test_it_is_refused_unless_everything_says_so(
    pytestconfig: pytest.Config, environ: dict[str, str], said: str
) -> None:
    with pytest.raises(pytest.UsageError, match=said):
        real_cloud.check(pytestconfig, environ)


def test_it_is_refused_from_several_processes_before_anything_is_asked() -> None:
    done = pytest_says("-m", "real_cloud", "-n", "2", TRON_TEST_REAL_CLOUD="acme-test")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "run it without -n" in done.stderr


def test_it_chooses_the_suite_and_the_queries_over_the_cloud_stores_only() -> None:
    done = pytest_says("-m", "real_cloud", "--collect-only", TRON_TEST_REAL_CLOUD="acme-test")
    chosen = [line for line in done.stdout.splitlines() if "::" in line]
    assert {
        backend for backend in real_cloud.BACKENDS if any(backend in line for line in chosen)
    } == real_cloud.BACKENDS
    assert not [
        line for line in chosen if any(f"[{one}" in line for one in ("memory", "sqlite", "duckdb", "directory"))
    ]
    assert "test_every_named_query_gives_the_committed_answer[bigquery]" in done.stdout


def test_without_it_the_same_tests_are_on_emulators() -> None:
    assert os.environ.get(real_cloud.VARIABLE) is None
    assert all(os.environ[name].removeprefix("http://").startswith("127.0.0.1:") for name in real_cloud.EMULATORS)
