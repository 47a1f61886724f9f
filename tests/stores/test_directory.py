from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import random
import signal
import stat
import time
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import pytest

from runner.errors import ObjectExists, StoreRejected, StoreUnavailable
from runner.stores.directory import DirectoryArchive

NAME = "logs/2024/06/03/breakout/trades_143000_deadbeef-000000000000_v1.json.gz"
SPAWN = multiprocessing.get_context("spawn")
CALLS = ("mkdir", "open", "write", "fsync", "rename")


def create(archive: DirectoryArchive, name: str, body: bytes) -> None:
    digest = hashlib.sha256(body).hexdigest()
    archive.create("trade-logs", name, body, metadata={"raw_sha256": digest}, content_type="application/gzip")


def check_every_object_is_whole(archive: DirectoryArchive) -> list[str]:
    infos = list(archive.list("trade-logs"))
    for info in infos:
        body = archive.read("trade-logs", info.name)
        assert info.size == len(body)
        assert info.metadata == {"raw_sha256": hashlib.sha256(body).hexdigest()}
    return [info.name for info in infos]


def sidecars(root: Path) -> list[Path]:
    return sorted((root / "tron-trade-logs" / ".metadata").rglob("*.json"))


def die_before_system_call(root: Path, number: int) -> None:
    """Create an object and die by SIGKILL before the `number`-th call that touches the disk."""
    left = [number]

    def dying(call: Any) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return run

    for name in CALLS:
        setattr(os, name, dying(getattr(os, name)))
    create(DirectoryArchive(root), NAME, b"of the dead")


def create_without_end(root: Path) -> None:
    archive = DirectoryArchive(root)
    for number in range(1_000_000):
        create(archive, f"logs/{os.getpid()}/{number:06d}", os.urandom(20_000))


def race(root: Path, names: list[str], won: SimpleQueue[tuple[str, bytes]]) -> None:
    archive = DirectoryArchive(root)
    for name in names:
        body = f"{os.getpid()} {name}".encode()
        try:
            create(archive, name, body)
        except ObjectExists:
            continue
        won.put((name, body))


@pytest.mark.crash
def test_a_writer_killed_before_any_system_call_leaves_a_whole_object_or_none(tmp_path: Path) -> None:
    seen = set()
    for number in range(1, 100):
        root = tmp_path / str(number)
        writer = SPAWN.Process(target=die_before_system_call, args=(root, number))
        writer.start()
        writer.join()
        archive = DirectoryArchive(root)
        names = check_every_object_is_whole(archive)
        seen.add(tuple(names))
        create(archive, "logs/next", b"of the living")
        assert check_every_object_is_whole(archive) == [*names, "logs/next"]
        assert len(sidecars(root)) == len(names) + 1
        assert os.listdir(root / "tron-trade-logs" / ".partial") == []
        if writer.exitcode == 0:
            break
    assert writer.exitcode == 0
    assert number > 15
    assert seen == {(), (NAME,)}


@pytest.mark.crash
def test_writers_killed_at_random_moments_leave_only_whole_objects(tmp_path: Path) -> None:
    for _ in range(5):
        writers = [SPAWN.Process(target=create_without_end, args=(tmp_path,)) for _ in range(2)]
        for writer in writers:
            writer.start()
        time.sleep(random.uniform(0.4, 1.0))
        for writer in writers:
            writer.kill()
            writer.join()
        check_every_object_is_whole(DirectoryArchive(tmp_path))
    archive = DirectoryArchive(tmp_path)
    create(archive, "logs/last", b"")
    names = check_every_object_is_whole(archive)
    assert len(names) > 10
    assert len(sidecars(tmp_path)) == len(names)


def test_of_two_processes_that_race_for_a_name_exactly_one_wins(tmp_path: Path) -> None:
    names = [f"logs/{number:03d}" for number in range(200)]
    won: SimpleQueue[tuple[str, bytes]] = SPAWN.SimpleQueue()
    racers = [SPAWN.Process(target=race, args=(tmp_path, names, won)) for _ in range(2)]
    for racer in racers:
        racer.start()
    winners = [won.get() for _ in names]
    for racer in racers:
        racer.join()
    assert won.empty()
    assert sorted(name for name, _ in winners) == names
    archive = DirectoryArchive(tmp_path)
    assert all(archive.read("trade-logs", name) == body for name, body in winners)
    check_every_object_is_whole(archive)


