"""On a terminal `tron run` is a live table; elsewhere it is plain lines. How `tron` is asked for help."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from runner.version import VERSION
from tests.cli.terminal import ONCE, Tron


def test_a_terminal_shows_a_live_table_and_then_the_summary(tron: Tron) -> None:
    screen = on_terminal(tron, "run", "--no-dashboard", "--speed", "6000", "--symbols", "IBM")

    assert "\x1b[" in screen
    assert "bars/s" in screen or "/s)" in screen
    assert screen.count("drawdown") > 2
    assert screen.rindex("verify: ") > screen.rindex("trading")
    assert "next:" in screen


def test_what_is_no_terminal_gets_plain_lines(tron: Tron) -> None:
    output = tron.succeeds(*ONCE, "--symbols", "IBM", "--strategy", "vwap")

    assert "\x1b" not in output
    assert output.startswith("bars 1 of ")


def test_a_run_at_its_own_pace_needs_no_option(tron: Tron) -> None:
    process = tron.start("run", "--no-dashboard")
    assert process.stdout
    line = process.stdout.readline()
    process.terminate()
    process.communicate()

    assert line.startswith("bars 1 of 12,154")
    assert process.returncode == 0


def test_tron_alone_shows_its_verbs(tron: Tron) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        output = tron.succeeds(*arguments)
        assert "Usage: tron" in output
        assert all(verb in output for verb in ("run", "ship", "tail", "search", "query", "verify", "doctor", "resume"))


def test_version_is_told(tron: Tron) -> None:
    assert tron.succeeds("--version") == f"tron {VERSION}\n"


def test_a_reader_that_has_seen_enough_is_no_error_to_see(tron: Tron) -> None:
    tron.succeeds(*ONCE, "--symbols", "IBM", "--strategy", "vwap")
    process = tron.start("tail", "-n", "100000", "--json")
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()

    assert process.wait() != 0
    assert "Traceback" not in tron.shipper_said()


def on_terminal(tron: Tron, *arguments: str) -> str:
    """Run a command under a pseudo terminal; returns all that it drew."""
    ours, theirs = pty.openpty()
    environ = tron.environ({"TERM": "xterm-256color", "COLUMNS": "160", "LINES": "50"})
    command = [sys.executable, "-m", "runner.cli", *arguments]
    process = subprocess.Popen(command, cwd=tron.folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    drawn = b""
    try:
        while chunk := os.read(ours, 1 << 16):
            drawn += chunk
    except OSError:
        pass  # Linux says so when the other side has closed
    finally:
        os.close(ours)
    assert process.wait() == 0
    return drawn.decode(errors="replace")
