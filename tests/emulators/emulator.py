"""An emulator: a process group of its own, on a free port of this machine, ready when it answers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_GUARD = Path(__file__).with_name("guard.py")
_SECONDS_TO_START = 60.0
_STARTS = 3


class EmulatorMissing(Exception):
    """An emulator is not installed here; the message is one line that says how to get it."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how to see that it is ready. `grpc` is a second address of its own, or empty."""

    command: Sequence[str]
    host: str
    health: str
    environ: Mapping[str, str] = field(default_factory=dict)
    root: str = ""
    grpc: str = ""


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator. `host` is `127.0.0.1:port`; `root` is the folder where it keeps objects, or empty."""

    kind: str
    host: str
    pid: int
    root: str = ""
    grpc: str = ""

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def folder(self) -> Path:
        return Path(self.root)

    def suspend(self) -> None:
        """Stop its clock: connections stay open and nothing answers. Never do this to a shared emulator."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, with everything that it holds in memory; it may be gone already."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def free_host() -> str:
    """An address on this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def start(kind: str, program: Callable[[Path], Program], folder: Path, *, watched: int | None = None) -> Emulator:
    """Start a program in `folder` and wait until it answers. It dies with the process `watched` (this one by default).

    Raises `EmulatorMissing`. A port that another process took in between is no failure: another one is tried.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(_STARTS):
        chosen = program(folder)
        emulator = _launch(kind, chosen, folder / "output.log", os.getpid() if watched is None else watched)
        if _is_ready(emulator, chosen.health):
            return emulator
        emulator.kill()
    raise RuntimeError(f"the {kind} emulator does not start: {_tail(folder / 'output.log')}")


def _launch(kind: str, program: Program, output: Path, watched: int) -> Emulator:
    with output.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-S", str(_GUARD), str(watched), *program.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **program.environ},
            start_new_session=True,
        )
    process.returncode = 0  # it is known by its id from here on, also to processes that did not start it
    return Emulator(kind, program.host, process.pid, program.root, program.grpc)


def _is_ready(emulator: Emulator, health: str) -> bool:
    """Whether it answers in time, with anything but an error of its own."""
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and not _has_ended(emulator.pid):
        try:
            with urllib.request.urlopen(emulator.url + health, timeout=2):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                return True
        except OSError:
            pass
        time.sleep(0.03)
    return False


def _has_ended(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-500:].replace("\n", " | ")
