"""Every way to change a compacted archive, and the name that the audit gives it."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from zlib import crc32

import msgspec
import pytest

from runner.layout import Home, is_manifest
from runner.logging import lines, manifests, objects
from runner.logging.audit import AuditReport
from runner.logging.gcs_logger import chained
from runner.logging.manifests import Entry, Manifest
from runner.logging.parts import read_manifest
from runner.logging.routes import TRADE_LOGS
from runner.stores.base import ObjectInfo
from runner.stores.memory import MemoryArchive
from tests.logging.compacting import DAY, Past

GZIP = "application/gzip"


@dataclass
class Scene:
    """A compacted archive, and the compacted trades of one bot that had one run that day."""

    past: Past

    @property
    def archive(self) -> MemoryArchive:
        assert isinstance(self.past.archive, MemoryArchive)
        return self.past.archive

    @property
    def info(self) -> ObjectInfo:
        """The manifest's object."""
        found = self.archive.list(TRADE_LOGS, f"logs/{DAY:%Y/%m/%d}/vwap/trades_")
        return next(info for info in found if is_manifest(info.name))

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.archive, self.info)

    @property
    def body(self) -> bytes:
        return self.archive.read(TRADE_LOGS, self.manifest.object)

    def part(self, number: int) -> tuple[Entry, list[bytes]]:
        entry = self.manifest.parts[number]
        return entry, lines.split(gzip.decompress(self.body[entry.start : entry.start + entry.size]))

    def put(self, name: str, body: bytes, metadata: dict[str, str]) -> None:
        self.archive.delete(TRADE_LOGS, name)
        self.archive.create(TRADE_LOGS, name, body, metadata=metadata, content_type=GZIP)

    def put_body(self, body: bytes) -> None:
        info = self.archive.stat(TRADE_LOGS, self.manifest.object)
        assert info is not None
        self.put(info.name, body, dict(info.metadata))

    def rewrite(self, number: int, raw: bytes, *, forge: int = 0) -> None:
        """Put other lines in a part's place. Forged are 1: sizes and places, 2: hashes, 3: chains too."""
        old, pieces = self.manifest, []
        for place, entry in enumerate(old.parts):
            piece = self.body[entry.start : entry.start + entry.size]
            metadata = dict(entry.metadata)
            if place == number:
                piece = gzip.compress(raw)
                metadata["raw_bytes"] = str(len(raw))
                if forge > 1:
                    metadata["raw_sha256"] = hashlib.sha256(raw).hexdigest()
            if forge > 2 and place >= number:
                metadata["prev"] = pieces[-1][0].metadata["chain"] if pieces else ""
                metadata["chain"] = chained(metadata["prev"], metadata["raw_sha256"])
            pieces.append((ObjectInfo(TRADE_LOGS, entry.name, len(piece), metadata), piece))
        manifest, body = manifests.join(pieces, old.object)
        self.put(self.info.name, manifest.encode(), manifest.metadata())
        self.put(manifest.object, body, {"format": "1", "sha256": manifest.sha256})

    def verify(self) -> AuditReport:
        return self.past.verify()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Past:
    past = Past(Home(tmp_path_factory.mktemp("past")).create(), MemoryArchive())
    past.compact()
    return past


@pytest.fixture
def scene(shared: Past) -> Scene:
    return Scene(shared.again())


def only(report: AuditReport) -> tuple[str, str, int]:
    assert len(report.findings) == 1, [str(finding) for finding in report.findings]
    finding = report.findings[0]
    return finding.what, finding.stream, finding.offset


def changed(line: bytes) -> bytes:
    """A line with another price and a checksum that fits."""
    body = line.replace(b'"price":"1', b'"price":"7')[: -lines.TRAILER]
    return b'%s,"crc":"%08x"}\n' % (body, crc32(body))


def test_an_archive_that_nobody_touched_has_no_findings(scene: Scene) -> None:
    assert scene.verify().complete
    assert len(scene.manifest.parts) > 2


def test_a_deleted_compacted_object_is_a_gap_or_a_missing_stream_and_its_manifest_is_told(scene: Scene) -> None:
    scene.archive.delete(TRADE_LOGS, scene.manifest.object)

    found = [(finding.what, finding.stream) for finding in scene.verify().findings]

    assert found == [("damaged object", ""), ("missing stream", "trades")]


def test_a_deleted_manifest_is_a_missing_stream(scene: Scene) -> None:
    scene.archive.delete(TRADE_LOGS, scene.info.name)
    assert only(scene.verify()) == ("missing stream", "trades", 0)


def test_both_deleted_are_a_missing_stream(scene: Scene) -> None:
    scene.archive.delete(TRADE_LOGS, scene.manifest.object)
    scene.archive.delete(TRADE_LOGS, scene.info.name)
    assert only(scene.verify()) == ("missing stream", "trades", 0)


@pytest.mark.parametrize("cut", [1, 100])
def test_a_compacted_object_that_is_cut_off_is_damaged(scene: Scene, cut: int) -> None:
    scene.put_body(scene.body[:-cut])
    assert "damaged object" in [finding.what for finding in scene.verify().findings]


def test_something_behind_the_last_part_is_damage(scene: Scene) -> None:
    scene.put_body(scene.body + gzip.compress(b"more"))
    assert "damaged object" in [finding.what for finding in scene.verify().findings]


def test_two_compacted_objects_that_changed_places_are_found(scene: Scene) -> None:
    names = [info.name for info in scene.archive.list(TRADE_LOGS) if info.name.endswith("json.gz")][:2]
    bodies = [(scene.archive.read(TRADE_LOGS, name), scene.archive.stat(TRADE_LOGS, name)) for name in names]
    for name, (body, info) in zip(reversed(names), bodies, strict=True):
        assert info is not None
        scene.put(name, body, dict(info.metadata))
    assert not scene.verify().complete


