"""Makes writers and shippers quickly, by forking: `python -m tests.crash.nursery HOME`. One command a line:

write ACKNOWLEDGED SEED     a bot with four threads that logs until it is killed; answers its process id
ship SEED                   a shipper over stores that fail at random; answers its process id
kill PID                    answers when the process is gone
finish                      ships everything over stores that work; answers "complete" or what went wrong
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from runner import wiring
from runner.clock import SystemClock
from runner.logging import TradingLogger
from runner.logging.log_types import RiskEventData
from runner.logging.shipper import Reports
from runner.settings import KIB, Settings
from runner.stores.base import Archive, LiveStore
from runner.stores.open import open_archive, open_live
from runner.testing import FaultyArchive, FaultyLiveStore, at_random
from tests.crash.acknowledged import CAPACITY, THREADS, Acknowledged

FAILING = 0.1


def crash_settings(home: Path) -> Settings:
    """Everything happens often: rotation, batches, sweeps."""
    shipping = {
        "shipper": "none",
        "archive_seconds": 0.2,
        "archive_prompt_seconds": 0.1,
        "compliance_seconds": 0.3,
        "live_seconds": 0.1,
        "archive_bytes": 32 * KIB,
    }
    journal = {"segment_bytes": 64 * KIB, "front_bytes": 512 * KIB}
    return Settings.load({}, overrides={"home": home, "shipping": shipping, "journal": journal})


def write(home: Path, acknowledged: Path, seed: int) -> None:
    logger = TradingLogger(bot_type="crash-test", settings=crash_settings(home))
    ids = Acknowledged(acknowledged)
    for thread in range(1, THREADS):
        threading.Thread(target=log_forever, args=(logger, ids, thread, seed)).start()
    log_forever(logger, ids, 0, seed)


def log_forever(logger: TradingLogger, ids: Acknowledged, thread: int, seed: int) -> None:
    dice = random.Random(f"{seed}-{thread}")
    pause = dice.choice((0, 0.0005, 0.002, 0.01))
    for number in range(CAPACITY):
        ids.add(thread, number, log_one(logger, dice, number))
        time.sleep(pause if number > 500 else pause / 10)
    time.sleep(3600)


def log_one(logger: TradingLogger, dice: random.Random, number: int) -> str:
    match dice.randrange(8):
        case 0:
            event = RiskEventData(event_type="limit", action_taken="none", message=f"number {number}")
            return logger.log_risk_event(event, urgent=dice.random() < 0.05)
        case 1:
            return logger.log_performance_metric("equity", Decimal(number), bot=str(number % 3))
        case 2:
            return logger.log_warning("x" * dice.choice((10, 1000, 20_000)))
        case _:
            return logger.log_system_event("went on", number=number, text="y" * dice.randrange(300))


def ship(home: Path, seed: int) -> None:
    """A shipper that follows, until it is killed."""

    def faulty_archive(settings: Settings) -> Archive:
        return FaultyArchive(open_archive(settings), at_random(seed, FAILING))

    def faulty_live(settings: Settings) -> LiveStore:
        return FaultyLiveStore(open_live(settings), at_random(seed + 1, FAILING))

    vars(wiring).update(open_archive=faulty_archive, open_live=faulty_live)
    wiring.build_shipper(crash_settings(home), SystemClock(), threading.Event(), Reports()).run(follow=True)


def finish(home: Path) -> str:
    shipper = wiring.build_shipper(crash_settings(home), SystemClock(), threading.Event(), Reports())
    return "complete" if shipper.run(follow=False) else "incomplete"


def fork(action: Callable[[], None]) -> int:
    """Do something in a child that never comes back."""
    child = os.fork()
    if child:
        return child
    try:
        action()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)


def kill(child: int) -> str:
    """SIGKILL, or the status of a process that had ended before: nobody in this test ends by itself."""
    os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "killed" if status == -signal.SIGKILL else f"ended with {status}"


def main(home: Path) -> None:
    for line in sys.stdin:
        match line.split():
            case ["write", acknowledged, seed]:
                answer = str(fork(lambda: write(home, Path(acknowledged), int(seed))))
            case ["ship", seed]:
                answer = str(fork(lambda: ship(home, int(seed))))
            case ["kill", child]:
                answer = kill(int(child))
            case _:
                answer = finish(home)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
