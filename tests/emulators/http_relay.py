"""An HTTP relay: it forwards requests to an emulator, and answers some of them with an error of its own."""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.emulators.faults import Fault, Faults

_OF_ONE_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "server", "date"}


class HttpRelay(Faults[int]):
    """Forwards to `target` (`127.0.0.1:port`); `fail_next(503, times=2)` answers for it. A context manager.

    The error has the shape of Google's JSON APIs, its message is its reason, too. Below 400 the message is the body.
    """

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target
        self._replacements: list[tuple[str, bytes, bytes]] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.relay = self
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def replace_next(self, old: bytes, new: bytes, *, of: str = "") -> None:
        """Change bytes on their way: in the body of the next request whose name contains `of`, and of its answer."""
        self._replacements.append((of, old, new))

    def take_replacement(self, name: str) -> tuple[bytes, bytes]:
        """What to replace by what in this request; nothing by nothing where it is left as it is."""
        for place, (of, old, new) in enumerate(self._replacements):
            if of in name:
                del self._replacements[place]
                return old, new
        return b"", b""

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        """Status, headers and body of the emulator's answer, as they are on the wire."""
        connection = http.client.HTTPConnection(self._target, timeout=60)
        try:
            connection.request(method, path, body, {**headers, "Host": self._target})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    relay: HttpRelay

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of the relay's business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        relay = self.server.relay
        name = f"{self.command} {self.path}"
        old, new = relay.take_replacement(name)
        body = self._body().replace(old, new)
        fault = relay.take(name)
        if fault is not None and not fault.done:
            self._answer(fault.status, [], _error(fault))
            return
        status, headers, content = relay.forward(self.command, self.path, self._headers(), body)
        if fault is not None:
            self._answer(fault.status, [], _error(fault))
        else:
            self._answer(status, headers, content.replace(old, new))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are noted by the relay."""

    def _headers(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP}

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks: list[bytes] = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status: int, headers: Any, content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _OF_ONE_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _error(fault: Fault[int]) -> bytes:
    if fault.status < 400:
        return fault.message.encode()
    reason = {"reason": fault.message, "message": fault.message, "domain": "global"}
    return json.dumps({"error": {"code": fault.status, "message": fault.message, "errors": [reason]}}).encode()
