from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runner.clock import SystemClock
from runner.dashboard.app import create_app
from runner.dashboard.serve import DashboardServer
from tests.dashboard.stage import Stage

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def stage() -> Stage:
    return Stage(SystemClock())


@pytest.fixture
def serve_stage(stage: Stage) -> Iterator[Callable[..., DashboardServer]]:
    """Starts dashboards of the stage, on any free port; `create_app`'s options are passed on."""
    servers: list[DashboardServer] = []

    def start(**options: Any) -> DashboardServer:
        app = create_app(stage.live, lambda: stage.tail, clock=stage.clock, **{"beat_seconds": 0.5} | options)
        server = DashboardServer(app, port=0)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real Chromium; without one the test is skipped, but fails where CI is true.

    It lasts no longer than a module, because Playwright keeps an event loop running in this thread for as long.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        outcome = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        outcome("there is no Chromium: `make setup-ci` installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()
