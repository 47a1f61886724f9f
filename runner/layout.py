"""Where things lie: the paths of a home, and the names of archive objects."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from runner.errors import ConfigError

_OBJECT = re.compile(
    r"logs/(?P<day>\d{4}/\d\d/\d\d)/(?P<bot>[^/]+)/(?P<stream>[a-z]+)_(?P<time>\d{6})_"
    r"(?P<run8>[0-9a-f]{8})-(?P<first>\d{12})_v(?P<version>\d+)\.json\.gz"
)
_COMPACTED = re.compile(
    r"(?P<stem>logs/\d{4}/\d\d/\d\d/[^/]+/[a-z]+_compacted_\d{6}_[0-9a-f]{8}-\d{12})"
    r"_v(?P<version>\d+)\.(json|manifest)\.gz"
)
_DAY = re.compile(r"logs/(\d{4})/(\d\d)/(\d\d)/")


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that holds everything of one machine's bots. It is private (0700)."""

    path: Path

    @property
    def journal(self) -> Path:
        return self.path / "journal"

    @property
    def rejected(self) -> Path:
        return self.journal / "rejected"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def shipper_lock(self) -> Path:
        return self.path / "shipper.lock"

    @property
    def shipper_log(self) -> Path:
        return self.path / "shipper.log"

    @property
    def bell(self) -> Path:
        return self.path / "bell"

    @property
    def live(self) -> Path:
        return self.path / "live.sqlite"

    @property
    def archive(self) -> Path:
        return self.path / "archive"

    @property
    def warehouse(self) -> Path:
        return self.path / "warehouse"

    @property
    def state(self) -> Path:
        """What bots must remember over restarts: circuit breakers, epochs."""
        return self.path / "state"

    def create(self) -> Home:
        """Make the folder and check that it can be written. Raises `ConfigError`."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chmod(self.path, 0o700)
            for folder in (self.journal, self.checkpoints, self.state):
                folder.mkdir(mode=0o700, exist_ok=True)
            probe = self.path / f".probe-{os.getpid()}"
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            raise ConfigError(
                f"the home {self.path} cannot be written: {error.strerror or error}",
                "free some space or choose another folder with TRON_HOME",
            ) from None
        return self


@dataclass(frozen=True, slots=True)
class ObjectName:
    """`logs/YYYY/MM/DD/<bot>/<stream>_<HHMMSS>_<run8>-<first offset>_v<N>.json.gz`. `at` is the first record's `ts`.

    `run8` is the *last* eight digits of the run's id: the first are a clock, the same for all runs of a minute.
    """

    bot: str
    stream: str
    at: datetime
    run8: str
    first: int
    version: int = 1

    def __str__(self) -> str:
        return (
            f"logs/{self.at:%Y/%m/%d}/{self.bot}/{self.stream}_{self.at:%H%M%S}_"
            f"{self.run8}-{self.first:012d}_v{self.version}.json.gz"
        )


@dataclass(frozen=True, slots=True)
class CompactedName:
    """`logs/YYYY/MM/DD/<bot>/<stream>_compacted_<HHMMSS>_<run8>-<first offset>_v<N>`, as its first part is named.

    `.json.gz` holds the parts of a day, `.manifest.gz` says what they are.
    """

    stem: str
    version: int = 1

    @staticmethod
    def of(first_part: str, version: int = 1) -> CompactedName:
        """For an object that begins with the part of this name."""
        folder, _, file = first_part.rpartition("/")
        stream, _, rest = file.partition("_")
        return CompactedName(f"{folder}/{stream}_compacted_{rest.rpartition('_v')[0]}", version)

    @property
    def object(self) -> str:
        return f"{self.stem}_v{self.version}.json.gz"

    @property
    def manifest(self) -> str:
        return f"{self.stem}_v{self.version}.manifest.gz"


def compacted_name(name: str) -> CompactedName | None:
    """The name of a compacted object, from its own or its manifest's; None for any other object."""
    found = _COMPACTED.fullmatch(name)
    return CompactedName(found["stem"], int(found["version"])) if found else None


def is_manifest(name: str) -> bool:
    return name.endswith(".manifest.gz") and compacted_name(name) is not None


def object_day(name: str) -> date | None:
    """The day under which an archive object is filed; None for one that is filed elsewhere."""
    found = _DAY.match(name)
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def is_batch_object(name: str) -> bool:
    """Whether an archive object holds records, by its name."""
    return _OBJECT.fullmatch(name) is not None
