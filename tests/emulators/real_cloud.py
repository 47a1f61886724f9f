"""The opt-in to ask the real Google Cloud: `TRON_TEST_REAL_CLOUD=my-test-project pytest -m real_cloud`.

Tests that can are marked `real_cloud`: the conformance suite over the Google Cloud stores, and the named queries. They
are billed to the project, which must have a Firestore database `tron-test`: it is emptied before every test. Buckets, a
topic and a dataset are made for each test and deleted after it. Nothing of this happens unless it is asked for twice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import pytest

VARIABLE = "TRON_TEST_REAL_CLOUD"
MARKER = "real_cloud"
DATABASE = "tron-test"
BACKENDS = frozenset({"firestore", "gcs", "pubsub", "bigquery"})
SUITES = frozenset({"test_conformance.py", "test_queries.py"})
EMULATORS = ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST")
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")


def is_asked(config: pytest.Config) -> bool:
    """Whether the tests to be run are chosen by this marker."""
    expression = str(config.getoption("markexpr", ""))
    return re.search(rf"(?<!not )\b{MARKER}\b", expression) is not None


def check(config: pytest.Config, environ: Mapping[str, str]) -> None:
    """Raise `UsageError` unless everything says that the real service is meant."""
    project = environ.get(VARIABLE, "")
    if not _PROJECT.fullmatch(project) or "prod" in project or project.startswith("demo-"):
        raise pytest.UsageError(f"-m {MARKER} is billed: set {VARIABLE} to a project for tests (no prod-, no demo-)")
    if environ.get("CI") == "true":
        raise pytest.UsageError(f"-m {MARKER} never runs where CI=true")
    named = [name for name in EMULATORS if environ.get(name)]
    if named:
        raise pytest.UsageError(f"-m {MARKER} asks no emulator: unset {', '.join(named)}")
    if getattr(config, "workerinput", None) is not None or config.getoption("numprocesses", None):
        raise pytest.UsageError(f"-m {MARKER} shares one database among its tests: run it without -n")


def kept(config: pytest.Config) -> frozenset[str]:
    """Variables of the developer that such a run needs."""
    return frozenset({VARIABLE, "GOOGLE_APPLICATION_CREDENTIALS"}) if is_asked(config) else frozenset()


def real_project(config: pytest.Config) -> str:
    """The project of the real service, or empty where the tests are on emulators."""
    return os.environ[VARIABLE] if is_asked(config) else ""


def mark(items: list[pytest.Item]) -> None:
    """Mark the tests that may be asked of the real service."""
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if item.path.name in SUITES and BACKENDS & {str(one) for one in parameters.values()}:
            item.add_marker(MARKER)
