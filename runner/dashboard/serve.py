"""Serving the dashboard from a background thread, beside the bots or alone."""

from __future__ import annotations

import errno
import ipaddress
import socket
import threading

import uvicorn
from starlette.applications import Starlette
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

from runner.errors import ConfigError

START_SECONDS = 10.0
GRACE_SECONDS = 2


class DashboardServer:
    """One running dashboard. `port` 0 takes any free port; `url` tells which.

    On a loopback host only requests that name this machine are answered, so no web site can read the dashboard
    through the visitor's browser.
    """

    def __init__(self, app: Starlette, host: str = "127.0.0.1", port: int = 8080) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def start(self) -> None:
        """Listen and serve; returns when requests are answered. Raises `ConfigError` when the address is not free."""
        listener = listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        ready = threading.Event()
        self._server = _Server(_guarded(self._app, self._host), ready)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="dashboard", daemon=True
        )
        self._thread.start()
        if not ready.wait(START_SECONDS):
            raise ConfigError(f"the dashboard at {self.url} did not start", "run with --no-dashboard")

    def stop(self) -> None:
        """End every open stream and stop serving. Stopping what does not run is no error."""
        if self._server is None or self._thread is None:
            return
        self._app.state.hub.close()
        self._server.should_exit = True
        self._thread.join()
        self._server = self._thread = None


class _Server(uvicorn.Server):
    """Uvicorn that says when it has started."""

    def __init__(self, app: ASGIApp, ready: threading.Event) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                ws="none",
                lifespan="on",
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()


def serve(app: Starlette, host: str = "127.0.0.1", port: int = 8080) -> DashboardServer:
    """Start serving `app` in the background. Raises `ConfigError` when the address is not free."""
    server = DashboardServer(app, host, port)
    server.start()
    return server


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on the address. Raises `ConfigError` that says why it cannot."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"the dashboard cannot use the host {host!r}: {error.strerror}", "use 127.0.0.1") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise _refused(host, port, error) from None
    return listener


def _refused(host: str, port: int, error: OSError) -> ConfigError:
    hint = "choose another port with TRON_PORT (0 takes any free one), or run with --no-dashboard"
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"port {port} on {host} is in use", hint)
    return ConfigError(f"the dashboard cannot listen on {host} port {port}: {error.strerror}", hint)


def _guarded(app: ASGIApp, host: str) -> ASGIApp:
    if not _is_loopback(host):
        return app
    return TrustedHostMiddleware(app, allowed_hosts=["localhost", "127.0.0.1", "[::1]", host], www_redirect=False)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
