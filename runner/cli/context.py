"""What every verb starts from: the environment, the working directory, and the settings they lead to."""

from __future__ import annotations

import shlex
import shutil
import sys
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

    @property
    def command(self) -> str:
        """How `tron` is called from here for the same home, as one types it into a shell."""
        script = Path(sys.executable).with_name("tron")
        if shutil.which("tron", path=self.environ.get("PATH")):
            command = "tron"
        elif script.exists():
            command = str(script.relative_to(self.directory) if script.is_relative_to(self.directory) else script)
        else:
            command = f"{sys.executable} -m runner.cli"
        return command if self.home_option is None else f"{command} --home {shlex.quote(str(self.home_option))}"


def console() -> Console:
    """Where answers go. Plain text when it is not a terminal, as wide as it wants to be."""
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=160, color_system=None)
