"""A relay between a client and an emulator: bytes pass through, until the test cuts, suspends or slows them.

The gRPC and HTTP relays beside this file answer for the emulator; this one only carries.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

_CHUNK = 16 * 1024


class Relay:
    """Carries TCP between `host` (its own address) and `target`; both are `127.0.0.1:port`. A context manager."""

    def __init__(self, target: str) -> None:
        self._target = _pair(target)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._passing = threading.Event()
        self._passing.set()
        self._refusing = False
        self._seconds_per_chunk = 0.0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def cut(self) -> None:
        """Break every connection, and break new ones at once."""
        self._refusing = True
        self._break_all()

    def suspend(self) -> None:
        """Keep connections open and let nothing pass."""
        self._passing.clear()

    def slow(self, seconds_per_chunk: float) -> None:
        """Let 16 KiB pass in each direction, then wait."""
        self._seconds_per_chunk = seconds_per_chunk

    def heal(self) -> None:
        """Let everything pass again."""
        self._refusing = False
        self._seconds_per_chunk = 0.0
        self._passing.set()

    def close(self) -> None:
        self.cut()
        self._passing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        if self._refusing:
            client.close()
            return
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        with self._lock:
            self._open |= {client, server}
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK):
                time.sleep(self._seconds_per_chunk)
                self._passing.wait()
                sink.sendall(chunk)
        self._break(source)
        self._break(sink)

    def _break_all(self) -> None:
        with self._lock:
            present = list(self._open)
        for one in present:
            self._break(one)

    def _break(self, one: socket.socket) -> None:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
        with self._lock:
            self._open.discard(one)


def _pair(host: str) -> tuple[str, int]:
    name, port = host.rsplit(":", 1)
    return name, int(port)
