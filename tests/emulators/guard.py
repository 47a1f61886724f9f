"""Runs a command for as long as another process lives, so that no emulator outlives the tests that wanted it.

    python guard.py <pid to watch> <command> ...

The guard leads a process group of its own; killing the group ends both. It needs nothing but the standard library.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

_SECONDS_BETWEEN_LOOKS = 0.5


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main() -> int:
    watched = int(sys.argv[1])
    command = subprocess.Popen(sys.argv[2:])
    while is_alive(watched):
        try:
            return command.wait(_SECONDS_BETWEEN_LOOKS)
        except subprocess.TimeoutExpired:
            time.sleep(0)
    os.killpg(0, signal.SIGKILL)
    return 1


if __name__ == "__main__":
    sys.exit(main())
