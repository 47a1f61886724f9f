"""What every verb starts from: the environment, the working directory, and the settings they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from runner.errors import ConfigError
from runner.layout import Home
from runner.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    environ: Mapping[str, str]
    directory: Path
    home_option: Path | None = None

    def settings(self, overrides: Mapping[str, Any] | None = None) -> Settings:
        """The effective settings; `overrides` are what options say."""
        home = {"home": self.home_option} if self.home_option else {}
        return Settings.load(self.environ, self.directory, {**(overrides or {}), **home})

    def existing_home(self, settings: Settings) -> Home:
        """The home, which some run must have made. Raises `ConfigError`."""
        home = Home(settings.home)
        if not home.journal.is_dir():
            raise ConfigError(
                f"there is no home in {settings.home.absolute()}", "`tron run` makes one; or set TRON_HOME"
            )
        return home


def console() -> Console:
    """Where answers go. Plain text when it is not a terminal, as wide as it wants to be."""
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=160, color_system=None)