def test_an_object_is_a_plain_private_file_below_its_buckets_folder(tmp_path: Path) -> None:
    create(DirectoryArchive(tmp_path / "archive"), NAME, b"bytes")
    path = tmp_path / "archive" / "tron-trade-logs" / NAME
    assert path.read_bytes() == b"bytes"
    for entry in [path, *path.parents[: len(path.relative_to(tmp_path).parts) - 1], *sidecars(tmp_path / "archive")]:
        assert stat.S_IMODE(entry.stat().st_mode) == (0o600 if entry.is_file() else 0o700)


BAD_NAMES = ["", "/etc/passwd", "../x", "logs/../x", "logs/./x", "logs//x", "logs/", ".hidden", "logs/.x"]
BAD_CHARACTERS = ["a\nb", "a\x00b", "a\x7f", "\ud800"]
TOO_LONG = ["x" * 241, "/".join(["x" * 200] * 6)]


@pytest.mark.parametrize("name", [*BAD_NAMES, *BAD_CHARACTERS, *TOO_LONG])
def test_a_name_that_could_leave_the_folder_or_hurt_it_is_rejected(tmp_path: Path, name: str) -> None:
    archive = DirectoryArchive(tmp_path)
    with pytest.raises(StoreRejected):
        create(archive, name, b"")
    with pytest.raises(StoreRejected):
        archive.read("trade-logs", name)
    with pytest.raises(StoreRejected):
        archive.delete("trade-logs", name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bucket", ["", "..", "a/b", "A", "-a", ".metadata"])
def test_a_name_that_is_no_bucket_is_rejected(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(StoreRejected):
        DirectoryArchive(tmp_path).stat(bucket, NAME)


@pytest.mark.parametrize(("first", "second"), [("logs/a", "logs/a/b"), ("logs/a/b", "logs/a")])
def test_a_name_that_is_a_folder_of_another_is_rejected_and_leaves_nothing(
    tmp_path: Path, first: str, second: str
) -> None:
    archive = DirectoryArchive(tmp_path)
    create(archive, first, b"first")
    with pytest.raises(StoreRejected):
        create(archive, second, b"second")
    assert check_every_object_is_whole(archive) == [first]
    assert archive.stat("trade-logs", second) is None
    assert len(sidecars(tmp_path)) == 1


def test_deleting_removes_the_folders_that_become_empty(tmp_path: Path) -> None:
    archive = DirectoryArchive(tmp_path)
    create(archive, NAME, b"")
    create(archive, "logs/2024/kept", b"")
    archive.delete("trade-logs", NAME)
    assert os.listdir(tmp_path / "tron-trade-logs" / "logs" / "2024") == ["kept"]
    assert [path.name for path in sidecars(tmp_path)] == ["kept.json"]


@pytest.mark.parametrize("damage", ["remove", "tear"])
def test_an_object_whose_metadata_was_removed_or_torn_by_hand_is_listed_with_none(tmp_path: Path, damage: str) -> None:
    archive = DirectoryArchive(tmp_path)
    create(archive, NAME, b"body")
    (sidecar,) = sidecars(tmp_path)
    if damage == "remove":
        sidecar.unlink()
    else:
        sidecar.write_bytes(sidecar.read_bytes()[:20])
    assert [(info.name, dict(info.metadata)) for info in archive.list("trade-logs")] == [(NAME, {})]


@pytest.mark.parametrize(
    ("code", "hint"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "read-only"), (errno.EACCES, "permissions")]
)
def test_what_the_disk_refuses_is_unavailable_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, hint: str
) -> None:
    archive = DirectoryArchive(tmp_path)
    create(archive, "logs/first", b"first")

    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreUnavailable) as caught:
            create(archive, NAME, b"second")
    assert hint in caught.value.hint
    assert archive.stat("trade-logs", NAME) is None
    create(archive, NAME, b"second")
    assert check_every_object_is_whole(archive) == [NAME, "logs/first"]


def test_a_full_disk_is_unavailable_and_leaves_only_whole_objects(small_disk: Path) -> None:
    archive = DirectoryArchive(small_disk)
    names = [f"logs/{number}" for number in range(5)]
    for name in names:
        create(archive, name, os.urandom(300_000))
    with pytest.raises(StoreUnavailable) as caught:
        create(archive, "logs/too-much", os.urandom(1_000_000))
    assert "free some space" in caught.value.hint
    assert check_every_object_is_whole(archive) == names
    archive.delete("trade-logs", names[0])
    create(archive, "logs/again", os.urandom(200_000))
    assert check_every_object_is_whole(archive) == [*names[1:], "logs/again"]
