"""What a fresh Python loads: the embedded product must start fast and without any cloud."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

IMPORT_RUNNER = "import runner"

IMPORT_EVERYTHING = """
import importlib, pkgutil, runner
stores = "bigquery", "bigquery_jobs", "billing", "cloud", "firestore", "gcs", "google_apis", "pubsub"
parts = "calls", "encoding", "queries", "versions", "watch"
cloud = {"runner.stores." + name for name in (*stores, *("firestore_" + part for part in parts))}
for module in pkgutil.walk_packages(runner.__path__, "runner."):
    if module.name not in cloud and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""

RUN_EMBEDDED = """
from runner.cli import main
for verb in (["run", "--once", "--no-dashboard", "--symbols", "IBM"], ["ship"]):
    sys.argv = ["tron", *verb]
    try:
        main()
    except SystemExit as end:
        assert not end.code, f"{verb} ended with {end.code}"
"""


def loaded_by(code: str, root: Path, folder: Path, **environ: str) -> set[str]:
    """Names of the modules that a fresh Python loads for `code`, run in the empty `folder`."""
    told = folder / "modules.json"
    program = (
        f"import sys\nbefore = set(sys.modules)\n{code}\n"
        f"import json, pathlib\npathlib.Path({str(told)!r}).write_text(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(told.read_text()))


def google_in(modules: set[str]) -> list[str]:
    return sorted(name for name in modules if f"{name}.".startswith("google."))


def test_importing_runner_loads_nothing_but_the_standard_library(root: Path, tmp_path: Path) -> None:
    packages = {name.partition(".")[0] for name in loaded_by(IMPORT_RUNNER, root, tmp_path)}

    assert packages - {"runner"} <= sys.stdlib_module_names


def test_no_module_but_the_cloud_stores_loads_a_google_sdk(root: Path, tmp_path: Path) -> None:
    loaded = loaded_by(IMPORT_EVERYTHING, root, tmp_path)

    assert "runner.settings" in loaded
    assert google_in(loaded) == []


@pytest.mark.slow
def test_a_whole_embedded_run_loads_no_google_sdk(root: Path, tmp_path: Path) -> None:
    loaded = loaded_by(RUN_EMBEDDED, root, tmp_path, TRON_SHIPPER="none")

    assert "runner.logging.shipper" in loaded
    assert google_in(loaded) == []
