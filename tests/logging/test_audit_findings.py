"""Every way to change an archive, and the name that the audit gives it."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from zlib import crc32

import msgspec
import pytest

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import lines, objects
from runner.logging.audit import Auditor, AuditReport
from runner.logging.gcs_logger import chained
from runner.logging.journal import segment_path
from runner.logging.log_types import Kind
from runner.logging.objects import BatchObject
from runner.logging.routes import COMPLIANCE_LOGS
from runner.stores.base import ObjectInfo
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from tests.logging.journeys import START, Fleet, PlainWriter, RecordingStream, ship_all


@dataclass
class Scene:
    """A shipped run: in `trades` 40 records in several objects, sealed at 19 and at the end."""

    home: Home
    clock: ManualClock
    archive: MemoryArchive
    run: str

    def verify(self, *, home: Home | None = None) -> AuditReport:
        return Auditor(self.archive, home, clock=self.clock).verify()

    def batches(self, stream: str = "trades", bucket: str = "") -> list[BatchObject]:
        buckets = (bucket,) if bucket else objects.PRIMARY
        return objects.index(self.archive, buckets)[self.run][stream]

    def replace(self, batch: BatchObject, raw: bytes, **metadata: str) -> None:
        """Put other content in an object's place; metadata change only where they are named."""
        info = self.archive.stat(batch.bucket, batch.name)
        assert info is not None
        self.archive.delete(batch.bucket, batch.name)
        changed = {**info.metadata, **metadata}
        self.archive.create(
            batch.bucket, batch.name, gzip.compress(raw), metadata=changed, content_type="application/gzip"
        )

    def forge(self, batch: BatchObject, raw: bytes) -> None:
        """Change an object, and then everything in the archive that names its content: hashes and chain."""
        chain, seen = "", False
        for one in self.batches(batch.stream, batch.bucket):
            content = raw if one.name == batch.name else objects.raw_lines(self.archive, one)
            seen |= one.name == batch.name
            digest = hashlib.sha256(content).hexdigest()
            following = chained(chain, digest)
            if seen:
                size = str(len(content))
                self.replace(one, content, raw_sha256=digest, prev=chain, chain=following, raw_bytes=size)
            chain = following

    def drop(self, *batches: BatchObject) -> None:
        for batch in batches:
            self.archive.delete(batch.bucket, batch.name)


@pytest.fixture
def scene(home: Home) -> Scene:
    clock, archive = ManualClock(START), MemoryArchive()
    writer = PlainWriter(home, clock)
    fleet = Fleet(home, clock, MemoryLiveStore(clock=clock), archive, RecordingStream())
    followers = fleet.build()
    for number in range(20):
        writer.trade(number)
        writer.write(Kind.HEARTBEAT, {"status": "running"})
        if number == 9:
            writer.seal()
        if number % 5 == 4:
            ship_all(followers)
    writer.close()
    ship_all(followers)
    clock.advance(3 * 3600)
    return Scene(home, clock, archive, writer.run)


BUCKETS = pytest.mark.parametrize("bucket", ["trade-logs", COMPLIANCE_LOGS])


def changed(line: bytes) -> bytes:
    """A line with another content and a checksum that fits."""
    body = line.replace(b'"price":"1', b'"price":"7').replace(b'"head":"', b'"head":"0')[: -lines.TRAILER]
    return b'%s,"crc":"%08x"}\n' % (body, crc32(body))


def edit(scene: Scene, batch: BatchObject, number: int, change: Callable[[bytes], bytes]) -> bytes:
    found = lines.split(objects.raw_lines(scene.archive, batch))
    found[number] = change(found[number])
    return b"".join(found)


def only(report: AuditReport) -> tuple[str, str, int]:
    assert len(report.findings) == 1, [str(finding) for finding in report.findings]
    finding = report.findings[0]
    return finding.what, finding.stream, finding.offset


def is_about_copy(report: AuditReport) -> bool:
    return report.findings[0].detail.startswith("in the compliance copy")


def test_an_archive_that_nobody_touched_has_no_findings(scene: Scene) -> None:
    report = scene.verify()

    assert (report.findings, report.unsealed, report.runs) == ([], [], 1)
    assert report.records == 40 + 20 + 2


def test_progress_tells_how_far_the_audit_is(scene: Scene) -> None:
    seen: list[int] = []

    Auditor(scene.archive, None, lambda report: seen.append(report.objects), clock=scene.clock).verify()

    assert seen == list(range(1, len(seen) + 1))


@BUCKETS
def test_a_missing_object_is_a_gap(scene: Scene, bucket: str) -> None:
    batch = scene.batches(bucket=bucket)[1]
    scene.drop(batch)

    report = scene.verify()

    assert only(report) == ("gap", "trades", batch.first)
    assert is_about_copy(report) is (bucket == COMPLIANCE_LOGS)


