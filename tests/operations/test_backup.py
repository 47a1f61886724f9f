"""A backup is whole or absent, fits together though bots go on writing, and comes back as it was."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from runner.errors import ConfigError, JournalError, StoreUnavailable
from runner.layout import Home
from runner.logging import lines
from runner.logging.audit import Auditor
from runner.logging.disk import FileLock
from runner.logging.housekeeping import House as JournalHouse
from runner.logging.journal import run_folder
from runner.logging.reader import segments
from runner.logging.recovery import recover
from runner.operations.backup import take
from runner.operations.restoring import restore_home
from runner.operations.snapshot import RunSnapshot
from runner.operations.vault import Vault
from runner.settings import Settings
from runner.stores.directory import DirectoryArchive
from runner.stores.memory import MemoryArchive
from runner.testing import Fault, FaultyArchive, in_turn
from tests.logging.journal_stage import records
from tests.logging.journeys import Fleet, PlainWriter, RecordingStream, archived_lines, ship_all
from tests.operations.backups import House, export, files_of, house, open_logger, remote_source


@pytest.fixture
def built(home: Home) -> House:
    return house(home)


def restored(built: House, folder: Path) -> Home:
    return restore_home(built.vault, built.vault.choose("newest"), folder).home


def test_a_restored_home_holds_every_record_and_verifies(built: House, tmp_path: Path) -> None:
    export(built)
    built.back_up()

    again = restored(built, tmp_path / "again")

    report = Auditor(DirectoryArchive(again.archive), again, clock=built.clock).verify()
    assert report.complete, report.findings
    assert report.records == Auditor(built.archive, built.home, clock=built.clock).verify().records
    assert files_of(again.warehouse) == files_of(built.home.warehouse)
    assert files_of(again.archive) == files_of(built.home.archive)


def test_a_restored_home_goes_on_where_the_old_one_was_and_doubles_nothing(built: House, tmp_path: Path) -> None:
    built.back_up()
    again = House(restored(built, tmp_path / "again"), built.place, built.clock)

    for info in JournalHouse(again.home, [], Settings(home=again.home.path), built.clock).adopt():
        assert info.records
    again.ship()

    report = Auditor(again.archive, again.home, clock=built.clock).verify()
    assert (report.complete, report.in_journal, report.unsealed) == (True, 0, [])


def test_a_backup_while_threads_write_is_a_prefix_of_each_run_by_seq(home: Home, tmp_path: Path) -> None:
    built = House(home, MemoryArchive())
    stop = threading.Event()
    with open_logger(home) as logger:

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                logger.log_system_event("tick", number=number)
                logger.log_performance_metric("number", number)
                logger.log_warning("slow")

        threads = [threading.Thread(target=write) for _ in range(2)]
        for thread in threads:
            thread.start()
        acknowledged = [logger.log_system_event("before the backup", round=number) for number in range(3)]
        reports = [built.back_up() for _ in range(3)]
        stop.set()
        for thread in threads:
            thread.join()

    for number, report in enumerate(reports):
        again = restore_home(built.vault, report.backup, tmp_path / f"again-{number}").home
        written = [line for name in ("system", "metrics", "errors") for line in records(again, logger.run, name)]
        seqs = sorted(lines.head(line)[0] for line in written)
        assert seqs == list(range(len(seqs)))
        found = {lines.decode(line)["id"] for line in records(again, logger.run, "system")}
        assert found >= set(acknowledged)
        recover(again, logger.run, built.clock)
        audit = Auditor(DirectoryArchive(again.archive), again, clock=built.clock).verify()
        assert audit.complete, audit.findings


def test_records_that_are_only_in_the_front_are_kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.logging.journal._IDLE_TICK", 30.0)
    monkeypatch.setattr("runner.logging.journal._TICK", 30.0)
    with open_logger(home) as logger:
        last = logger.log_system_event("just now")
        snapshot = RunSnapshot(home, logger.run)
        kept = {file.path: file.content.read() for file in snapshot.files()}
        snapshot.close()

    assert any(last.encode() in content for content in kept.values())
    assert snapshot.head().newest == last


def test_what_was_archived_after_the_journal_was_taken_is_not_in_the_backup(home: Home, tmp_path: Path) -> None:
    built = House(home, MemoryArchive())
    writer = built.write(trades=10)
    built.ship()

    class LateArchive(DirectoryArchive):
        """Ships more just before the archive is looked at."""

        def list(self, bucket: str, prefix: str = "") -> object:  # type: ignore[override]
            if not late:
                late.append(built.write("late", trades=3))
                built.write_more(writer, 5)
                built.ship()
            return super().list(bucket, prefix)

    late: list[PlainWriter] = []
    source = built.source()
    object.__setattr__(source, "archive", LateArchive(home.archive))
    report = take(source, built.vault, built.clock)
    again = restore_home(built.vault, report.backup, tmp_path / "again").home

    assert late
    audit = Auditor(DirectoryArchive(again.archive), again, clock=built.clock).verify()
    assert (audit.complete, audit.runs) == (True, 1)
    assert len(records(again, writer.run, "trades")) == 20


def test_a_run_whose_older_segments_were_swept_is_recovered_with_the_right_seal(home: Home, tmp_path: Path) -> None:
    built = House(home, MemoryArchive())
    writer = PlainWriter(home, built.clock)
    for _ in range(6):
        writer.metrics(700)
        writer.rotate("metrics")
    fleet = Fleet(home, built.clock, _NoLive(), built.archive, RecordingStream()).build()
    ship_all(follower for follower in fleet if follower.pins)
    JournalHouse(home, fleet, Settings(home=home.path), built.clock).sweep()
    assert segments(writer.folder, "metrics")[0] > 0
    writer.metrics(5)
    built.back_up()

    again = House(restored(built, tmp_path / "again"), built.place, built.clock)
    JournalHouse(again.home, [], Settings(home=again.home.path), built.clock).adopt()
    again.ship()

    report = Auditor(again.archive, again.home, clock=built.clock).verify()
    assert (report.complete, report.records, report.unsealed) == (True, 6 * 700 + 5 + 1, [])


class _NoLive:
    """Stands where a live store is not looked at."""

    def close(self) -> None: ...


def test_a_second_backup_keeps_only_what_is_new(built: House) -> None:
    first = built.back_up()
    second = built.back_up()

    assert first.manifest.new_bytes > 10 * second.manifest.new_bytes
    assert second.manifest.files >= first.manifest.files


def test_a_home_with_a_remote_archive_comes_back_and_takes_what_was_archived_since(home: Home, tmp_path: Path) -> None:
    built = House(home, MemoryArchive())
    remote = MemoryArchive()
    built.archive = remote  # type: ignore[assignment]
    writer = built.write(trades=10)
    built.ship()
    report = take(remote_source(home, remote), built.vault, built.clock)
    built.write_more(writer, 10)
    built.ship()

    made = restore_home(built.vault, report.backup, tmp_path / "again", archive=remote)

    again = House(made.home, built.place, built.clock)
    again.archive = remote  # type: ignore[assignment]
    JournalHouse(again.home, [], Settings(home=again.home.path), built.clock).adopt()
    again.ship()
    audit = Auditor(remote, again.home, clock=built.clock).verify()
    assert (audit.complete, audit.unsealed) == (True, [])
    assert archived_lines(remote)[writer.run]["trades"] == b"".join(writer.lines["trades"])
    assert made.caught_up > 0
    assert {file.path for file in built.vault.files(report.manifest)} >= {"archive-inventory.ndjson"}


@pytest.mark.parametrize("place", ["state/link", "models/link", "archive/tron-trade-logs/link", "warehouse"])
def test_a_symbolic_link_is_refused_and_named(built: House, place: str, tmp_path: Path) -> None:
    path = built.home.path / place
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(tmp_path)

    with pytest.raises(ConfigError, match=f"{place} is a symbolic link"):
        built.back_up()
    assert built.vault.ids() == []


def test_secrets_never_get_into_a_backup(built: House, tmp_path: Path) -> None:
    (built.home.path / ".env").write_text("API_KEY=hunter2-hunter2")
    (built.home.path / "models").mkdir()
    secrets = ("service-account.json", "id_rsa", "tls.pem", ".env")
    for name in (*secrets, "model.txt"):
        (built.home.path / "models" / name).write_text("hunter2-hunter2" if name in secrets else "tree")

    report = built.back_up()

    again = restored(built, tmp_path / "again")
    assert [path.name for path in (again.path / "models").iterdir()] == ["model.txt"]
    assert not (again.path / ".env").exists()
    assert set(report.manifest.left_out) == {f"models/{name}" for name in secrets}


def test_a_pipe_in_the_home_is_refused_and_not_waited_for(built: House) -> None:
    os.mkfifo(built.home.state / "pipe")

    with pytest.raises(ConfigError, match="neither a file nor a folder"):
        built.back_up()


def test_a_backup_whose_place_fails_is_no_backup_and_the_next_one_goes_on(home: Home) -> None:
    place = MemoryArchive()
    built = House(home, FaultyArchive(place, in_turn(*[None] * 6, *[Fault()] * 4)))
    built.write(trades=3).close()

    with pytest.raises(StoreUnavailable):
        built.back_up()
    assert Vault(place, "home").ids() == []

    built.back_up()
    assert len(Vault(place, "home").ids()) == 1


def test_a_second_backup_of_a_home_at_the_same_time_is_refused(built: House) -> None:
    lock = FileLock(built.home.path / "backup.lock")
    assert lock.acquire()

    with pytest.raises(ConfigError, match="another backup"):
        built.back_up()
    lock.release()


def test_two_homes_never_share_a_set(built: House, tmp_path: Path) -> None:
    built.back_up()
    other = House(Home(tmp_path / "other").create(), built.place)

    with pytest.raises(ConfigError, match="of another home"):
        other.back_up()


def test_a_home_that_was_restored_goes_on_with_its_set(built: House, tmp_path: Path) -> None:
    built.back_up()
    House(restored(built, tmp_path / "again"), built.place, built.clock).back_up()

    assert len(built.vault.ids()) == 2


def test_a_live_store_that_is_being_written_is_copied_whole(built: House, tmp_path: Path) -> None:
    writing = sqlite3.connect(built.home.live, isolation_level=None)
    writing.execute("BEGIN IMMEDIATE")
    writing.execute("UPDATE feed SET last = last + 1000")
    try:
        built.back_up()
    finally:
        writing.execute("ROLLBACK")
        writing.close()

    with sqlite3.connect(restored(built, tmp_path / "again").live) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT count(*) FROM documents").fetchone() > (0,)
    copy.close()


def test_a_damaged_live_store_stops_the_backup_and_says_how_to_go_on(built: House) -> None:
    for ending in ("-wal", "-shm"):
        built.home.live.with_name(f"live.sqlite{ending}").unlink(missing_ok=True)
    built.home.live.write_bytes(b"not a database" * 1000)

    with pytest.raises(StoreUnavailable, match="cannot be copied") as caught:
        built.back_up()
    assert "tron restore --live" in caught.value.hint


def test_a_run_with_a_damaged_run_json_is_kept_as_it_is(built: House, tmp_path: Path) -> None:
    writer = built.write("damaged", trades=2)
    (writer.folder / "run.json").write_bytes(b"{")
    built.back_up()

    again = restored(built, tmp_path / "again")
    assert (run_folder(again, writer.run) / "run.json").read_bytes() == b"{"
    assert records(again, writer.run, "trades") == writer.lines["trades"]


def test_a_run_that_changes_all_the_time_is_an_error_and_no_endless_loop(
    built: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(1_000_000))
    monkeypatch.setattr("runner.operations.snapshot.segments", lambda folder, stream: [next(numbers)])

    with pytest.raises(JournalError, match="changes faster"):
        built.back_up()


class TestRestoring:
    def test_a_home_with_records_is_not_replaced_unless_forced_and_then_set_aside(self, built: House) -> None:
        backup = built.back_up().backup
        before = files_of(built.home.path)
        for info in sorted(built.home.journal.glob("*/lock")):
            info.unlink()

        with pytest.raises(ConfigError, match="has records"):
            restore_home(built.vault, backup, built.home.path)
        made = restore_home(built.vault, backup, built.home.path, force=True)

        assert made.aside is not None
        assert made.aside.name == "home.old-1"
        assert files_of(made.aside) == before
        assert Auditor(built.archive, built.home, clock=built.clock).verify().complete

    def test_a_home_whose_bots_live_is_never_replaced(self, built: House) -> None:
        backup = built.back_up().backup

        with pytest.raises(ConfigError, match="is in use"):
            restore_home(built.vault, backup, built.home.path, force=True)

    def test_a_damaged_piece_is_found_before_anything_is_replaced(self, built: House, tmp_path: Path) -> None:
        backup = built.back_up().backup
        piece = built.vault.files(built.vault.manifest(backup))[0].pieces[0]
        damage(built.place, f"home/pieces/{piece[:2]}/{piece}")
        target = Home(tmp_path / "target").create()

        with pytest.raises(Exception, match=r"cannot be restored|damaged"):
            restore_home(built.vault, backup, target.path)
        assert sorted(path.name for path in tmp_path.iterdir() if "restoring" in path.name) == []
        assert target.journal.is_dir()

    def test_what_a_restore_that_was_killed_has_left_is_cleared_away(self, built: House, tmp_path: Path) -> None:
        left = tmp_path / ".again.restoring-99999999"
        left.mkdir()
        built.back_up()

        restored(built, tmp_path / "again")

        assert not left.exists()

    def test_a_mounted_disk_is_refused_before_anything_is_read(
        self, built: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backup = built.back_up().backup
        monkeypatch.setattr("os.path.ismount", lambda path: path == tmp_path / "disk")
        (tmp_path / "disk").mkdir()

        with pytest.raises(ConfigError, match="mounted"):
            restore_home(built.vault, backup, tmp_path / "disk")

    def test_times_and_permissions_come_back(self, built: House, tmp_path: Path) -> None:
        built.back_up()
        again = restored(built, tmp_path / "again")
        (run,) = [path.parent.name for path in built.home.journal.glob("*/run.json") if b'"close"' in path.read_bytes()]

        old, new = ((one.journal / run / "run.json").stat() for one in (built.home, again))
        assert (new.st_mtime_ns, new.st_mode & 0o777) == (old.st_mtime_ns, 0o600)
        assert again.path.stat().st_mode & 0o777 == 0o700


def damage(place: object, prefix: str) -> str:
    """Flip a bit in the first object below a prefix of the backups; returns its name."""
    assert isinstance(place, MemoryArchive)
    info = next(iter(place.list("backups", prefix)))
    body = bytearray(place.read("backups", info.name))
    body[len(body) // 2] ^= 4
    place.delete("backups", info.name)
    place.create("backups", info.name, bytes(body), metadata=info.metadata, content_type="application/gzip")
    return info.name
