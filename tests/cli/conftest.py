"""Every test has a `tron` of its own; what it started in the background has ended when the test ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.terminal import ONCE, Tron


@pytest.fixture
def tron(tmp_path: Path) -> Iterator[Tron]:
    user = Tron(tmp_path)
    yield user
    user.kill_shippers()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tron, str]]:
    """A home after one run of the sample feed, shared by a module that only looks at it, and what the run said."""
    user = Tron(tmp_path_factory.mktemp("ran"))
    output = user.succeeds(*ONCE)
    user.rest()
    yield user, output
    user.kill_shippers()
