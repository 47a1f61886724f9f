"""Functions that are served for a test end with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.functions.server import MAIN, Server
from tests.functions.server import serve as serve_one

Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serves functions by name: `serve("cost_report", TRON_FUNCTION_SECONDS="1")`."""
    served: list[Server] = []
    numbers = itertools.count()

    def serve(target: str, *, source: Path = MAIN, **environ: str) -> Server:
        served.append(serve_one(target, tmp_path / f"{target}-{next(numbers)}", environ, source))
        return served[-1]

    yield serve
    for server in served:
        server.kill()