@BUCKETS
def test_a_second_object_over_the_same_records_is_a_double(scene: Scene, bucket: str) -> None:
    batch = scene.batches(bucket=bucket)[1]
    info = scene.archive.stat(bucket, batch.name)
    assert info is not None
    body = scene.archive.read(bucket, batch.name)
    name = batch.name.replace("_v1.", "_v2.")
    scene.archive.create(bucket, name, body, metadata=info.metadata, content_type="application/gzip")

    assert only(scene.verify()) == ("double", "trades", batch.first)


@BUCKETS
def test_a_record_that_stands_twice_is_a_double_at_its_second_place(scene: Scene, bucket: str) -> None:
    batch = scene.batches(bucket=bucket)[1]
    scene.forge(batch, edit(scene, batch, 3, lambda line: line + line))

    assert only(scene.verify()) == ("double", "trades", batch.first + 4)


@BUCKETS
def test_a_flipped_byte_is_an_edit_of_its_record(scene: Scene, bucket: str) -> None:
    batch = scene.batches(bucket=bucket)[1]
    scene.replace(batch, edit(scene, batch, 2, lambda line: line.replace(b"BUY", b"BUI").replace(b"SELL", b"SALL")))

    assert only(scene.verify()) == ("edit", "trades", batch.first + 2)


@BUCKETS
def test_an_edit_with_a_fitting_checksum_is_found_by_the_hash_of_its_object(scene: Scene, bucket: str) -> None:
    batch = scene.batches(bucket=bucket)[3]
    raw = edit(scene, batch, 0, lambda line: changed(line).replace(b"xx", b"x"))
    last = scene.batches(bucket=bucket)[-1]
    scene.replace(batch, raw)

    what, stream, offset = only(scene.verify())

    assert (what, stream) == ("edit", "trades")
    assert 20 <= offset <= batch.first <= last.last


@BUCKETS
def test_an_edit_with_fitting_metadata_breaks_the_chain(scene: Scene, bucket: str) -> None:
    batch = scene.batches(bucket=bucket)[0]
    raw = edit(scene, batch, 0, changed)
    scene.replace(batch, raw, raw_sha256=hashlib.sha256(raw).hexdigest(), raw_bytes=str(len(raw)))

    assert only(scene.verify()) == ("edit", "trades", batch.first)


@BUCKETS
def test_an_edit_with_everything_forged_but_the_seals_is_found_between_two_seals(scene: Scene, bucket: str) -> None:
    batch = next(batch for batch in scene.batches(bucket=bucket) if batch.first >= 20)
    scene.forge(batch, edit(scene, batch, 0, changed))

    report = scene.verify()

    assert only(report) == ("edit", "trades", 20)
    assert "one of 20 to 39" in report.findings[0].detail


def test_forged_seals_differ_from_their_compliance_copy(scene: Scene) -> None:
    batch = scene.batches("seals")[-1]
    scene.forge(batch, edit(scene, batch, 0, changed))

    assert ("edit", "seals", 1) in {(found.what, found.stream, found.offset) for found in scene.verify().findings}


@BUCKETS
def test_two_records_that_changed_places_are_a_reordering(scene: Scene, bucket: str) -> None:
    batch = scene.batches(bucket=bucket)[1]
    found = lines.split(objects.raw_lines(scene.archive, batch))
    found[4], found[5] = found[5], found[4]
    scene.forge(batch, b"".join(found))

    assert only(scene.verify()) == ("reordering", "trades", batch.first + 4)


@BUCKETS
def test_a_record_taken_out_of_an_object_is_a_gap(scene: Scene, bucket: str) -> None:
    batch = scene.batches(bucket=bucket)[1]
    scene.forge(batch, edit(scene, batch, 4, lambda line: b""))

    assert only(scene.verify()) == ("gap", "trades", batch.first + 4)


@BUCKETS
def test_a_missing_last_object_is_a_cut_tail(scene: Scene, bucket: str) -> None:
    batch = scene.batches(bucket=bucket)[-1]
    scene.drop(batch)

    assert only(scene.verify()) == ("cut tail", "trades", batch.first)


def test_a_tail_cut_off_together_with_the_seals_over_it_is_known_from_the_copies(scene: Scene) -> None:
    last = scene.batches()[-1]
    scene.drop(last, scene.batches("seals")[-1])

    found = {(finding.what, finding.stream, finding.offset) for finding in scene.verify().findings}

    assert ("cut tail", "trades", last.first) in found


@BUCKETS
def test_a_stream_without_any_object_is_a_missing_stream(scene: Scene, bucket: str) -> None:
    scene.drop(*scene.batches(bucket=bucket))

    assert only(scene.verify()) == ("missing stream", "trades", 0)


