"""The bell: how a bot wakes the shipper, across processes. A named pipe; ringing never waits and needs no listener."""

from __future__ import annotations

import contextlib
import os
import select

from runner.layout import Home


def ring(home: Home) -> None:
    """Wake the shipper, if one listens."""
    with contextlib.suppress(OSError):
        descriptor = os.open(home.bell, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"!")
        finally:
            os.close(descriptor)


class Bell:
    """The shipper's end."""

    def __init__(self, home: Home) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkfifo(home.bell, 0o600)
        self._descriptor = os.open(home.bell, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def wait(self, timeout: float) -> bool:
        """Whether the bell rang within `timeout` seconds."""
        waiting = select.poll()  # unlike `select`, it takes descriptors of any number
        waiting.register(self._descriptor, select.POLLIN)
        if not waiting.poll(timeout * 1000):
            return False
        os.read(self._descriptor, 4096)
        return True

    def close(self) -> None:
        os.close(self._descriptor)