def test_flipped_bytes_are_found_in_every_part(scene: Scene) -> None:
    body = scene.body
    for entry in scene.manifest.parts:
        place = entry.start + entry.size // 2
        scene.put_body(body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :])
        what, stream, offset = only(scene.verify())
        assert (what in {"damaged object", "edit", "gap", "double"}, stream) == (True, "trades")
        assert offset >= int(entry.metadata["first"])


def test_an_edited_record_is_an_edit_of_its_record(scene: Scene) -> None:
    entry, found = scene.part(1)
    found[2] = found[2].replace(b'"price":"1', b'"price":"7')
    scene.rewrite(1, b"".join(found), forge=1)
    assert only(scene.verify()) == ("edit", "trades", int(entry.metadata["first"]) + 2)


@pytest.mark.parametrize("forge", [1, 2, 3])
def test_an_edit_is_found_however_much_is_forged(scene: Scene, forge: int) -> None:
    entry, found = scene.part(1)
    found[2] = changed(found[2])
    scene.rewrite(1, b"".join(found), forge=forge)
    what, stream, offset = only(scene.verify())
    assert (what, stream) == ("edit", "trades")
    assert offset <= int(entry.metadata["first"]) + 2


def test_a_record_that_was_taken_out_is_a_gap(scene: Scene) -> None:
    entry, found = scene.part(1)
    scene.rewrite(1, b"".join([*found[:2], *found[3:]]), forge=3)
    assert only(scene.verify()) == ("gap", "trades", int(entry.metadata["first"]) + 2)


def test_a_record_that_stands_twice_is_a_double(scene: Scene) -> None:
    entry, found = scene.part(1)
    scene.rewrite(1, b"".join([*found[:3], *found[2:]]), forge=3)
    assert only(scene.verify()) == ("double", "trades", int(entry.metadata["first"]) + 3)


def test_two_records_that_changed_places_are_a_reordering(scene: Scene) -> None:
    entry, found = scene.part(1)
    found[2], found[3] = found[3], found[2]
    scene.rewrite(1, b"".join(found), forge=3)
    assert only(scene.verify()) == ("reordering", "trades", int(entry.metadata["first"]) + 2)


def cut_parts(scene: Scene, kept: slice) -> None:
    """A compacted object and a manifest of some parts only, everything about them forged."""
    old, body = scene.manifest, scene.body
    pieces = [
        (ObjectInfo(TRADE_LOGS, entry.name, entry.size, entry.metadata), body[entry.start : entry.start + entry.size])
        for entry in old.parts[kept]
    ]
    manifest, whole = manifests.join(pieces, old.object)
    scene.put(scene.info.name, manifest.encode(), manifest.metadata())
    scene.put(manifest.object, whole, {"format": "1", "sha256": manifest.sha256})


def test_a_part_that_was_taken_out_is_a_gap(scene: Scene) -> None:
    cut_parts(scene, slice(1, None))
    assert only(scene.verify())[::2] == ("gap", 0)


def test_a_last_part_that_was_taken_out_is_a_cut_tail(scene: Scene) -> None:
    last = int(scene.manifest.parts[-1].metadata["first"])
    cut_parts(scene, slice(None, -1))
    assert only(scene.verify()) == ("cut tail", "trades", last)


def test_a_part_of_other_content_beside_its_compacted_object_is_a_double(scene: Scene) -> None:
    entry, found = scene.part(1)
    raw = b"".join(map(changed, found))
    metadata = {**entry.metadata, "raw_sha256": hashlib.sha256(raw).hexdigest()}
    scene.put(entry.name, gzip.compress(raw), metadata)
    assert not scene.verify().complete


@pytest.mark.parametrize("field", ["sha256", "format", "bucket", "object", "size"])
def test_a_manifest_that_says_something_else_of_its_object_is_damaged(scene: Scene, field: str) -> None:
    other = {"sha256": "0" * 64, "format": "2", "bucket": "x", "object": "logs/x", "size": 5}[field]
    manifest = msgspec.structs.replace(scene.manifest, **{field: other})
    scene.put(scene.info.name, manifest.encode(), dict(scene.info.metadata))
    assert {finding.what for finding in scene.verify().findings} == {"damaged object", "missing stream"}


@pytest.mark.parametrize(
    "body",
    [b"", b"no gzip", gzip.compress(b"{}"), gzip.compress(b"[1]"), gzip.compress(bytes(10**8))],
    ids=["empty", "no gzip", "no manifest", "a list", "enormous"],
)
def test_a_manifest_that_is_none_is_damaged(scene: Scene, body: bytes) -> None:
    scene.put(scene.info.name, body, dict(scene.info.metadata))
    assert {finding.what for finding in scene.verify().findings} == {"damaged object", "missing stream"}


def test_metadata_of_a_manifest_that_name_other_parts_are_damage(scene: Scene) -> None:
    scene.put(scene.info.name, scene.manifest.encode(), {**scene.info.metadata, "parts": "1"})
    assert "damaged object" in [finding.what for finding in scene.verify().findings]


def test_what_lies_in_a_compacted_object_of_another_run_does_not_count_for_this_one(scene: Scene) -> None:
    runs = {run for run in objects.index(scene.archive)}
    scene.archive.delete(TRADE_LOGS, scene.info.name)
    assert {finding.run for finding in scene.verify().findings} < runs