def test_a_run_without_any_object_is_a_missing_run(scene: Scene) -> None:
    for bucket in objects.PRIMARY:
        for batches in objects.index(scene.archive, (bucket,)).get(scene.run, {}).values():
            scene.drop(*batches)

    assert only(scene.verify()) == ("missing run", "", 0)


def test_a_run_registered_a_moment_ago_is_not_sealed_yet(scene: Scene) -> None:
    young = lines.new_run(scene.clock.time_ns())
    body = msgspec.json.encode({"run": young})
    scene.archive.create(
        COMPLIANCE_LOGS, f"registry/2030/06/03/{young}.json", body, metadata={}, content_type="application/json"
    )

    report = scene.verify()

    assert (report.findings, report.unsealed) == ([], [young])


@BUCKETS
def test_an_object_that_cannot_be_unpacked_is_damaged(scene: Scene, bucket: str) -> None:
    batch = scene.batches(bucket=bucket)[2]
    info = scene.archive.stat(bucket, batch.name)
    assert info is not None
    body = scene.archive.read(bucket, batch.name)
    scene.drop(batch)
    scene.archive.create(bucket, batch.name, body[:-20], metadata=info.metadata, content_type="application/gzip")

    assert only(scene.verify()) == ("damaged object", "trades", batch.first)


def test_an_object_without_metadata_is_damaged_and_hides_nothing_else(scene: Scene) -> None:
    batch = scene.batches()[1]
    body = scene.archive.read(batch.bucket, batch.name)
    scene.drop(batch)
    scene.archive.create(batch.bucket, batch.name, body, metadata={}, content_type="application/gzip")

    found = [(finding.what, finding.stream) for finding in scene.verify().findings]

    assert sorted(found) == [("damaged object", ""), ("gap", "trades")]


def test_the_journal_is_the_rest_of_what_is_not_archived_yet(home: Home) -> None:
    clock, archive = ManualClock(START), MemoryArchive()
    writer = PlainWriter(home, clock)
    followers = Fleet(home, clock, MemoryLiveStore(clock=clock), archive, RecordingStream()).build()
    writer.trade(1)
    writer.seal()
    ship_all(followers)
    writer.trade(2)

    report = Auditor(archive, home, clock=clock).verify()

    assert (report.findings, report.in_journal, report.unsealed) == ([], 2, [writer.run])
    writer.close()


def test_a_live_run_that_is_behind_is_no_finding_where_its_journal_cannot_be_seen(home: Home) -> None:
    clock, archive = ManualClock(START), MemoryArchive()
    writer = PlainWriter(home, clock)
    followers = Fleet(home, clock, MemoryLiveStore(clock=clock), archive, RecordingStream()).build()
    writer.trade(1)
    ship_all(followers)
    writer.write(Kind.HEARTBEAT, {"status": "running"})
    writer.seal()
    ship_all(followers)
    for batch in objects.index(archive)[writer.run]["system"]:
        archive.delete(batch.bucket, batch.name)

    assert Auditor(archive, clock=clock).verify().findings == []
    clock.advance(3 * 3600)
    assert only(Auditor(archive, clock=clock).verify()) == ("missing stream", "system", 0)
    writer.close()


class MovingArchive(MemoryArchive):
    """Ships and sweeps just after its objects were listed, once."""

    def __init__(self, move: Callable[[], None]) -> None:
        super().__init__()
        self._move = move
        self.armed = False

    def list(self, bucket: str, prefix: str = "") -> list[ObjectInfo]:  # type: ignore[override]  # a list will do
        found = list(super().list(bucket, prefix))
        if self.armed and bucket == COMPLIANCE_LOGS and prefix == "logs/":
            self.armed = False
            self._move()
        return found


def test_what_moves_from_the_journal_to_the_archive_during_an_audit_is_no_finding(home: Home) -> None:
    clock = ManualClock(START)
    writer = PlainWriter(home, clock)

    def move() -> None:
        ship_all(followers)
        segment_path(writer.folder, "trades", 0).unlink()

    archive = MovingArchive(move)
    followers = Fleet(home, clock, MemoryLiveStore(clock=clock), archive, RecordingStream()).build()
    writer.trade(1)
    ship_all(followers)
    writer.trade(2)
    writer.rotate("trades")
    writer.trade(3)
    writer.close()
    archive.armed = True

    report = Auditor(archive, home, clock=clock).verify()

    assert (report.findings, report.runs, report.records) == ([], 1, 7)


def test_findings_say_in_one_line_what_and_where(scene: Scene) -> None:
    batch = scene.batches()[1]
    scene.drop(batch)

    finding = scene.verify().findings[0]

    assert str(finding).startswith(f"gap: run {scene.run}, stream trades, offset {batch.first}: records ")
    assert str(replace(finding, stream="")).startswith(f"gap: run {scene.run}: ")
