"""Who may import whom."""

from __future__ import annotations

import ast
import importlib
import itertools
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

Sources = Mapping[Path, ast.Module]

FIRESTORE = ("firestore_calls", "firestore_queries", "firestore_versions", "firestore_watch")
FUNCTIONS = ("bigquery_export", "compact_archive", "cost_report", "daily_cleanup", "on_trading_record")
OWN_FILES = {
    "ccxt": {"runner/brokers/live.py", "runner/feeds/live.py"},
    "duckdb": {"runner/stores/duckdb.py"},
    "flask": {"functions/frame.py", *(f"functions/{name}.py" for name in FUNCTIONS)},
    "functions_framework": {f"functions/{name}.py" for name in FUNCTIONS},
    "google": {
        "functions/callers.py",
        *(f"runner/stores/{name}.py" for name in ("bigquery_jobs", "cloud", "gcs", "pubsub", *FIRESTORE)),
        "runner/stores/google_apis.py",
    },
    "lightgbm": {"runner/models/training.py"},
    "sqlglot": {"runner/stores/dialects.py"},
}


def imports_of(tree: ast.Module) -> Iterator[str]:
    """Modules that a module imports from; a relative one starts with its dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def importers(sources: Sources, *modules: str) -> set[str]:
    """Files that import from one of `modules` or from below it."""
    wanted = tuple(f"{module}." for module in modules)
    return {
        str(path) for path, tree in sources.items() if any(f"{name}.".startswith(wanted) for name in imports_of(tree))
    }


def test_the_floors_of_the_house_hold(root: Path) -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", sorted(OWN_FILES))
def test_a_large_dependency_is_imported_in_its_own_file_only(package: str, sources: Sources) -> None:
    assert importers(sources, package) <= OWN_FILES[package]


def test_what_the_product_imports_is_declared(root: Path, sources: Sources) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    asked = itertools.chain(project["dependencies"], *project.get("optional-dependencies", {}).values())
    declared = {canonicalize_name(Requirement(line).name) for line in asked}
    packages = {name.partition(".")[0] for tree in sources.values() for name in imports_of(tree)}
    foreign = packages - sys.stdlib_module_names - {"runner", "functions"}
    distributions = packages_distributions()

    assert {
        name for name in foreign if declared.isdisjoint(map(canonicalize_name, distributions.get(name, [name])))
    } == set()


def test_every_import_is_absolute(sources: Sources) -> None:
    assert importers(sources, "", ".", "..") == set()


def test_nothing_imports_names_from_the_root_package(sources: Sources) -> None:
    assert {str(path) for path, tree in sources.items() if "runner" in imports_of(tree)} == set()


def test_the_product_does_without_the_fakes_it_offers_to_others(sources: Sources) -> None:
    users = importers(sources, "runner.testing")

    assert {path for path in users if not path.startswith("runner/testing")} == set()


def test_public_names_are_listed_in_order_and_exist(sources: Sources) -> None:
    packages = {".".join(path.parts[:-1]) for path in sources if path.name == "__init__.py"}
    listed = {name: getattr(importlib.import_module(name), "__all__", []) for name in packages}

    assert listed["runner.logging"]
    for package, names in listed.items():
        assert list(names) == sorted(names), f"{package}.__all__ is not sorted"
        assert [name for name in names if not hasattr(importlib.import_module(package), name)] == []
