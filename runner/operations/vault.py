"""Where backups lie: pieces and manifests in an archive (see `manifest` for their names).

The place is any archive: a folder, or `gs://prefix` with its bucket `<prefix>-tron-backups`. What it refuses for the
moment is tried again a few times; then the backup fails, and a later one goes on with the pieces that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import TypeVar

from isal import igzip
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from runner.errors import ConfigError, ObjectExists, StoreError, StoreRejected, StoreUnavailable
from runner.logging.unpacking import gunzip
from runner.operations import manifest as manifests
from runner.operations.manifest import FileEntry, Manifest
from runner.settings import MIB
from runner.stores.base import Archive

BUCKET = "backups"
PIECE = 4 * MIB
"""Bytes of content in a piece: with gzip around what cannot be compressed, it is well below 8 MiB."""
_TRIES = 4

Answer = TypeVar("Answer")


class Vault:
    """One set of backups. With `repair`, pieces that are there already are read back, and damaged ones replaced."""

    def __init__(self, archive: Archive, name: str, *, repair: bool = False) -> None:
        self.name = name
        self.new_bytes = 0
        self._archive = archive
        self._repair = repair
        self._sizes: dict[str, int] | None = None
        self._seen: set[str] = set()

    def ids(self) -> list[str]:
        """Every backup, oldest first."""
        prefix = f"{self.name}/manifests/"
        names = self._call(lambda: [info.name for info in self._archive.list(BUCKET, prefix)])
        found = (name.removeprefix(prefix).removesuffix(".json") for name in names)
        return sorted(backup for backup in found if manifests.is_id(backup))

    def choose(self, backup: str) -> str:
        """The backup that an id, the beginning of one, or "newest" names. Raises `ConfigError`."""
        known = self.ids()
        if not known:
            raise ConfigError(f"there is no backup in the set {self.name!r}", "`tron backup --to PLACE` makes one")
        if backup == "newest":
            return known[-1]
        found = [name for name in known if name.startswith(backup)]
        if len(found) != 1:
            said = "several backups begin" if found else "no backup begins"
            raise ConfigError(f"{said} with {backup!r}", "`tron backup --list` shows them")
        return found[0]

    def manifest(self, backup: str) -> Manifest:
        """Raises `StoreRejected` where it is damaged."""
        body = self._call(lambda: self._archive.read(BUCKET, self._manifest_name(backup)))
        return manifests.decode(backup, body)

    def files(self, manifest: Manifest) -> list[FileEntry]:
        """What a backup holds. Raises `StoreRejected` where its index is damaged."""
        try:
            return list(manifests.decode_files(b"".join(map(self.get, manifest.index))))
        except StoreUnavailable:
            raise
        except StoreError as error:
            raise StoreRejected(f"the list of files of the backup cannot be read: {error}", "use another") from None

    def put(self, content: bytes) -> str:
        """Keep a piece that is not there yet; returns its name."""
        name = sha256(content).hexdigest()
        if name not in self._seen and not self._has(name, content):
            body = igzip.compress(content, 1, mtime=0)
            self._create(self._piece_name(name), body, {"raw_bytes": str(len(content))}, "application/gzip")
            self._known()[name] = len(body)
            self.new_bytes += len(body)
        self._seen.add(name)
        return name

    def get(self, name: str) -> bytes:
        """The content of a piece. Raises `StoreRejected` where it is damaged, `StoreError` where it is gone."""
        body = self._call(lambda: self._archive.read(BUCKET, self._piece_name(name)))
        place = f"the piece {self._piece_name(name)}"
        try:
            content = gunzip(body, PIECE, place)
        except StoreRejected as error:
            raise StoreRejected(str(error), _REPAIR) from None
        if sha256(content).hexdigest() != name:
            raise StoreRejected(f"{place} is damaged: it does not hold what it is named after", _REPAIR)
        return content

    def commit(self, manifest: Manifest) -> str:
        """Make a backup of pieces that are all there; returns its id. Raises `StoreUnavailable` where one has gone."""
        self._sizes = None
        lost = self._seen - set(self._known())
        if lost:
            raise StoreUnavailable(f"{len(lost)} pieces were deleted while the backup was made", "make it again")
        backup, body = manifests.encode(manifest)
        self._create(self._manifest_name(backup), body, {"format": str(manifest.format)}, "application/json")
        return backup

    def delete(self, backup: str) -> None:
        self._call(lambda: self._archive.delete(BUCKET, self._manifest_name(backup)))

    def unused(self) -> list[str]:
        """Pieces that no backup names. Raises `StoreRejected` while one cannot be read: what it needs is unknown."""
        used: set[str] = set()
        for backup in self.ids():
            kept = self.manifest(backup)
            used.update(kept.index)
            used.update(piece for file in self.files(kept) for piece in file.pieces)
        self._sizes = None
        return [name for name in self._known() if name not in used]

    def delete_piece(self, name: str) -> int:
        """Delete a piece; returns the bytes that this frees."""
        self._call(lambda: self._archive.delete(BUCKET, self._piece_name(name)))
        return self._known().pop(name, 0)

    def close(self) -> None:
        self._archive.close()

    def _has(self, name: str, content: bytes) -> bool:
        """Whether a piece is there; with `repair`, a damaged one is deleted first."""
        if name not in self._known():
            return False
        if not self._repair:
            return True
        try:
            return self.get(name) == content
        except StoreUnavailable:
            raise
        except StoreError:
            self.delete_piece(name)
            return False

    def _known(self) -> dict[str, int]:
        if self._sizes is None:
            prefix = f"{self.name}/pieces/"
            found = self._call(lambda: list(self._archive.list(BUCKET, prefix)))
            self._sizes = {info.name.rpartition("/")[2].removesuffix(".gz"): info.size for info in found}
        return self._sizes

    def _create(self, name: str, body: bytes, metadata: dict[str, str], content_type: str) -> None:
        def create() -> None:
            try:
                self._archive.create(BUCKET, name, body, metadata=metadata, content_type=content_type)
            except ObjectExists:
                # The name is the content's hash: an earlier try, or another process, was faster.
                return

        self._call(create)

    def _manifest_name(self, backup: str) -> str:
        return f"{self.name}/manifests/{backup}.json"

    def _piece_name(self, name: str) -> str:
        return f"{self.name}/pieces/{name[:2]}/{name}.gz"

    def _call(self, action: Callable[[], Answer]) -> Answer:
        retrying = Retrying(
            retry=retry_if_exception_type(StoreUnavailable),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            stop=stop_after_attempt(_TRIES),
            reraise=True,
        )
        return retrying(action)


_REPAIR = "`tron backup --repair` keeps a good one where the home still has its content"


def sets(archive: Archive) -> Iterator[str]:
    """The names of the sets that a place holds."""
    told: set[str] = set()
    for info in archive.list(BUCKET):
        name = info.name.partition("/")[0]
        if name not in told:
            told.add(name)
            yield name
