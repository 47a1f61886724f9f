"""Store URLs: the only module that names adapters. Each is imported when it is asked for.

| store     | empty means               | embedded URL                | Google Cloud                    |
|-----------|---------------------------|-----------------------------|---------------------------------|
| live      | `live.sqlite` in the home | `sqlite:///path`, `memory:` | `firestore://project/database`  |
| archive   | `archive/` in the home    | `file:///path`, `memory:`   | `gs://prefix`                   |
| stream    | `memory:`                 | `memory:`                   | `pubsub://project`              |
| warehouse | `warehouse/` in the home  | `duckdb:///path`            | `bigquery://project/dataset`    |

A database is `(default)` unless it is named; `firestore://project/database?ramp` writes as slowly as Google asks for
when many documents go into a new one.

Three slashes begin an absolute path, two a path relative to the working directory; `~` is the user's own folder:
`file:///var/tron`, `file://var/tron`, `file://~/tron`. An archive's objects lie in `<path>/tron-<bucket>/`, or in the
buckets `<prefix>-tron-<bucket>`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.clock import Clock, SystemClock
from runner.errors import ConfigError
from runner.layout import Home
from runner.settings import GIB, Settings
from runner.stores.apis import Apis
from runner.stores.base import Archive, LiveStore, Stream, Warehouse
from runner.stores.columns import Column
from runner.stores.listening import StreamTail
from runner.stores.shapes import Shapes

if TYPE_CHECKING:
    from runner.stores.billing import BillingExport
_PATH = re.compile(r"//(?!/?$)(?P<path>.+)")
_MEMORY = re.compile(r"(//)?")
_PREFIX = re.compile(r"//(?P<prefix>[a-z0-9][a-z0-9-]{0,38})/?")
_PROJECT_NAME = r"(?P<project>[a-z][a-z0-9.:-]{4,61}[a-z0-9])"
_PROJECT = re.compile(rf"//{_PROJECT_NAME}/?")
_DATABASE = re.compile(
    rf"//{_PROJECT_NAME}(/(?P<database>\(default\)|[a-z][a-z0-9-]{{2,61}}[a-z0-9])?)?(?P<ramp>\?ramp)?"
)
_DATASET = re.compile(
    rf"//{_PROJECT_NAME}/(?P<dataset>[A-Za-z0-9_]+)"
    r"(\?location=(?P<location>[A-Za-z0-9-]+))?([?&]max_gib=(?P<max_gib>[1-9][0-9]{0,5}))?"
)
_BILLING = re.compile(rf"bigquery://{_PROJECT_NAME}/(?P<dataset>[A-Za-z0-9_]+)/(?P<table>[A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class _Form:
    """How a URL looks, what must follow its colon, and for Google Cloud the variable that names an emulator."""

    example: str
    rest: re.Pattern[str]
    emulator: str = ""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of store: the variable that holds its URL, the scheme when that is empty, and the forms by scheme."""

    variable: str
    default: str
    forms: Mapping[str, _Form]

    @property
    def examples(self) -> str:
        return "use " + " or ".join(form.example for form in self.forms.values())


_LIVE = _Kind(
    "TRON_LIVE_STORE",
    "sqlite",
    {
        "sqlite": _Form("sqlite:///path", _PATH),
        "memory": _Form("memory:", _MEMORY),
        "firestore": _Form("firestore://project/database", _DATABASE, "FIRESTORE_EMULATOR_HOST"),
    },
)
_ARCHIVE = _Kind(
    "TRON_ARCHIVE",
    "file",
    {
        "file": _Form("file:///path", _PATH),
        "memory": _Form("memory:", _MEMORY),
        "gs": _Form("gs://prefix", _PREFIX, "STORAGE_EMULATOR_HOST"),
    },
)
_STREAM = _Kind(
    "TRON_STREAM",
    "memory",
    {
        "memory": _Form("memory:", _MEMORY),
        "pubsub": _Form("pubsub://project", _PROJECT, "PUBSUB_EMULATOR_HOST"),
    },
)
_WAREHOUSE = _Kind(
    "TRON_WAREHOUSE",
    "duckdb",
    {
        "duckdb": _Form("duckdb:///path", _PATH),
        "bigquery": _Form("bigquery://project/dataset", _DATASET, "BIGQUERY_EMULATOR_HOST"),
    },
)
_KINDS = (_LIVE, _ARCHIVE, _STREAM, _WAREHOUSE)


