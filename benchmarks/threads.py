"""Records a second from four threads that share one logger, from the first call until all is closed."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

from benchmarks.contenders import CONTENDERS, Call
from benchmarks.fresh import Case, Sample, medians
from benchmarks.table import Row, show

ROUNDS = 5
_THREADS, _EACH = 4, 15_000
_PEER = "structlog + orjson"


def sample(name: str, kind: str) -> Sample:
    with tempfile.TemporaryDirectory(prefix="tron-bench-") as folder:
        contender = CONTENDERS[name](Path(folder), redact=False)
        call = contender.trade if kind == "trade" else contender.event
        threads = [threading.Thread(target=_write, args=(call, number * _EACH)) for number in range(_THREADS)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        contender.close()
    return {"rate": _THREADS * _EACH / seconds}


def measure() -> None:
    kinds = ("trade", "event")
    cases: list[Case] = [(name, kind) for name in ("ours", _PEER) for kind in kinds]
    found = medians("threads", cases, ROUNDS)
    rows = []
    for kind in kinds:
        mine, theirs = found["ours", kind]["rate"], found[_PEER, kind]["rate"]
        rows.append(Row(kind, f"{mine:,.0f}", f"{_PEER} {theirs:,.0f}", mine / theirs, 4, 8, more_is_better=True))
    show("four threads: records a second", rows)


def _write(call: Call, first: int) -> None:
    for number in range(first, first + _EACH):
        call(number)
