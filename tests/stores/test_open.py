from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.settings import Settings, Stores
from runner.stores.columns import Column, ColumnType
from runner.stores.directory import DirectoryArchive
from runner.stores.memory import MemoryArchive, MemoryLiveStore, MemoryStream
from runner.stores.open import open_archive, open_live, open_stream, open_warehouse
from runner.stores.sqlite import SqliteLiveStore


def settings(home: Path, **urls: str) -> Settings:
    return Settings(home=home, stores=Stores(**urls))


def archive_root(home: Path, url: str) -> Path:
    archive = open_archive(settings(home, archive=url))
    assert isinstance(archive, DirectoryArchive)
    return archive.root


def test_empty_urls_open_the_embedded_stores_in_the_home(tmp_path: Path) -> None:
    live = open_live(settings(tmp_path))
    assert isinstance(live, SqliteLiveStore)
    assert live.path == tmp_path / "live.sqlite"
    live.close()
    assert archive_root(tmp_path, "") == tmp_path / "archive"
    assert isinstance(open_stream(settings(tmp_path)), MemoryStream)
    warehouse = open_warehouse(settings(tmp_path), {"trades": (Column("symbol", ColumnType.TEXT),)})
    assert warehouse.query("SELECT symbol FROM trades").rows == ()


def test_memory_is_a_live_store_and_an_archive_too(tmp_path: Path) -> None:
    assert isinstance(open_live(settings(tmp_path, live="memory:")), MemoryLiveStore)
    assert isinstance(open_archive(settings(tmp_path, archive="memory:")), MemoryArchive)
    assert list(tmp_path.iterdir()) == []


def test_paths_are_absolute_relative_or_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert archive_root(tmp_path, "file:///var/tron") == Path("/var/tron")
    assert archive_root(tmp_path, "file://var/tron") == tmp_path / "var/tron"
    assert archive_root(tmp_path, "file://./tron") == tmp_path / "tron"
    assert archive_root(tmp_path, "file://~/tron") == tmp_path / "me/tron"
    assert archive_root(tmp_path, "file:///~/tron") == tmp_path / "me/tron"


def test_a_relative_home_does_not_move_when_the_working_directory_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = archive_root(Path(".tron"), "")
    monkeypatch.chdir("/")
    assert root == tmp_path / ".tron" / "archive"


@pytest.mark.parametrize(
    "url", ["redis://x", "sqlite", "/var/tron", "file:", "file://", "file:///", "file:var", "duckdb:///x"]
)
def test_a_url_that_is_no_archive_is_refused_and_the_hint_lists_those_that_are(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="TRON_ARCHIVE") as caught:
        open_archive(settings(tmp_path, archive=url))
    assert caught.value.hint == "use file:///path or memory:"


def test_cloud_urls_say_that_they_are_not_part_of_this_version(tmp_path: Path) -> None:
    urls = {"live": "firestore://p/d", "archive": "gs://acme", "stream": "pubsub://p", "warehouse": "bigquery://p/d"}
    with pytest.raises(ConfigError, match="not part of this version"):
        open_live(settings(tmp_path, **urls))
    with pytest.raises(ConfigError, match="not part of this version"):
        open_archive(settings(tmp_path, **urls))
    with pytest.raises(ConfigError, match="not part of this version"):
        open_stream(settings(tmp_path, **urls))
    with pytest.raises(ConfigError, match="not part of this version"):
        open_warehouse(settings(tmp_path, **urls), {})


def test_opening_the_live_store_imports_no_other_backend() -> None:
    code = "import sys, runner.stores.open; assert not {'duckdb', 'pyarrow', 'sqlite3'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["", "A", "a b", 'a"', "1a"])
def test_a_column_has_a_plain_name(name: str) -> None:
    with pytest.raises(ConfigError):
        Column(name, ColumnType.TEXT)
