"""How many live writes coalescing saves, by pattern and window: the states of a day folded as the follower folds them.

Patterns are simulated at their own pace over 24 hours; "house bots" are the records of real bars at market time. That
nothing is saved where every state is a document of its own, or comes an hour after the last, is part of the answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.table import Table

from benchmarks.real_bars import records
from runner.logging import documents, lines

DAY, WINDOWS = 86_400.0, (1, 5, 15, 60)
UPDATES = 50_000
State = tuple[float, object]
"""When a document changed, and which."""


def measure() -> None:
    table = Table(title="live writes saved by coalescing", title_justify="left")
    table.add_column("pattern")
    table.add_column("states", justify="right")
    for window in WINDOWS:
        table.add_column(f"{window} s", justify="right")
    for name, make in _PATTERNS.items():
        _add(table, name, list(make(random.Random(7))))
    _add(table, "house bots on real bars", sorted(_house_bots(), key=lambda state: state[0]))
    Console(width=150).print(table)


def saved(states: list[State], window: float) -> float:
    """The share of writes that are saved when what changed is written so long after its first change."""
    written, pending, since = 0, set[object](), -1.0
    for at, document in states:
        if pending and at - since >= window:
            written += len(pending)
            pending = set()
        since = since if pending else at
        pending.add(document)
    return 1 - (written + len(pending)) / len(states) if states else 0.0


def _add(table: Table, name: str, states: list[State]) -> None:
    table.add_row(name, f"{len(states):,}", *(f"{saved(states, window):.0%}" for window in WINDOWS))


def _evenly(count: int) -> Callable[[random.Random], Iterator[State]]:
    def make(chance: random.Random) -> Iterator[State]:
        for at in sorted(chance.uniform(0, DAY) for _ in range(UPDATES)):
            yield at, chance.randrange(count)

    return make


def _bursts(chance: random.Random) -> Iterator[State]:
    for start in sorted(chance.uniform(0, DAY) for _ in range(UPDATES // 10)):
        document = chance.randrange(60)
        for number in range(10):
            yield start + number * 0.2, document


def _heartbeats(chance: random.Random) -> Iterator[State]:
    states = [(bot * 0.7 + number * 15.0, bot) for bot in range(10) for number in range(int(DAY / 15))]
    yield from sorted(states)


def _unique(chance: random.Random) -> Iterator[State]:
    for number in range(UPDATES):
        yield number * DAY / UPDATES, number


def _house_bots() -> Iterator[State]:
    with records() as found:
        for stream, content in found.items():
            for record in map(lines.decode, content if stream in documents.STREAMS else ()):
                place = documents.address(record)
                if place is not None:
                    yield lines.moment(record.get("at", record["ts"])).timestamp(), place


_PATTERNS: dict[str, Callable[[random.Random], Iterator[State]]] = {
    "50,000 updates, evenly, 60 documents": _evenly(60),
    "50,000 updates, evenly, 10 documents": _evenly(10),
    "bursts of 10 within 2 s, 60 documents": _bursts,
    "heartbeats of 10 bots, every 15 s": _heartbeats,
    "every update a document of its own": _unique,
}
