"""What a backup holds of a home, taken in an order in which everything fits together afterwards.

1. How far followers are, but for those of the archive: they find that out again from the archive itself.
2. The live store and the warehouse: they hold at most what the journal of the next step holds.
3. The journal, each run up to one `seq` (see `snapshot`).
4. The archive, without what was archived since from behind those ends. An archive on Google Cloud is not copied, but
   listed: it is the truth, and has copies and a retention of its own.
5. What bots must remember, models and data.

Only these folders are looked at, so what else lies in a home (such as a file with secrets) never gets into a backup;
what looks like a secret within them is left out, and told. A symbolic link is refused: it would be followed to
somewhere else today, and lead nowhere after a restore.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import msgspec

from runner.errors import ConfigError
from runner.layout import Home
from runner.logging import objects, sweeping
from runner.logging.parts import view
from runner.logging.routes import COMPLIANCE_LOGS
from runner.operations.asof import is_of_then
from runner.operations.manifest import RunHead
from runner.operations.snapshot import Kept, RunSnapshot
from runner.stores.base import Archive, ObjectInfo
from runner.stores.sqlite_copy import copy_database

INVENTORY = "archive-inventory.ndjson"
_NOT_AS_IT_IS = ("archive.json", "compliance.json", f"{sweeping.NAME}.json")
"""Checkpoints that are found again in the archive, or belong to the picture of their run."""
_PLAIN = ("state", "models", "data")
_SECRET = re.compile(
    r"\.env(\..*)?|.*\.(pem|key|p12|pfx|jks)|id_(rsa|ed25519|ecdsa)|.*(credentials|secret|service[-_]account).*\.json"
    r"|application_default_credentials.*",
    re.IGNORECASE,
)
_PASSING = re.compile(r"\..*\.tmp|\.probe-\d+|.*\.lock|\.lock")
_BEING_WRITTEN = ".partial"
_LOOKS = 5


class Capture:
    """The files of a home that a backup keeps. After `files`, the other attributes say what they are.

    `archive_folder` is where the archive lies, or None where it is not on this disk.
    """

    def __init__(self, home: Home, archive: Archive, archive_folder: Path | None) -> None:
        self.heads: list[RunHead] = []
        self.left_out: list[str] = []
        self.archived: dict[str, dict[str, int]] = {}
        self.newest_archived = ""
        self._home = home
        self._archive = archive
        self._archive_folder = archive_folder

    def files(self) -> Iterator[Kept]:
        """Every file, once. Raises `ConfigError` for a symbolic link, `StoreUnavailable`, `JournalError`."""
        yield from self._folder("checkpoints", but=_NOT_AS_IT_IS)
        yield from self._live()
        yield from self._folder("warehouse")
        yield from self._journal()
        yield from self._folder("journal/rejected")
        yield from self._archived_files()
        for name in _PLAIN:
            yield from self._folder(name)

    def _live(self) -> Iterator[Kept]:
        path = self._home.live
        if not path.exists():
            return
        self._check(path)
        with tempfile.TemporaryDirectory(prefix="tron-backup-") as folder:
            copy = Path(folder) / path.name
            copy_database(path, copy)
            with copy.open("rb") as file:
                yield Kept(path.name, file, path.stat().st_mtime_ns)

    def _journal(self) -> Iterator[Kept]:
        for run in self._runs():
            try:
                snapshot = RunSnapshot(self._home, run)
            except FileNotFoundError:
                continue  # swept just now, so all of it is archived
            try:
                yield from snapshot.files()
                self.heads.append(snapshot.head())
            finally:
                snapshot.close()

    def _runs(self) -> list[str]:
        """The runs in the journal, by the names of their folders."""
        folders = sorted(self._home.journal.iterdir()) if self._home.journal.is_dir() else []
        found = [folder for folder in folders if not folder.name.startswith(".") and folder.name != "rejected"]
        for folder in found:
            self._check(folder)
        return [folder.name for folder in found if (folder / "run.json").is_file()]

    def _archived_files(self) -> Iterator[Kept]:
        ends = {head.run: head.ends for head in self.heads if not head.closed}
        later = _OpenedSince(self._home, {head.run for head in self.heads})
        if self._archive_folder is None:
            yield from self._remote_archive(ends, later)
        else:
            yield from self._local_archive(self._archive_folder, ends, later)

    def _local_archive(self, root: Path, ends: dict[str, dict[str, int]], later: Container[str]) -> Iterator[Kept]:
        """Looked at again until nothing was compacted meanwhile, so that no record is in neither form."""
        done: set[str] = set()
        self._check_below(root)
        for _ in range(_LOOKS):
            vanished = False
            for info in self._listed(root):
                if f"{info.bucket}/{info.name}" not in done and is_of_then(info, ends, later):
                    body = self._open(root / f"tron-{info.bucket}" / info.name, _place(info, ""))
                    vanished |= body is None
                    if body is not None:
                        done.add(f"{info.bucket}/{info.name}")
                        self._note(info)
                        yield body
                        yield from self._sidecar(root, info)
            if not vanished:
                return

    def _listed(self, root: Path) -> Iterator[ObjectInfo]:
        for folder in sorted(root.glob("tron-*")):
            yield from self._archive.list(folder.name.removeprefix("tron-"))

    def _sidecar(self, root: Path, info: ObjectInfo) -> Iterator[Kept]:
        path = root / f"tron-{info.bucket}" / ".metadata" / f"{info.name}.json"
        found = self._open(path, _place(info, ".metadata/", ".json"))
        if found is not None:
            yield found

    def _remote_archive(self, ends: dict[str, dict[str, int]], later: Container[str]) -> Iterator[Kept]:
        """A list of what the archive holds, and its registry of runs."""
        listed: list[dict[str, object]] = []
        shown = view(self._archive)
        for bucket in (*objects.PRIMARY, COMPLIANCE_LOGS):
            for info in shown.list(bucket):
                if is_of_then(info, ends, later):
                    self._note(info)
                    listed.append(
                        {"bucket": bucket, "name": info.name, "size": info.size, "metadata": dict(info.metadata)}
                    )
                    if info.name.startswith("registry/"):
                        body = self._archive.read(bucket, info.name)
                        yield Kept(f"registry/{info.name.rpartition('/')[2]}", BytesIO(body), 0)
        if listed:
            content = b"".join(msgspec.json.encode(row) + b"\n" for row in listed)
            yield Kept(INVENTORY, BytesIO(content), 0)

    def _note(self, info: ObjectInfo) -> None:
        """Remember how far the archive is with each stream."""
        meta = info.metadata
        run, stream, last = meta.get("run", ""), meta.get("stream", ""), meta.get("last", "")
        if info.bucket != COMPLIANCE_LOGS and run and stream and last.isdigit():
            ends = self.archived.setdefault(run, {})
            ends[stream] = max(ends.get(stream, 0), int(last) + 1)
            self.newest_archived = max(self.newest_archived, meta.get("last_ts", ""))

    def _folder(self, name: str, but: Collection[str] = ()) -> Iterator[Kept]:
        """Every file below a folder of the home; what is deleted while it is read is passed by."""
        for path in self._check_below(self._home.path / name):
            place = path.relative_to(self._home.path).as_posix()
            if path.name in but or _PASSING.fullmatch(path.name):
                continue
            if _SECRET.fullmatch(path.name):
                self.left_out.append(place)
                continue
            kept = self._open(path, place)
            if kept is not None:
                yield kept

    def _check_below(self, top: Path) -> list[Path]:
        """The files below a folder. Raises `ConfigError` for anything that is neither a file nor a folder."""
        self._check(top)
        found: list[Path] = []
        for folder, folders, names in os.walk(top):
            folders[:] = sorted(name for name in folders if name != _BEING_WRITTEN)
            found += [Path(folder) / name for name in sorted(names)]
            for name in (*folders, *names):
                self._check(Path(folder) / name)
        return found

    def _open(self, path: Path, place: str) -> Kept | None:
        self._check(path)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        return Kept(place, file, os.fstat(file.fileno()).st_mtime_ns)

    def _check(self, path: Path) -> None:
        """Only folders and plain files: a link leads elsewhere, and a pipe would be waited for."""
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            what = "a symbolic link" if stat.S_ISLNK(mode) else "neither a file nor a folder"
            raise ConfigError(
                f"{path} is {what}, and a backup follows none", "put what it leads to in its place, or move it away"
            )


@dataclass(frozen=True, slots=True)
class _OpenedSince:
    """The runs of the journal that are not in `kept`, whenever one is asked for."""

    home: Home
    kept: Collection[str]

    def __contains__(self, run: object) -> bool:
        return isinstance(run, str) and run not in self.kept and (self.home.journal / run / "run.json").exists()


def _place(info: ObjectInfo, before: str, behind: str = "") -> str:
    return f"archive/tron-{info.bucket}/{before}{info.name}{behind}"
