"""Reading server-sent events as a browser does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class Heard:
    """One event: its name, its cursor ("" for heartbeats) and its data."""

    name: str
    cursor: str
    data: Any


class Ear:
    """An open stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.headers = response.headers
        self._lines = response.iter_lines()

    def all(self) -> Iterator[Heard]:
        """Events until the stream ends."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields:
                yield Heard(fields["event"], fields.get("id", ""), json.loads(fields["data"]))
                fields = {}

    def until(self, name: str) -> Heard:
        """The next event of that name."""
        return next(heard for heard in self.all() if heard.name == name)


@contextmanager
def listen_to(url: str, since: str = "", last_event_id: str = "") -> Iterator[Ear]:
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    with httpx.stream("GET", f"{url}/api/stream", params={"since": since}, headers=headers, timeout=20) as response:
        assert response.status_code == 200
        yield Ear(response)


def snapshot_of(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/api/snapshot").raise_for_status().json()
    return found


def snapshot_when(url: str, condition: Any) -> dict[str, Any]:
    """The first snapshot that fulfils the condition, following the stream for changes."""
    while True:
        snapshot = snapshot_of(url)
        if condition(snapshot):
            return snapshot
        with listen_to(url, since=snapshot["cursor"]) as ear:
            next(ear.all())
