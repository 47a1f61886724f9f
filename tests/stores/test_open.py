from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.settings import Settings, Stores
from runner.stores.columns import Column, ColumnType
from runner.stores.directory import DirectoryArchive
from runner.stores.gcs import GcsArchive
from runner.stores.memory import MemoryArchive, MemoryLiveStore, MemoryStream
from runner.stores.open import check_urls, open_archive, open_live, open_stream, open_tail, open_warehouse
from runner.stores.pubsub import PubsubStream
from runner.stores.sqlite import SqliteLiveStore

ROOT = Path(__file__).parents[2]


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
    assert caught.value.hint == "use file:///path or memory: or gs://prefix"


def test_cloud_urls_open_the_stores_of_google_cloud(tmp_path: Path) -> None:
    archive = open_archive(settings(tmp_path, archive="gs://acme"))
    stream = open_stream(settings(tmp_path, stream="pubsub://demo-acme"))
    assert isinstance(archive, GcsArchive)
    assert archive.prefix == "acme"
    assert isinstance(stream, PubsubStream)
    assert stream.project == "demo-acme"
    archive.close()
    stream.close()


@pytest.mark.parametrize("url", ["gs:", "gs://", "gs://Acme", "gs://a/b", "gs:acme", "gs://" + "a" * 40])
def test_a_prefix_that_no_bucket_may_have_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="does not look like gs://prefix"):
        check_urls(settings(tmp_path, archive=url))


@pytest.mark.parametrize(
    "url", ["pubsub:", "pubsub://", "pubsub://p", "pubsub://demo-acme/topic", "pubsub://Demo-Acme"]
)
def test_a_project_that_cannot_be_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="does not look like pubsub://project"):
        check_urls(settings(tmp_path, stream=url))


def test_production_never_talks_to_an_emulator(tmp_path: Path) -> None:
    prod = settings(tmp_path, archive="gs://acme", stream="pubsub://demo-acme").model_copy(
        update={"environment": "prod"}
    )
    with pytest.raises(ConfigError, match="STORAGE_EMULATOR_HOST names an emulator"):
        open_archive(prod)
    with pytest.raises(ConfigError, match="PUBSUB_EMULATOR_HOST names an emulator"):
        open_stream(prod)


@pytest.mark.parametrize(("variable", "url"), [("TRON_ARCHIVE", "gs://acme"), ("TRON_STREAM", "pubsub://demo-acme")])
def test_without_the_extra_a_cloud_url_says_what_to_install(variable: str, url: str) -> None:
    code = f"""
import sys
sys.modules["google.api_core"] = None
from runner.errors import ConfigError
from runner.settings import Settings
from runner.stores import open
try:
    open.open_{"archive" if variable == "TRON_ARCHIVE" else "stream"}(Settings.load({{{variable!r}: {url!r}}}))
except ConfigError as error:
    sys.exit(f"{{error}} | {{error.hint}}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    scheme = url.partition("/")[0]
    assert done.stderr == f"{variable}: {scheme}// needs the package google.api_core | pip install -e '.[gcp]'\n"


def test_without_credentials_a_cloud_store_says_how_to_sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(ConfigError, match="gs://acme: there are no Google Cloud credentials") as caught:
        open_archive(settings(tmp_path, archive="gs://acme"))
    assert "gcloud auth application-default login" in caught.value.hint


def test_a_stream_in_memory_cannot_be_listened_to(tmp_path: Path) -> None:
    assert open_tail(settings(tmp_path)) is None


def test_opening_the_live_store_imports_no_other_backend() -> None:
    code = "import sys, runner.stores.open; assert not {'duckdb', 'pyarrow', 'sqlite3'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["", "A", "a b", 'a"', "1a"])
def test_a_column_has_a_plain_name(name: str) -> None:
    with pytest.raises(ConfigError):
        Column(name, ColumnType.TEXT)
