"""The restore drill: the newest backup is restored into a scratch folder and must prove itself there.

1. Every file is restored, and is what was kept, by its hash.
2. `verify` over the restored journal and archive finds nothing. An archive on Google Cloud is looked at as it was when
   the backup was made; it must still hold every stream as far as the backup's list says.
3. The restored live store is sound, and once it has taken what was under way it holds exactly what all records leave
   behind: the documents are folded again from the first record on, and compared one by one.

The time this takes is the RTO that can be promised, the age of the newest record that came back the RPO that was had.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from runner.clock import Clock
from runner.errors import RunnerError, StoreError, StoreUnavailable
from runner.layout import Home
from runner.logging import documents, lines, objects
from runner.logging.audit import Auditor
from runner.logging.journal import run_folder, runs
from runner.logging.parts import view
from runner.logging.reader import Cursor, StreamReader, segments
from runner.logging.retention import LIVE
from runner.operations.asof import ArchiveAsOf
from runner.operations.manifest import Manifest
from runner.operations.restore import restore_live
from runner.operations.restoring import restore_home
from runner.operations.vault import Vault
from runner.settings import Settings, Stores
from runner.stores.base import Archive, Document, LiveStore
from runner.stores.open import open_archive, open_live
from runner.stores.sqlite_copy import check_database

_WINDOW = 500
_MOST_FINDINGS = 20
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DrillReport:
    """`rto` is how long it took, `rpo` how old the newest record is that came back (seconds; None without one).

    `findings` say what is wrong; the backup can be relied on where there are none.
    """

    backup: str
    rto: float
    rpo: float | None
    newest: str
    runs: int
    records: int
    documents: int
    files: int
    bytes: int
    findings: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.findings

    def fields(self) -> dict[str, object]:
        """What is recorded of it."""
        return {
            "backup": self.backup,
            "passed": self.passed,
            "rto_seconds": round(self.rto, 3),
            "rpo_seconds": None if self.rpo is None else round(self.rpo, 3),
            "newest_record": self.newest,
            "runs": self.runs,
            "records": self.records,
            "documents": self.documents,
            "files": self.files,
            "bytes": self.bytes,
            "findings": list(self.findings[:_MOST_FINDINGS]),
        }


def drill(vault: Vault, clock: Clock, *, remote: Archive | None = None, scratch: Path | None = None) -> DrillReport:
    """Restore the newest backup below `scratch` (by default, the system's folder for such) and look whether it holds.

    `remote` is the archive on Google Cloud of a home that has one. What is damaged becomes a finding that names the
    file. Raises `ConfigError` without any backup, `StoreUnavailable` where the place cannot be read.
    """
    began, now = clock.monotonic(), clock.now()
    backup = vault.choose("newest")
    with tempfile.TemporaryDirectory(prefix="tron-drill-", dir=scratch) as folder:
        drilling = _Drilling(backup, now)
        drilling.run(vault, Path(folder) / "home", remote)
    return drilling.report(clock.monotonic() - began)


class _Drilling:
    def __init__(self, backup: str, now: datetime) -> None:
        self._backup, self._now = backup, now
        self._findings: list[str] = []
        self._manifest: Manifest | None = None
        self._runs = self._records = self._documents = 0
        self._newest: tuple[str, str] = ("", "")

    def run(self, vault: Vault, folder: Path, remote: Archive | None) -> None:
        try:
            restored = restore_home(vault, self._backup, folder)
        except StoreUnavailable:
            raise
        except StoreError as error:
            self._findings += damaged_files(vault, self._backup) or [str(error)]
            return
        manifest = self._manifest = restored.manifest
        home = restored.home
        ends = {head.run: head.ends for head in manifest.runs if not head.closed}
        archive = open_archive(Settings(home=home.path))
        if remote is not None:
            archive = ArchiveAsOf(view(remote), ends, _opened_since(remote, manifest))
        self._verify(home, archive)
        if remote is not None:
            self._compare_inventory(archive, manifest.archived)
        if not self._findings:
            self._compare_live(home, archive, datetime.fromisoformat(manifest.created))

    def report(self, seconds: float) -> DrillReport:
        ts, newest = self._newest
        return DrillReport(
            backup=self._backup,
            rto=seconds,
            rpo=(self._now - lines.moment(ts)).total_seconds() if ts else None,
            newest=newest,
            runs=self._runs,
            records=self._records,
            documents=self._documents,
            files=self._manifest.files if self._manifest else 0,
            bytes=self._manifest.bytes if self._manifest else 0,
            findings=tuple(self._findings),
        )

    def _verify(self, home: Home, archive: Archive) -> None:
        found = Auditor(archive, home).verify()
        self._runs, self._records = found.runs, found.records
        self._findings += [f"verify: {finding}" for finding in found.findings]

    def _compare_inventory(self, archive: Archive, archived: Mapping[str, Mapping[str, int]]) -> None:
        """What was archived at the time of the backup must still be."""
        index = objects.index(archive, on_unusable=lambda info, error: None)
        for run, ends in archived.items():
            for stream, end in ends.items():
                batches = index.get(run, {}).get(stream, [])
                there = batches[-1].last + 1 if batches else 0
                if there < end:
                    self._findings.append(f"the archive held {end} records of {stream}, run {run}, and now {there}")

    def _compare_live(self, home: Home, archive: Archive, created: datetime) -> None:
        expected = open_live(Settings(home=home.path, stores=Stores(live="memory:")))
        try:
            restore_live(archive, expected, now=created)
            self._add_journal(home, archive, expected)
            if home.live.exists():
                self._compare_documents(home, archive, expected, created)
        except StoreUnavailable:
            raise
        except RunnerError as error:
            self._findings.append(str(error))

    def _compare_documents(self, home: Home, archive: Archive, expected: LiveStore, created: datetime) -> None:
        wrong = check_database(home.live)
        if wrong:
            self._findings.append(f"live.sqlite is damaged: {wrong}")
            return
        live = open_live(Settings(home=home.path))
        try:
            restore_live(archive, live, now=created)
            self._add_journal(home, archive, live)
            wanted, found = _unexpired(expected, created), _unexpired(live, created)
        finally:
            live.close()
        self._documents = len(wanted)
        for place in sorted(wanted.keys() | found.keys()):
            if wanted.get(place) != found.get(place):
                what = "is missing" if place not in found else "is more than" if place not in wanted else "differs from"
                self._findings.append(f"live.sqlite: {'/'.join(place)} {what} what the records leave behind")

    def _add_journal(self, home: Home, archive: Archive, live: LiveStore) -> None:
        """Fold what only the journal holds; and remember the newest record of all."""
        folding = documents.Folding(live.get)
        archived = objects.index(archive, on_unusable=lambda info, error: None)
        for info in sorted(runs(home), key=lambda info: info.epoch):
            for stream in documents.STREAMS:
                batches = archived.get(info.run, {}).get(stream, [])
                for line in _journal_lines(home, info.run, stream, batches[-1].last + 1 if batches else 0):
                    folding.add(lines.decode(line), info.epoch)
                    if len(folding.pending) >= _WINDOW:
                        live.commit(list(folding.pending.values()))
                        folding.clear()
        if folding.pending:
            live.commit(list(folding.pending.values()))
        self._newest = max(_newest_journaled(home), _newest_archived(archive))


def damaged_files(vault: Vault, backup: str) -> list[str]:
    """Every file of a backup that cannot be restored, and why; nothing where already the list of files cannot be."""
    try:
        files = vault.files(vault.manifest(backup))
    except StoreUnavailable:
        raise
    except StoreError:
        return []
    wrong: dict[str, str] = {}
    for piece in {piece for file in files for piece in file.pieces}:
        try:
            vault.get(piece)
        except StoreUnavailable:
            raise
        except StoreError as error:
            wrong[piece] = str(error)
    return [
        f"{file.path} cannot be restored: {wrong[piece]}" for file in files for piece in file.pieces if piece in wrong
    ]


def _opened_since(archive: Archive, manifest: Manifest) -> set[str]:
    """Runs of an archive that the backup does not know."""
    known = {*manifest.archived, *(head.run for head in manifest.runs)}
    return {*objects.index(archive, on_unusable=lambda info, error: None), *objects.registered_runs(archive)} - known


def _journal_lines(home: Home, run: str, stream: str, first: int) -> Iterator[bytes]:
    """Intact lines of a stream from an offset on."""
    folder, prefix = run_folder(home, run), lines.id_prefix(run, stream)
    known = segments(folder, stream)
    if not known:
        return
    reader = StreamReader(folder, stream, Cursor(segment=known[0]))
    try:
        while chunk := reader.read():
            found = (line for line in lines.split(chunk) if lines.is_intact(line))
            yield from (line for line in found if lines.offset_of(line, prefix) >= first)
    finally:
        reader.close()


def _newest_journaled(home: Home) -> tuple[str, str]:
    """Time and id of the newest record in the journal."""
    newest = ("", "")
    for info in runs(home):
        for stream in (path.name for path in run_folder(home, info.run).iterdir() if path.is_dir()):
            for line in _journal_lines(home, info.run, stream, 0):
                ts = lines.head(line)[1]
                if ts > newest[0]:
                    newest = (ts, lines.decode(line)["id"])
    return newest


def _newest_archived(archive: Archive) -> tuple[str, str]:
    newest = ("", "")
    for bucket in objects.PRIMARY:
        for info in view(archive).list(bucket, "logs/"):
            meta = info.metadata
            if meta.get("last_ts", "") > newest[0] and meta.get("last", "").isdigit():
                newest = (meta["last_ts"], f"{meta['run']}:{meta['stream']}:{int(meta['last']):012d}")
    return newest


def _unexpired(live: LiveStore, now: datetime) -> dict[Place, Document]:
    """Documents that have not expired, but for those that expire within a minute of `now`."""
    moment = now + timedelta(minutes=1)
    found = [live.query(collection, now=moment, limit=1_000_000) for collection in LIVE]
    return {(one.collection, one.key): one for documents_ in found for one in documents_}
