"""`tron` within the test's own process, for verbs whose answer matters and whose start does not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from runner.cli import main
from runner.layout import Home


class Inside:
    """One user's `tron`, with a folder and a home of its own, that starts no shipper."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        self._patch, self._output = patch, output
        patch.chdir(folder)
        patch.setenv("TRON_HOME", str(self.home.path))
        patch.setenv("TRON_SHIPPER", "none")

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command to its end; returns its exit status and what it said."""
        self._patch.setattr(sys, "argv", ["tron", *arguments])
        self._output.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said, complained = self._output.readouterr()
        return int(ended.value.code or 0), said, complained

    def succeeds(self, *arguments: str) -> str:
        code, said, complained = self(*arguments)
        assert code == 0, f"tron {' '.join(arguments)}:\n{said}\n{complained}"
        return said

    def fails(self, *arguments: str) -> str:
        """Run a command that must fail with one line and a hint; returns the line."""
        code, said, complained = self(*arguments)
        assert code != 0, said
        assert re.fullmatch(r"error: [^\n]+ \([^\n]+\)\n", complained), complained
        return complained
