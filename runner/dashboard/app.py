"""The web application: the page, a snapshot of everything on it, and the stream of what changes.

| address             | answer                                                                                     |
|---------------------|--------------------------------------------------------------------------------------------|
| `/`, `/static/...`  | the page: plain ES modules, no build step, nothing from another host                       |
| `/api/snapshot`     | everything the page shows, and the cursor behind which the stream continues                |
| `/api/stream`       | server-sent events `documents`, `records`, `equity`, `troubles`, `resync`, `hb`; continues |
|                     | behind `Last-Event-ID` or `?since=`                                                        |
| `/api/equity/{run}` | the equity curve of one run                                                                |

It only reads.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runner.clock import Clock
from runner.dashboard.events import Hub
from runner.dashboard.queries import Board
from runner.dashboard.updates import DocumentSource, History, RecordSource, RecordTail, Source
from runner.stores.base import LiveStore

STATIC = Path(__file__).parent / "static"
BEAT_SECONDS = 5.0
RETRY_MILLISECONDS = 1000

_SECURITY = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def no_history() -> Iterable[Mapping[str, Any]]:
    """No runs but those that the journal still holds."""
    return ()


def create_app(
    live: LiveStore,
    open_tail: Callable[[], RecordTail],
    *,
    clock: Clock,
    history: History = no_history,
    mode: str = "PAPER",
    beat_seconds: float = BEAT_SECONDS,
) -> Starlette:
    """The dashboard over a live store and a journal.

    `open_tail` opens the journal's records from the start; `history` gives the equity of runs that it holds no more.
    `mode` is what the page says before the first trade. The stream beats every `beat_seconds` when it has no news.
    """
    board, hub = Board(clock), Hub(epoch=f"{clock.time_ns():x}")
    sources = (DocumentSource(board, hub, live), RecordSource(board, hub, open_tail, history))
    pages = _Pages(board, hub, mode, beat_seconds)
    app = Starlette(
        routes=[
            Route("/", pages.index),
            Route("/api/snapshot", pages.snapshot),
            Route("/api/stream", pages.stream),
            Route("/api/equity/{run}", pages.equity),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(SecurityHeaders)],
        lifespan=_follow(sources),
    )
    app.state.hub = hub
    return app


class _Pages:
    """The answers to requests."""

    def __init__(self, board: Board, hub: Hub, mode: str, beat_seconds: float) -> None:
        self._board = board
        self._hub = hub
        self._mode = mode
        self._beat_seconds = beat_seconds

    async def index(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    async def snapshot(self, request: Request) -> Response:
        cursor = self._hub.cursor  # before the board is read: what changes in between comes twice, never not at all
        shown = await run_in_threadpool(self._board.snapshot)
        return _json({"cursor": cursor, "mode": self._mode, "beat_seconds": self._beat_seconds, **shown})

    async def equity(self, request: Request) -> Response:
        series = self._board.equity_of(request.path_params["run"])
        return _json(series) if series else _json({"error": "no such run"}, status=404)

    async def stream(self, request: Request) -> Response:
        since = request.headers.get("last-event-id") or request.query_params.get("since", "")
        return StreamingResponse(
            self._events(since),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _events(self, since: str) -> AsyncIterator[bytes]:
        subscription = self._hub.subscribe(since)
        try:
            yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
            while (chunk := await subscription.next(self._beat_seconds)) is not None:
                yield chunk
        finally:
            self._hub.unsubscribe(subscription)


class SecurityHeaders:
    """Adds to every answer the headers that keep foreign code and foreign pages out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_SECURITY)
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        await self._app(scope, receive, send_secured)


def _follow(sources: Iterable[Source]) -> Callable[[Starlette], Any]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        for source in sources:
            source.start()
        try:
            yield
        finally:
            for source in sources:
                await run_in_threadpool(source.stop)

    return lifespan


def _json(value: Any, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
