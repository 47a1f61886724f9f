"""The matrix that ends a run of the conformance suite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_run_of_the_suite_ends_with_what_each_backend_passed() -> None:
    suite = "tests/stores/test_conformance.py"
    command = [sys.executable, "-m", "pytest", "-q", suite, "-k", "memory and operations_are_counted"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:xdist"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    _, _, printed = done.stdout.partition("conformance of the stores")
    rows = [line.split() for line in printed.splitlines()[1:5]]
    assert rows == [
        ["protocol", "backend", "passed", "failed", "error", "skipped"],
        ["LiveStore", "memory", "1", "-", "-", "-"],
        ["Archive", "memory", "1", "-", "-", "-"],
        ["Stream", "memory", "1", "-", "-", "-"],
    ]
