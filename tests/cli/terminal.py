"""`tron` as a user runs it: processes with a home and a working folder of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from runner.layout import Home
from runner.logging import disk

ROOT = Path(__file__).parents[2]
ONCE = ("run", "--once", "--no-dashboard")
COUNTS = re.compile(r"journal ([\d,]+) = archive ([\d,]+) = warehouse ([\d,]+) +\((.*)\)")
_PROMPT = "[shipping]\nlinger_seconds = 0.2\n"
_DEADLINE = 90.0


class Tron:
    """One user's `tron`. `tron.toml` makes shippers leave soon after the last bot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        self.write_settings("")

    def write_settings(self, text: str) -> None:
        """Replace what `tron.toml` says beside how soon shippers leave."""
        (self.folder / "tron.toml").write_text(_PROMPT + text)

    def __call__(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self._command(arguments),
            cwd=self.folder,
            env=self.environ(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
            check=False,
        )

    def succeeds(self, *arguments: str, **environ: str) -> str:
        """Run a command that must end well; returns what it said."""
        done = self(*arguments, **environ)
        assert done.returncode == 0, f"tron {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}\n{self.shipper_said()}"
        return done.stdout

    def fails(self, *arguments: str, **environ: str) -> str:
        """Run a command that must fail with one line and a hint; returns the line."""
        done = self(*arguments, **environ)
        assert done.returncode != 0, done.stdout
        assert re.fullmatch(r"error: [^\n]+ \([^\n]+\)\n", done.stderr), done.stderr
        return done.stderr

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command(arguments),
            cwd=self.folder,
            env=self.environ(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        own = {"TRON_HOME": str(self.home.path), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        return {**os.environ, **own, **(more or {})}

    def shippers(self) -> list[int]:
        """The process ids of the shippers that follow this home (Linux)."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._ships_here(pid)]

    def kill_shippers(self) -> int:
        """Send SIGKILL to the shippers of this home; returns how many there were."""
        found = self.shippers()
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not disk.is_locked(self.home.shipper_lock))
        return len(found)

    def shipper_said(self) -> str:
        return self.home.shipper_log.read_text() if self.home.shipper_log.exists() else ""

    def rest(self) -> None:
        """Wait until no shipper works on this home."""
        until(lambda: not (disk.is_locked(self.home.shipper_lock) or self.shippers()))

    def _ships_here(self, pid: int) -> bool:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False
        return b"ship" in command and b"--follow" in command and f"TRON_HOME={self.home.path}".encode() in environ

    @staticmethod
    def _command(arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "runner.cli", *arguments]


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + _DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def end(process: subprocess.Popen[str]) -> str:
    """Wait for a process that must end well; returns what it said."""
    output, _ = process.communicate(timeout=_DEADLINE)
    assert process.returncode == 0, output
    return output


def equal_count(output: str) -> int:
    """The three equal numbers of a summary."""
    found = COUNTS.search(output)
    assert found, output
    journal, archive, warehouse = (int(number.replace(",", "")) for number in found.groups()[:3])
    assert journal == archive == warehouse
    assert found.group(4) == "equal"
    return journal
