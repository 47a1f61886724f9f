"""Store URLs: the only module that names adapters. Each is imported when it is asked for.

| store     | URL                                                       | empty means                  |
|-----------|-----------------------------------------------------------|------------------------------|
| live      | `sqlite:///path`, `memory:`                               | `live.sqlite` in the home    |
| archive   | `file:///dir` (objects lie in `dir/tron-<bucket>/`), `memory:` | `archive/` in the home  |
| stream    | `memory:`                                                 | `memory:`                    |
| warehouse | `duckdb:///dir`                                           | `warehouse/` in the home     |

Three slashes begin an absolute path, two a path relative to the working directory; `~` is the user's own folder:
`file:///var/tron`, `file://var/tron`, `file://~/tron`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.clock import Clock
from runner.errors import ConfigError
from runner.layout import Home
from runner.settings import Settings
from runner.stores.base import Archive, LiveStore, Stream, Warehouse
from runner.stores.columns import Column

_CLOUD = ("firestore", "gs", "pubsub", "bigquery")
_LIVE, _ARCHIVE, _STREAM, _WAREHOUSE = ("sqlite", "memory"), ("file", "memory"), ("memory",), ("duckdb",)


def check_urls(settings: Settings) -> None:
    """Raise `ConfigError` for a store URL that cannot be used, before anything is opened or made."""
    home, stores = Home(settings.home), settings.stores
    _split("TRON_LIVE_STORE", stores.live, home.live, "sqlite", _LIVE)
    _split("TRON_ARCHIVE", stores.archive, home.archive, "file", _ARCHIVE)
    _split("TRON_STREAM", stores.stream, Path(), "memory", _STREAM)
    _split("TRON_WAREHOUSE", stores.warehouse, home.warehouse, "duckdb", _WAREHOUSE)


def open_live(settings: Settings, *, clock: Clock | None = None) -> LiveStore:
    """The live store of the settings. Raises `ConfigError` for its URL, `StoreUnavailable` when it cannot be used."""
    url = settings.stores.live
    scheme, path = _split("TRON_LIVE_STORE", url, Home(settings.home).live, "sqlite", _LIVE)
    if scheme == "memory":
        from runner.stores.memory import MemoryLiveStore

        return MemoryLiveStore(clock=clock)
    from runner.stores.sqlite import SqliteLiveStore

    return SqliteLiveStore(path, clock=clock)


def open_archive(settings: Settings) -> Archive:
    """The archive of the settings. Raises `ConfigError` for its URL."""
    url = settings.stores.archive
    scheme, path = _split("TRON_ARCHIVE", url, Home(settings.home).archive, "file", _ARCHIVE)
    if scheme == "memory":
        from runner.stores.memory import MemoryArchive

        return MemoryArchive()
    from runner.stores.directory import DirectoryArchive

    return DirectoryArchive(path)


def open_stream(settings: Settings) -> Stream:
    """The stream of the settings. Raises `ConfigError` for its URL."""
    _split("TRON_STREAM", settings.stores.stream, Path(), "memory", _STREAM)
    from runner.stores.memory import MemoryStream

    return MemoryStream()


def open_warehouse(settings: Settings, columns: Mapping[str, Sequence[Column]]) -> Warehouse:
    """The warehouse of the settings; `columns` are the payload's, by stream. Raises `ConfigError` for its URL."""
    url = settings.stores.warehouse
    _, path = _split("TRON_WAREHOUSE", url, Home(settings.home).warehouse, "duckdb", _WAREHOUSE)
    from runner.stores.duckdb import DuckdbWarehouse

    return DuckdbWarehouse(path, columns)


def _split(variable: str, url: str, embedded: Path, default: str, known: Sequence[str]) -> tuple[str, Path]:
    """Scheme and path of a URL; `default` and `embedded` when it is empty."""
    if not url:
        return default, embedded.absolute()
    scheme, colon, rest = url.partition(":")
    if scheme in _CLOUD:
        raise ConfigError(f"{variable}={url}: Google Cloud stores are not part of this version", _known(known))
    if not colon or scheme not in known:
        raise ConfigError(f"{variable}={url}: there is no such kind of store", _known(known))
    if scheme == "memory":
        return scheme, Path()
    if not rest.startswith("//") or rest in ("//", "///"):
        raise ConfigError(f"{variable}={url}: there is no path", _known(known))
    return scheme, _path(rest.removeprefix("//"))


def _path(text: str) -> Path:
    home = text.removeprefix("/") if text.startswith("/~") else text
    return Path(home).expanduser().absolute()


def _known(known: Sequence[str]) -> str:
    return "use " + " or ".join("memory:" if scheme == "memory" else f"{scheme}:///path" for scheme in known)
