"""Kills a function while it works, as often as is asked for, and lets it be called again as Cloud Scheduler would."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.functions.server import Reply, Server, serve

KILLS = 10
MOST_CALLS = 10
MOST_TRIES = 40


@dataclass
class Victim:
    """One function, served again whenever it was killed. Its home is always in the same place."""

    target: str
    folder: Path
    environ: Mapping[str, str]
    server: Server | None = None
    served: int = 0

    def alive(self) -> Server:
        if self.server is None:
            self.served += 1
            self.server = serve(self.target, self.folder / f"served-{self.served}", self.environ)
        return self.server

    def kill(self) -> None:
        if self.server is not None:
            self.server.kill()
            self.server = None

    def call_until_done(self, body: dict[str, Any]) -> Reply:
        for _ in range(MOST_CALLS):
            reply = self.alive().call(body)
            if reply.status == 200:
                return reply
            assert reply.status == 202, reply
        raise AssertionError(f"{self.target} is not done after {MOST_CALLS} calls")

    def kill_at_work(self, body: dict[str, Any], seconds: float) -> bool:
        """Call it, and kill it so many seconds later if it is still at work then; whether it was."""
        server, answered = self.alive(), threading.Event()

        def call() -> None:
            with contextlib.suppress(httpx.TransportError):
                server.call(body)
                answered.set()

        thread = threading.Thread(target=call)
        thread.start()
        time.sleep(seconds)
        was_at_work = not answered.is_set()
        if was_at_work:
            self.kill()
        thread.join()
        return was_at_work and not answered.is_set()


@contextlib.contextmanager
def victim(target: str, folder: Path, environ: Mapping[str, str]) -> Iterator[Victim]:
    found = Victim(target, folder, environ)
    try:
        yield found
    finally:
        found.kill()


def kill_and_call_again(
    found: Victim, body: dict[str, Any], seconds: float, reset: Callable[[], None], look: Callable[[], Any]
) -> list[Any]:
    """Kill it at work `KILLS` times, at random moments of a call that takes so long; what each left in the end.

    Where a call was over sooner than its moment came, it is tried again with earlier ones.
    """
    choose, ends = random.Random(found.target), []
    for _ in range(MOST_TRIES):
        reset()
        if found.kill_at_work(body, choose.uniform(0, seconds)):
            found.call_until_done(body)
            ends.append(look())
            if len(ends) == KILLS:
                return ends
        else:
            seconds *= 0.8
    raise AssertionError(f"{found.target} was met at work only {len(ends)} times")
