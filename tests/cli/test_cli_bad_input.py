"""What a user can get wrong: one line that says what and what to do, a non-zero exit, and nothing half-written."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import evidence
from tests.cli.terminal import ONCE, Tron, until

HEADER = "timestamp,symbol,open,high,low,close,volume\n"
GOOD = "2024-01-01,ABC,10,11,9,10,100\n2024-01-02,ABC,10,11,9,10,100\n2024-01-03,ABC,10,11,9,10,100\n"
FILES = {
    "empty": ("", "cannot be read"),
    "without bars": (HEADER, "no bars"),
    "without columns": ("timestamp,open,high,low,close\n2024-01-01,10,11,9,10\n", "columns missing: volume"),
    "out of order": (HEADER + GOOD.replace("2024-01-03", "2023-01-03"), "row 3"),
    "duplicated": (HEADER + GOOD.replace("2024-01-03", "2024-01-02"), "same time"),
    "NaN": (HEADER + GOOD.replace("11", "nan", 1), "not a number"),
    "negative": (HEADER + GOOD.replace("9", "-9", 1), "not positive"),
}
OPTIONS = {
    "unknown feed": (("--feed", "nasdaq"), "unknown feed 'nasdaq'"),
    "missing file": (("--feed", "replay:missing.csv"), "missing.csv does not exist"),
    "unknown strategy": (("--strategy", "luck"), "unknown strategy 'luck'"),
    "unknown module": (("--strategy", "luck:Luck"), "cannot be imported"),
    "unknown symbol": (("--symbols", "XYZ"), "no bars of XYZ"),
    "wrong number": (("--speed", "fast"), "--speed"),
    "negative speed": (("--speed", "-1"), "--speed"),
    "wrong option": (("--quick",), "--quick"),
}
SETTINGS = {
    "wrong key": ("[feed]\nspeeed = 3\n", "no key 'feed.speeed'"),
    "value for a section": ("feed = 3\n", "feed"),
    "broken TOML": ("[feed\n", "cannot be read"),
    "wrong value": ("[broker]\ncash = -1\n", "broker.cash"),
    "impossible charges": ("[broker]\nfee_bps = 20000\n", "charges"),
    "unknown parameter": ('[[bots]]\nname = "a"\nstrategy = "vwap"\nparameters = { luck = 1 }\n', "no parameter luck"),
    "two bots of one name": ('[[bots]]\nname = "a"\nstrategy = "vwap"\n' * 2, "same name"),
    "unknown live store": ('[stores]\nlive = "redis://x"\n', "no such kind of store"),
    "unknown archive": ('[stores]\narchive = "ftp://x"\n', "no such kind of store"),
    "unknown warehouse": ('[stores]\nwarehouse = "x"\n', "no such kind of store"),
}


@pytest.mark.parametrize(("content", "words"), FILES.values(), ids=FILES)
def test_bars_that_cannot_be_trusted_start_nothing(tron: Tron, content: str, words: str) -> None:
    (tron.folder / "bars.csv").write_text(content)

    assert words in tron.fails(*ONCE, "--feed", "replay:bars.csv")
    assert not tron.home.path.exists()


@pytest.mark.parametrize(("options", "words"), OPTIONS.values(), ids=OPTIONS)
def test_a_wrong_option_starts_nothing(tron: Tron, options: tuple[str, ...], words: str) -> None:
    assert words in tron.fails(*ONCE, *options)
    assert not tron.home.path.exists()


@pytest.mark.parametrize(("content", "words"), SETTINGS.values(), ids=SETTINGS)
def test_wrong_settings_start_nothing(tron: Tron, content: str, words: str) -> None:
    (tron.folder / "tron.toml").write_text(content)

    assert words in tron.fails(*ONCE)
    assert not tron.home.path.exists()


@pytest.mark.parametrize("verb", ["tail", "verify", "dashboard", "query", "search", "resume"])
def test_verbs_that_look_at_a_home_need_one(tron: Tron, verb: str) -> None:
    arguments = {"query": ["SELECT 1"], "search": ["x"], "resume": ["a", "--actor", "me", "--reason", "why"]}

    assert "there is no home" in tron.fails(verb, *arguments.get(verb, []))
    assert not tron.home.path.exists()


def test_an_unknown_verb_is_told(tron: Tron) -> None:
    assert "fly" in tron.fails("fly")


def test_a_port_in_use_starts_nothing(tron: Tron) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert f"port {port} on 127.0.0.1 is in use" in tron.fails("run", "--once", TRON_PORT=str(port))
        assert not tron.home.path.exists()


@pytest.mark.parametrize("place", ["file", "file/home"])
def test_a_home_that_cannot_be_made_is_told(tron: Tron, place: str) -> None:
    (tron.folder / "file").write_text("not a folder")

    assert "cannot be written" in tron.fails(*ONCE, TRON_HOME=str(tron.folder / place))


def test_a_read_only_home_is_told(tron: Tron) -> None:
    tron.home.create()
    with mounted(tron.home.path, "-t", "tmpfs", "-o", "ro"):
        assert "Read-only" in tron.fails(*ONCE)


def test_a_full_disk_ends_a_run_whose_records_are_shipped_when_there_is_space_again(tron: Tron) -> None:
    image = tron.folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(48 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True, capture_output=True)
    tron.home.path.mkdir()
    with mounted(tron.home.path, "-o", "loop", str(image)):
        filler = tron.home.path / "filler"
        _fill(filler, leave=9 << 20)

        assert "disk is full" in tron.fails(*ONCE, "--strategy", "vwap")

        until(lambda: not tron.shippers())
        filler.unlink()
        tron.succeeds("ship")
        assert "verify: complete" in tron.succeeds("verify")
        evidence.assert_each_once(tron.home.path)


def test_init_does_not_replace_a_file_unasked(tron: Tron) -> None:
    assert "exists" in tron.fails("init")
    assert "wrote" in tron.succeeds("init", "--force")


def test_only_a_halted_bot_can_be_resumed(tron: Tron) -> None:
    tron.home.create()

    assert "vwap is not halted" in tron.fails("resume", "vwap", "--actor", "me", "--reason", "why")
    assert not list(tron.home.journal.iterdir())


@contextlib.contextmanager
def mounted(place: Path, *arguments: str) -> Iterator[None]:
    """A file system of its own at `place`; skips where the test may not mount one."""
    source = [] if arguments[-1].endswith(".img") else ["none"]
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    done = subprocess.run(["mount", *arguments, *source, str(place)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this machine mounts no file system here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(path: Path, *, leave: int) -> None:
    space = os.statvfs(path.parent)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - leave)
