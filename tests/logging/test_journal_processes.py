"""Journals and the processes that own them: several at once, forked, ended in every way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runner.layout import Home
from runner.logging import TradingLogger, lines
from runner.logging.journal import is_alive, read_info, run_folder, runs
from tests.logging.journal_stage import offsets, records, recovered, seqs, settings

ROOT = Path(__file__).parents[2]
OPEN = """
import os, signal, sys, threading
from pathlib import Path
from runner.layout import Home
from runner.logging import TradingLogger
from tests.logging.journal_stage import settings
logger = TradingLogger(settings=settings(Home(Path(sys.argv[1]))))
for number in range(100):
    logger.log_system_event("went on", number=number)
"""


def run_program(home: Home, rest: str) -> int:
    """Run a program that opens a logger, logs a hundred records, and then does `rest`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", OPEN + rest, str(home.path)]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


def events(home: Home, run: str) -> list[int]:
    found = [lines.decode(line)["data"] for line in records(home, run, "system")]
    return [data["context"]["number"] for data in found if "number" in data.get("context", {})]


def test_a_program_that_ends_without_close_ends_its_run_properly(home: Home) -> None:
    assert run_program(home, "") == 0

    (run,) = runs(home)
    assert run.closed == "close"
    assert events(home, run.run) == list(range(100))


def test_a_program_that_fails_ends_its_run_properly(home: Home) -> None:
    assert run_program(home, "sys.stderr.close(); raise SystemExit(3)") == 3

    (run,) = runs(home)
    assert run.closed == "close"
    assert events(home, run.run) == list(range(100))


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_program_that_ends_at_once_loses_nothing(home: Home, end: str) -> None:
    run_program(home, end)

    (run,) = runs(home)
    assert (run.closed, is_alive(home, run.run)) == ("", False)
    recovered(home, run.run)
    assert events(home, run.run) == list(range(100))


def test_two_processes_write_one_home_at_the_same_time(home: Home) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", OPEN, str(home.path)]
    programs = [subprocess.Popen(command, env=environment, cwd=ROOT) for _ in range(2)]
    assert [program.wait() for program in programs] == [0, 0]

    found = runs(home)
    assert len(found) == 2
    assert len({run.epoch for run in found}) == 2
    for run in found:
        assert events(home, run.run) == list(range(100))
        assert seqs(home, run.run) == list(range(run.records))


def test_closing_twice_is_harmless(home: Home) -> None:
    logger = TradingLogger(settings=settings(home))
    logger.log_system_event("once")
    logger.close()
    logger.close()

    assert len(records(home, logger.run, "seals")) == 1


def in_child(logger: TradingLogger, count: int, descriptors: int) -> int:
    """What a forked child does; returns its exit status."""
    if len(open_files(logger.run)) > descriptors:
        return 2
    parent = logger.run
    for number in range(count):
        logger.log_system_event("child", number=number)
    return 0 if logger.run != parent else 3


def open_files(run: str) -> list[str]:
    """Files of a run that this process holds open or mapped."""
    found: list[str] = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return [path for path in found if run in path]


def fork_and_log(logger: TradingLogger, count: int) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = in_child(logger, count, 0)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not tell which files are open")
def test_a_forked_child_holds_nothing_of_its_parent_and_becomes_a_run_of_its_own(home: Home) -> None:
    logger = TradingLogger(settings=settings(home))
    for number in range(50):
        logger.log_system_event("parent", number=number)

    assert fork_and_log(logger, 20) == 0
    for number in range(50, 80):
        logger.log_system_event("parent", number=number)
    logger.close()

    assert events(home, logger.run) == list(range(80))
    (child,) = [run for run in runs(home) if run.run != logger.run]
    recovered(home, child.run)
    assert events(home, child.run) == list(range(20))
    assert child.bot == logger.bot


def test_a_forked_child_that_logs_nothing_opens_no_run(home: Home) -> None:
    logger = TradingLogger(settings=settings(home))
    logger.log_system_event("parent", number=0)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

    assert [run.run for run in runs(home)] == [logger.run]
    assert is_alive(home, logger.run)
    logger.close()


def test_a_stopped_writer_is_not_taken_for_dead(home: Home) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = subprocess.Popen(
        [sys.executable, "-c", OPEN + "print(flush=True); sys.stdin.read()", str(home.path)],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert program.stdout
    assert program.stdin
    program.stdout.readline()
    (run,) = runs(home)
    os.kill(program.pid, signal.SIGSTOP)
    assert is_alive(home, run.run)

    os.kill(program.pid, signal.SIGCONT)
    program.communicate()
    ended = read_info(run_folder(home, run.run))
    assert ended is not None
    assert ended.closed == "close"
    assert offsets(home, run.run, "system") == list(range(100))
