"""Where backups lie, as options and settings name it."""

from __future__ import annotations

import re
from pathlib import Path

from runner.cli.context import Context
from runner.errors import ConfigError
from runner.layout import Home
from runner.operations.backup import Source
from runner.operations.vault import Vault
from runner.settings import Settings
from runner.stores.base import Archive
from runner.stores.open import archive_folder, open_archive

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_KNOWN = "use a folder on another disk, file:///folder or gs://prefix"


def open_vault(parent: Context, settings: Settings, place: str = "", name: str = "", *, repair: bool = False) -> Vault:
    """The set of backups that options name, else the settings. Raises `ConfigError`."""
    url = place_url(parent, settings, place)
    name = name or settings.backup.name
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name of a set", "use 1-64 of a-z 0-9 . _ -, a letter or digit first")
    return Vault(open_place(settings, url), name, repair=repair)


def place_url(parent: Context, settings: Settings, place: str = "") -> str:
    """A place of backups as a URL. Raises `ConfigError` where none is named, and for one that is lost with the home."""
    place = place or settings.backup.to
    if not place:
        raise ConfigError("nobody says where backups go", "say --to PLACE, or set `to` in [backup] of tron.toml")
    scheme, colon, _ = place.partition("://")
    if colon and scheme not in ("file", "gs"):
        raise ConfigError(f"{place} is no place for backups", _KNOWN)
    url = place if colon else f"file://{(parent.directory / Path(place).expanduser()).absolute()}"
    folder = archive_folder(_with_archive(settings, url))
    if folder is not None and folder.resolve().is_relative_to(settings.home.resolve()):
        raise ConfigError(f"{folder} lies in the home, and would be lost with it", _KNOWN)
    return url


def open_place(settings: Settings, url: str) -> Archive:
    return open_archive(_with_archive(settings, url))


def source(settings: Settings, parent: Context) -> Source:
    """The home and the archive that are backed up. Raises `ConfigError` without a home.

    Where the archive is on Google Cloud, a machine without a home keeps the list of it.
    """
    folder = archive_folder(settings)
    home = parent.existing_home(settings) if folder else Home(settings.home).create()
    return Source(home, settings, open_archive(settings), folder)


def _with_archive(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"stores": settings.stores.model_copy(update={"archive": url})})
