"""The project's own files, as the tests about the house look at them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def project_files() -> list[Path]:
    """Every file that is, or would be, committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listing.returncode != 0:
        pytest.skip("this is no git clone, so the project's files are not known")
    names = listing.stdout.decode().split("\0")
    return sorted(path for path in (ROOT / name for name in names if name) if path.is_file())


@pytest.fixture(scope="session")
def sources(project_files: list[Path]) -> Mapping[Path, ast.Module]:
    """The parsed modules of the product, by their path from the root."""
    modules = (path.relative_to(ROOT) for path in project_files if path.suffix == ".py")
    product = [path for path in modules if path.parts[0] in {"runner", "functions"}]
    return {path: ast.parse((ROOT / path).read_text(), str(path)) for path in product}