def is_remote(url: str) -> bool:
    """Whether a store lies on Google Cloud, by its URL."""
    scheme = url.partition(":")[0]
    return any(scheme in kind.forms and bool(kind.forms[scheme].emulator) for kind in _KINDS)


def cloud_parts(settings: Settings) -> dict[str, Mapping[str, str]]:
    """The named parts of the URLs of those stores that lie on Google Cloud: live, archive, stream, warehouse.

    Raises `ConfigError` for a URL that cannot be used.
    """
    stores = settings.stores
    urls = {"live": stores.live, "archive": stores.archive, "stream": stores.stream, "warehouse": stores.warehouse}
    found = {name: _split(kind, url)[1] for kind, (name, url) in zip(_KINDS, urls.items(), strict=True)}
    return {name: parts for name, parts in found.items() if is_remote(urls[name])}


def open_apis(settings: Settings) -> Apis:
    """Google's administrative APIs. Raises `ConfigError` where there are no credentials, or packages are missing."""
    with _google_cloud(_ARCHIVE, "gs", settings):
        from runner.stores.google_apis import GoogleApis

    return GoogleApis()


def check_urls(settings: Settings) -> None:
    """Raise `ConfigError` for a store URL that cannot be used, before anything is opened or made."""
    stores = settings.stores
    _split(_LIVE, stores.live)
    _split(_ARCHIVE, stores.archive)
    _split(_STREAM, stores.stream)
    _split(_WAREHOUSE, stores.warehouse)


def open_live(settings: Settings, *, clock: Clock | None = None) -> LiveStore:
    """The live store of the settings. Raises `ConfigError` for its URL, `StoreUnavailable` when it cannot be used."""
    scheme, parts = _split(_LIVE, settings.stores.live)
    if scheme == "memory":
        from runner.stores.memory import MemoryLiveStore

        return MemoryLiveStore(clock=clock)
    if scheme == "firestore":
        return _open_firestore(settings, parts, clock)
    from runner.stores.sqlite import SqliteLiveStore

    return SqliteLiveStore(_path(parts, Home(settings.home).live), clock=clock)


def _open_firestore(settings: Settings, parts: Mapping[str, str], clock: Clock | None) -> LiveStore:
    with _google_cloud(_LIVE, "firestore", settings):
        from runner.stores.firestore import FirestoreLiveStore
        from runner.stores.write_ramp import WriteRamp

    ramp = WriteRamp(clock or SystemClock()) if parts.get("ramp") else None
    return FirestoreLiveStore(parts["project"], parts.get("database") or "(default)", clock=clock, ramp=ramp)


def open_archive(settings: Settings) -> Archive:
    """The archive of the settings. Raises `ConfigError` for its URL."""
    scheme, parts = _split(_ARCHIVE, settings.stores.archive)
    if scheme == "memory":
        from runner.stores.memory import MemoryArchive

        return MemoryArchive()
    if scheme == "gs":
        with _google_cloud(_ARCHIVE, scheme, settings):
            from runner.stores.gcs import GcsArchive

        return GcsArchive(parts["prefix"], project=settings.project)
    from runner.stores.directory import DirectoryArchive

    return DirectoryArchive(_path(parts, Home(settings.home).archive))


def archive_folder(settings: Settings) -> Path | None:
    """Where the archive of the settings lies; None where that is not on this disk. Raises `ConfigError` for its URL."""
    scheme, parts = _split(_ARCHIVE, settings.stores.archive)
    return _path(parts, Home(settings.home).archive) if scheme == "file" else None


def open_stream(settings: Settings) -> Stream:
    """The stream of the settings. Raises `ConfigError` for its URL."""
    scheme, parts = _split(_STREAM, settings.stores.stream)
    if scheme == "pubsub":
        with _google_cloud(_STREAM, scheme, settings):
            from runner.stores.pubsub import PubsubStream

        return PubsubStream(parts["project"])
    from runner.stores.memory import MemoryStream

    return MemoryStream()


