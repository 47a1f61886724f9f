"""`tron dashboard`: the dashboard alone, over whatever the home holds."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from runner.cli.context import Context, console
from runner.clock import SystemClock
from runner.dashboard.app import create_app
from runner.dashboard.serve import DashboardServer, listen
from runner.layout import Home
from runner.logging.costs.spend import Meter
from runner.logging.reader import Tail
from runner.settings import Settings
from runner.stores.open import is_remote, open_live
from runner.wiring import open_settings_warehouse

_EQUITY = """SELECT bot, run, "at", ts, value FROM metrics WHERE name = 'equity' ORDER BY run, "at" """


def dashboard(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(help="Where to listen; 0 takes any free port.")] = None,
) -> None:
    """Serve the dashboard until Ctrl-C."""
    parent: Context = context.obj
    settings = parent.settings({"dashboard": {"port": port}} if port is not None else None)
    if is_remote(settings.stores.live):
        Home(settings.home).create()
    else:
        parent.existing_home(settings)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    with serving(settings) as url:
        console().print(f"dashboard: {url} (Ctrl-C ends it)")
        stop.wait()


def check_address(settings: Settings) -> None:
    """Raise `ConfigError` when the dashboard's port is not free, before anything is made."""
    listen(settings.dashboard.host, settings.dashboard.port).close()


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Serve the dashboard of a home meanwhile; gives its URL. Raises `ConfigError` when the port is not free."""
    home, live = Home(settings.home), open_live(settings)

    def history() -> Iterable[Mapping[str, Any]]:
        return open_settings_warehouse(settings).query(_EQUITY).dicts()

    app = create_app(live, lambda: Tail(home, from_start=True), clock=SystemClock(), history=history)
    server = DashboardServer(app, settings.dashboard.host, settings.dashboard.port)
    server.start()
    try:
        with Meter(home, {"live": live.operations}):
            yield server.url
    finally:
        server.stop()
        live.close()
