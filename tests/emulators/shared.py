"""One emulator of each kind for a whole test session, however many workers run it.

The session has a folder. Whoever needs an emulator first starts it under a lock and writes down where it is
(`<kind>.json`); the others read that. The process that made the folder ends them all, and if it is killed itself, their
guards do.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tests.emulators.emulator import Emulator, start
from tests.emulators.programs import PROGRAMS


@dataclass(frozen=True, slots=True)
class SharedEmulators:
    """The emulators of the session in `folder`, which the process `owner` made and removes."""

    folder: Path
    owner: int

    def get(self, kind: str) -> Emulator:
        """The emulator of this kind, started if need be. Raises `EmulatorMissing`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        note = self.folder / f"{kind}.json"
        with (self.folder / f"{kind}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not note.exists():
                note.write_text(json.dumps(asdict(self._start(kind))))
        return Emulator(**json.loads(note.read_text()))

    def get_all(self, kinds: Iterable[str] = PROGRAMS) -> dict[str, Emulator]:
        """Several at once, started side by side."""
        wanted = list(kinds)
        with ThreadPoolExecutor(len(wanted)) as pool:
            return dict(zip(wanted, pool.map(self.get, wanted), strict=True))

    def stop(self) -> None:
        """End every emulator that was started, and remove the folder."""
        for note in self.folder.glob("*.json"):
            Emulator(**json.loads(note.read_text())).kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, kind: str) -> Emulator:
        objects = {"objects": self.folder / "objects"} if kind in ("gcs", "bigquery") else {}
        return start(kind, partial(PROGRAMS[kind], **objects), self.folder / kind, watched=self.owner)
