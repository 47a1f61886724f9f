"""What a call costs its caller: a trade and an event, in a burst and paced at 1 kHz, with and without redaction.

Times include the timer's own (about 60 ns). Ratios are taken between medians of fresh processes of the same run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.fresh import Case, Sample, medians
from benchmarks.table import Row, show

ROUNDS = 5
_WARM_UP, _BURST, _PACED, _PACE = 3_000, 20_000, 1_500, 0.001
_REDACTING = ("ours", "structlog + orjson")
_MUST = {  # (kind, peer, redaction): must and aim for the median of a burst
    ("trade", "structlog + orjson", "plain"): (0.6, 0.5),
    ("trade", "structlog + orjson", "redacted"): (0.45, 0.35),
    ("trade", "google-cloud-logging", "plain"): (0.3, None),
    ("event", "structlog + orjson", "plain"): (0.6, 0.4),
    ("event", "structlog + orjson", "redacted"): (0.45, 0.3),
}


def sample(name: str, kind: str, mode: str, redaction: str) -> Sample:
    """p50 and p99 of one contender, in nanoseconds."""
    with tempfile.TemporaryDirectory(prefix="tron-bench-") as folder:
        contender = CONTENDERS[name](Path(folder), redact=redaction == "redacted")
        call = contender.trade if kind == "trade" else contender.event
        for number in range(_WARM_UP):
            call(number)
        times = sorted(_burst(call) if mode == "burst" else _paced(call))
        contender.close()
    return {"p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100]}


def measure() -> None:
    kinds, modes = ("trade", "event"), ("burst", "paced")
    cases: list[Case] = [(name, kind, "burst", "plain") for kind in kinds for name in _contenders(kind)]
    cases += [(name, kind, "burst", "redacted") for name in _REDACTING for kind in kinds]
    cases += [(name, kind, "paced", "plain") for name in _REDACTING for kind in kinds]
    found = medians("caller", cases, ROUNDS)
    for kind in kinds:
        peers = [name for name in _contenders(kind) if name != "ours"]
        burst = [_row(found, kind, peer, "plain", "p50") for peer in peers]
        redacted = _row(found, kind, "structlog + orjson", "redacted", "p50")
        tails = [_tail(found, kind, mode) for mode in modes]
        show(f"{kind}: one call, microseconds", [*burst, redacted, *tails])


def _contenders(kind: str) -> list[str]:
    return [name for name in CONTENDERS if kind == "trade" or "trade" not in name]


def _row(found: dict[Case, Sample], kind: str, peer: str, redaction: str, figure: str) -> Row:
    mine, theirs = (found[name, kind, "burst", redaction][figure] for name in ("ours", peer))
    must, aim = _MUST.get((kind, peer, redaction), (None, None))
    label = f"burst {figure}" + (", equal redaction" if redaction == "redacted" else "")
    return Row(label, _us(mine), f"{peer} {_us(theirs)}", mine / theirs, must, aim)


def _tail(found: dict[Case, Sample], kind: str, mode: str) -> Row:
    mine, theirs = (found[name, kind, mode, "plain"]["p99"] for name in _REDACTING)
    label = "burst p99" if mode == "burst" else "p99 at 1 kHz"
    return Row(label, _us(mine), f"structlog + orjson {_us(theirs)}", mine / theirs, 0.6, 0.4)


def _us(nanoseconds: float) -> str:
    return f"{nanoseconds / 1000:.1f}"


def _burst(call: Callable[[int], object]) -> list[int]:
    clock, times = time.perf_counter_ns, []
    for number in range(_BURST):
        before = clock()
        call(number)
        times.append(clock() - before)
    return times


def _paced(call: Callable[[int], object]) -> list[int]:
    """A call each millisecond. It waits by looking at the clock: a sleep is late by more than a call takes."""
    clock, times = time.perf_counter, []
    start = clock()
    for number in range(_PACED):
        while clock() < start + number * _PACE:
            pass
        before = time.perf_counter_ns()
        call(number)
        times.append(time.perf_counter_ns() - before)
    return times
