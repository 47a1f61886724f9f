"""A drill believes nothing: a backup that is damaged anywhere fails it, and the file is named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable

import pytest

from runner.errors import ConfigError
from runner.layout import Home
from runner.logging.audit import Auditor
from runner.operations.backup import take
from runner.operations.drill import DrillReport, drill
from runner.operations.vault import BUCKET, Vault
from runner.stores.memory import MemoryArchive
from runner.stores.sqlite import SqliteLiveStore
from tests.operations.backups import House, export, house, remote_source


@pytest.fixture
def built(home: Home) -> House:
    return house(home)


def drilled(built: House) -> DrillReport:
    return drill(Vault(built.place, "home"), built.clock)


def change(place: object, name: str, edit: Callable[[bytes], bytes | None]) -> None:
    """Replace an object of the backups by what `edit` makes of it, or delete it."""
    assert isinstance(place, MemoryArchive)
    info = place.stat(BUCKET, name)
    assert info is not None
    body = edit(place.read(BUCKET, name))
    place.delete(BUCKET, name)
    if body is not None:
        place.create(BUCKET, name, body, metadata=info.metadata, content_type="application/gzip")


def flipped(body: bytes) -> bytes:
    return body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 4]) + body[len(body) // 2 + 1 :]


def piece_of(built: House, backup: str, path: str) -> str:
    """The object that holds the first piece of a file."""
    file = next(file for file in built.vault.files(built.vault.manifest(backup)) if file.path.startswith(path))
    return f"home/pieces/{file.pieces[0][:2]}/{file.pieces[0]}.gz"


def test_a_sound_backup_passes_and_says_what_came_back(built: House) -> None:
    export(built)
    report = built.back_up()
    built.clock.advance(600)

    found = drilled(built)

    assert (found.passed, found.findings, found.backup) == (True, (), report.backup)
    assert found.newest == report.manifest.newest.newest if report.manifest.newest else False
    assert found.records == Auditor(built.archive, built.home, clock=built.clock).verify().records > 100
    assert found.documents > 10
    assert found.rpo is not None
    assert 600 <= found.rpo < 610


@pytest.mark.parametrize(
    "path",
    [
        "archive/tron-trade-logs/logs",
        "archive/tron-system-logs/.metadata",
        "journal/",
        "live.sqlite",
        "checkpoints/",
        "state/",
    ],
)
@pytest.mark.parametrize("edit", [flipped, lambda body: body[:-1], lambda body: None, lambda body: b""])
def test_a_damaged_or_missing_piece_fails_the_drill_and_names_the_file(
    built: House, path: str, edit: Callable[[bytes], bytes | None]
) -> None:
    backup = built.back_up().backup
    change(built.place, piece_of(built, backup, path), edit)

    found = drilled(built)

    assert not found.passed
    assert any(finding.startswith(path) for finding in found.findings)
    assert all("cannot be restored" in finding for finding in found.findings)


@pytest.mark.parametrize("edit", [flipped, lambda body: body[:-20], lambda body: b"", lambda body: b"{}"])
def test_a_damaged_manifest_fails_the_drill_and_is_named(built: House, edit: Callable[[bytes], bytes]) -> None:
    backup = built.back_up().backup
    change(built.place, f"home/manifests/{backup}.json", edit)

    found = drilled(built)

    assert (found.passed, found.rpo) == (False, None)
    assert backup in found.findings[0]


def test_a_damaged_index_fails_the_drill(built: House) -> None:
    report = built.back_up()
    name = report.manifest.index[0]
    change(built.place, f"home/pieces/{name[:2]}/{name}.gz", flipped)

    assert drilled(built).findings[0].startswith("the list of files of the backup cannot be read: the piece home/")


def test_a_repairing_backup_replaces_a_damaged_piece_and_the_drill_passes_again(built: House) -> None:
    backup = built.back_up().backup
    change(built.place, piece_of(built, backup, "archive/tron-trade-logs/logs"), flipped)
    assert not drilled(built).passed

    built.back_up()
    assert not drilled(built).passed
    built.back_up(repair=True)

    assert drilled(built).passed


def test_a_home_that_was_damaged_before_the_backup_fails_the_drill(built: House) -> None:
    (path, *_) = sorted(built.home.archive.glob("tron-trade-logs/logs/**/vwap/trades_*.json.gz"))
    path.unlink()
    for folder in built.home.journal.glob("*/"):
        if b'"vwap"' in (folder / "run.json").read_bytes():
            shutil.rmtree(folder)
    built.back_up()

    found = drilled(built)

    assert not found.passed
    assert any(finding.startswith("verify: ") and "trades" in finding for finding in found.findings)


def test_a_live_document_that_is_not_what_its_records_say_fails_the_drill(built: House) -> None:
    with sqlite3.connect(built.home.live) as connection:
        connection.execute("UPDATE documents SET fields = '{}' WHERE collection = 'live_positions' OR key LIKE '%-3'")
    connection.close()
    built.back_up()

    found = drilled(built)

    assert not found.passed
    assert all(finding.startswith("live.sqlite: live_trades/") and "differs" in finding for finding in found.findings)


def test_a_live_store_without_what_was_under_way_is_no_failure(built: House) -> None:
    live = SqliteLiveStore(built.home.live, clock=built.clock)
    behind = len(live.query("live_trades", now=built.clock.now()))
    live.close()
    built.back_up()

    found = drilled(built)

    assert found.passed
    assert found.documents > behind


def test_without_any_backup_there_is_nothing_to_drill(built: House) -> None:
    with pytest.raises(ConfigError, match="no backup"):
        drilled(built)


class TestRemoteArchive:
    @pytest.fixture
    def remote(self, home: Home) -> tuple[House, MemoryArchive]:
        built = House(home, MemoryArchive())
        archive = MemoryArchive()
        built.archive = archive  # type: ignore[assignment]
        writer = built.write(trades=10)
        built.ship()
        take(remote_source(home, archive), built.vault, built.clock)
        built.write_more(writer, 10)
        built.write("later", trades=2)
        built.ship()
        return built, archive

    def test_it_is_looked_at_as_it_was(self, remote: tuple[House, MemoryArchive]) -> None:
        built, archive = remote

        found = drill(built.vault, built.clock, remote=archive)

        assert (found.passed, found.findings, found.runs) == (True, (), 1)

    def test_what_it_has_lost_since_fails_the_drill(self, remote: tuple[House, MemoryArchive]) -> None:
        built, archive = remote
        for info in list(archive.list("system-logs", "logs/")):
            archive.delete("system-logs", info.name)

        found = drill(built.vault, built.clock, remote=archive)

        assert not found.passed
        assert any("the archive held" in finding and "system" in finding for finding in found.findings)
