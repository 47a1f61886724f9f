"""A dashboard in a process of its own, to be stalled and killed: `python -m tests.dashboard.stage_process PORT`.

Each line on its standard input names a trade to be entered; the address is printed when it is served.
"""

from __future__ import annotations

import sys

from runner.clock import SystemClock
from runner.dashboard.app import create_app
from runner.dashboard.serve import serve
from tests.dashboard.stage import START, Stage


def main(port: int) -> None:
    stage = Stage(SystemClock())
    server = serve(create_app(stage.live, lambda: stage.tail, clock=stage.clock, beat_seconds=0.3), port=port)
    player = stage.player("vwap")
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        player.enter(line.strip(), "IBM", 130, START, f"why {line.strip()}")
    server.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))