def open_tail(settings: Settings) -> StreamTail | None:
    """New records as they arrive in the stream, from now on; None where the stream is one that cannot be listened to.

    Raises `ConfigError` for its URL, `StoreUnavailable` when there is no topic or no permission to subscribe.
    """
    scheme, parts = _split(_STREAM, settings.stores.stream)
    if scheme != "pubsub":
        return None
    with _google_cloud(_STREAM, scheme, settings):
        from runner.stores.pubsub import PubsubSubscription

    return StreamTail(PubsubSubscription.temporary(parts["project"]))


def open_warehouse(
    settings: Settings, columns: Mapping[str, Sequence[Column]], shapes: Shapes | None = None
) -> Warehouse:
    """The warehouse of the settings; `columns` are the payload's, by stream. Raises `ConfigError` for its URL."""
    scheme, parts = _split(_WAREHOUSE, settings.stores.warehouse)
    if scheme == "bigquery":
        return _open_bigquery(settings, parts, columns, shapes)
    from runner.stores.duckdb import DuckdbWarehouse

    return DuckdbWarehouse(_path(parts, Home(settings.home).warehouse), columns, shapes)


def open_billing(settings: Settings) -> BillingExport:
    """Google's billing export of the settings. Raises `ConfigError` for its URL."""
    url = settings.costs.billing
    found = _BILLING.fullmatch(url)
    if found is None:
        raise ConfigError(f"costs.billing = {url!r} is no billing export", "use bigquery://project/dataset/table")
    with _google_cloud(_WAREHOUSE, "bigquery", settings):
        from runner.stores.billing import BillingExport

    return BillingExport(found["project"], found["dataset"], found["table"])


def _open_bigquery(
    settings: Settings, parts: Mapping[str, str], columns: Mapping[str, Sequence[Column]], shapes: Shapes | None
) -> Warehouse:
    archive, bucket = _split(_ARCHIVE, settings.stores.archive)
    if archive != "gs":
        raise ConfigError(
            f"TRON_WAREHOUSE={settings.stores.warehouse} is filled from gs:// objects, and the archive has none",
            "set TRON_ARCHIVE=gs://prefix, or use the warehouse duckdb:///path",
        )
    with _google_cloud(_WAREHOUSE, "bigquery", settings):
        from runner.stores.bigquery import MAX_BYTES, BigqueryWarehouse

    return BigqueryWarehouse(
        parts["project"],
        parts["dataset"],
        columns,
        archive=bucket["prefix"],
        shapes=shapes,
        location=parts.get("location") or "",
        max_bytes=int(parts["max_gib"]) * GIB if parts.get("max_gib") else MAX_BYTES,
    )


def _split(kind: _Kind, url: str) -> tuple[str, Mapping[str, str]]:
    """The scheme of a URL and the named parts of its form; the default one and no parts when it is empty."""
    if not url:
        return kind.default, {}
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in kind.forms:
        raise ConfigError(f"{kind.variable}={url}: there is no such kind of store", kind.examples)
    form = kind.forms[scheme]
    found = form.rest.fullmatch(rest)
    if found is None:
        raise ConfigError(f"{kind.variable}={url} does not look like {form.example}", kind.examples)
    return scheme, found.groupdict()


def _path(parts: Mapping[str, str], embedded: Path) -> Path:
    """The path of a URL, or the store's own place in the home where there was none."""
    text = parts.get("path")
    if text is None:
        return embedded.absolute()
    home = text.removeprefix("/") if text.startswith("/~") else text
    return Path(home).expanduser().absolute()


@contextmanager
def _google_cloud(kind: _Kind, scheme: str, settings: Settings) -> Iterator[None]:
    """Around the import of an adapter: its packages are an extra, and production never talks to an emulator."""
    emulator = kind.forms[scheme].emulator
    if settings.environment == "prod" and os.environ.get(emulator):
        raise ConfigError(f"ENVIRONMENT=prod, but {emulator} names an emulator", f"unset {emulator}")
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{kind.variable}: {scheme}:// needs the package {error.name}", "pip install -e '.[gcp]'"
        ) from error
