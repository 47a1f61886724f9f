"""Compaction: fewer objects, the same records for every reader, and no moment at which a record is in danger."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from runner.clock import ManualClock
from runner.errors import ConfigError, StoreError, StoreUnavailable
from runner.layout import Home, is_batch_object, is_manifest
from runner.logging import checkpoint, compaction, objects
from runner.logging.compaction import compact
from runner.logging.deadline import Deadline
from runner.logging.follower import Journals
from runner.logging.gcs_logger import ArchiveState, Pending
from runner.logging.parts import view
from runner.logging.reader import Cursor
from runner.logging.routes import COMPLIANCE_LOGS, TRADE_LOGS
from runner.logging.source import StreamSource
from runner.stores.base import ObjectInfo
from runner.stores.memory import MemoryArchive
from runner.testing import Fault, FaultyArchive
from tests.logging.compacting import DAY, NEXT, Past, clone
from tests.logging.journeys import START, archived_lines, ship_all

GZIP = "application/gzip"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return Past(Home(tmp_path_factory.mktemp("past")).create(), MemoryArchive())


@pytest.fixture
def past(shared: Past) -> Past:
    return shared.again()


def parts(past: Past, stream: str = "trades", bucket: str = TRADE_LOGS) -> list[ObjectInfo]:
    found = past.archive.list(bucket, f"logs/{DAY:%Y/%m/%d}/breakout/{stream}_")
    return [info for info in found if is_batch_object(info.name)]


def records_of(past: Past) -> int:
    return sum(len(lines) for writer in past.writers for lines in writer.lines.values())


class TestReaders:
    def test_every_reader_sees_the_records_that_it_saw_before(self, past: Past) -> None:
        before, audited = archived_lines(past.archive), past.verify()

        report = past.compact()

        assert (report.parts, report.objects, report.deleted, report.problems) == (64, 16, 64, [])
        assert archived_lines(past.archive) == before
        after = past.verify()
        assert (after.complete, after.records, after.objects) == (True, audited.records, audited.objects)

    def test_a_compacted_object_is_its_parts_byte_for_byte_and_zcat_shows_every_record(self, past: Past) -> None:
        ordered = sorted(parts(past), key=lambda info: (info.metadata["run"], int(info.metadata["first"])))
        bodies = [past.archive.read(TRADE_LOGS, info.name) for info in ordered]

        past.compact()

        (whole,) = (
            name
            for name in past.names(TRADE_LOGS)[TRADE_LOGS]
            if f"{DAY:%d}/breakout/trades_" in name and name.endswith("json.gz")
        )
        assert past.archive.read(TRADE_LOGS, whole) == b"".join(bodies)

    def test_only_days_that_are_over_and_quiet_are_compacted(self, past: Past) -> None:
        past.clock.set(START.replace(hour=0, minute=0) + timedelta(days=2) - timedelta(seconds=1))
        assert past.compact().parts == 0
        past.clock.advance(1)
        assert past.compact().groups == 12
        assert all(
            f"{NEXT:%Y/%m/%d}" in info.name for info in past.archive.list(TRADE_LOGS) if is_batch_object(info.name)
        )

    def test_a_day_waits_for_its_last_record_to_be_a_day_old(self, past: Past) -> None:
        first = parts(past)[0]
        body = past.archive.read(TRADE_LOGS, first.name)
        past.archive.delete(TRADE_LOGS, first.name)
        late = {**first.metadata, "last_ts": (past.clock.now() - timedelta(hours=23)).isoformat()}
        past.archive.create(TRADE_LOGS, first.name, body, metadata=late, content_type=GZIP)

        past.compact()

        assert len(parts(past)) > 2
        past.clock.advance(3600)
        past.compact()
        assert parts(past) == []

    def test_one_day_can_be_asked_for(self, past: Past) -> None:
        assert past.compact(day=NEXT).groups == 4
        assert past.compact(day=DAY - timedelta(days=1)).groups == 0

    def test_the_compliance_bucket_is_never_touched(self, past: Past) -> None:
        before = {key: body for key, body in past.bodies().items() if key[0] == COMPLIANCE_LOGS}
        past.compact()
        assert {key: body for key, body in past.bodies().items() if key[0] == COMPLIANCE_LOGS} == before
        with pytest.raises(ConfigError, match="never compacted"):
            compact(past.archive, now=past.clock.now(), deadline=Deadline(past.clock), buckets=[COMPLIANCE_LOGS])

    def test_a_follower_that_lags_finds_its_ranges_in_compacted_objects(self, past: Past, tmp_path: Path) -> None:
        past.compact()
        damages: list[StoreError] = []
        journals = Journals(Home(tmp_path / "elsewhere").create(), past.clock, past.archive)
        for writer in past.writers:
            for stream, lines in writer.lines.items():
                source = StreamSource(journals, writer.info, stream, Cursor(next=1), damages.append)
                read = b""
                while chunk := source.read(len(lines)):
                    read += chunk
                assert read == b"".join(lines[1:])
                source.close()
        assert damages == []

    def test_an_object_that_is_joined_while_somebody_reads_is_read_from_where_it_lies_then(self, past: Past) -> None:
        shown = view(past.archive)
        listed = [info for info in shown.list(TRADE_LOGS, "logs/") if is_batch_object(info.name)]
        bodies = {info.name: past.archive.read(TRADE_LOGS, info.name) for info in listed}

        past.compact()

        assert {info.name: shown.read(TRADE_LOGS, info.name) for info in listed} == bodies
        assert {info.name: shown.stat(TRADE_LOGS, info.name) for info in listed} == {info.name: info for info in listed}

    @pytest.mark.parametrize("cut", ["", "14", "1430", "143000_", "x"])
    def test_a_prefix_selects_parts_as_if_they_lay_there(self, past: Past, cut: str) -> None:
        prefix = f"logs/{DAY:%Y/%m/%d}/breakout/trades_{cut}"
        before = list(past.archive.list(TRADE_LOGS, prefix))
        past.compact()
        assert list(view(past.archive).list(TRADE_LOGS, prefix)) == before

    def test_objects_stay_below_the_size_of_one_request(self, past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compaction, "OBJECT_LIMIT", 2500)
        before = archived_lines(past.archive)

        report = past.compact()

        joined = [
            info for info in past.archive.list(TRADE_LOGS) if "_compacted_" in info.name and not is_manifest(info.name)
        ]
        assert report.objects > 4
        assert max(info.size for info in joined) <= 2500
        assert archived_lines(past.archive) == before
        assert past.verify().complete


class Killed(BaseException):
    """The process is gone."""


class Mortal(FaultyArchive):
    """Dies at one operation: before it, or `after` it was done."""

    def __init__(self, inner: MemoryArchive, at: int, after: bool) -> None:
        super().__init__(inner, self._count)
        self.at, self.after, self.count = at, after, 0

    def _count(self, operation: str) -> Fault | None:
        self.count += 1
        return Fault(Killed(), after=self.after) if self.count == self.at else None  # type: ignore[arg-type]  # it is what kills


class TestInterruptions:
    @pytest.mark.parametrize("after", [False, True])
    def test_killed_at_any_operation_and_repeated_the_end_is_that_of_one_clean_run(
        self, past: Past, after: bool
    ) -> None:
        assert isinstance(past.archive, MemoryArchive)
        start, before = past.archive, archived_lines(past.archive)
        past.archive = clone(start)
        past.compact()
        clean, at, killed = past.bodies(), 1, True
        while killed:
            past.archive = mortal = Mortal(clone(start), at, after)
            try:
                past.compact()
                killed = False
            except Killed:
                past.archive = mortal.inner
                if at % 30 == 1:
                    assert archived_lines(past.archive) == before
                past.compact()
            past.archive = mortal.inner
            assert past.bodies() == clean
            at += 3
        assert at > 200

    def test_a_second_compaction_beside_the_first_does_no_harm(self, past: Past) -> None:
        before = archived_lines(past.archive)

        class Racing(MemoryArchive):
            """Lets somebody else compact everything between the reading of parts and what is made of them."""

            raced = False

            def create(
                self, bucket: str, name: str, body: bytes, *, metadata: Mapping[str, str], content_type: str
            ) -> None:
                if not self.raced:
                    self.raced = True
                    past.compact()
                super().create(bucket, name, body, metadata=metadata, content_type=content_type)

        assert isinstance(past.archive, MemoryArchive)
        racing = Racing()
        racing._buckets = past.archive._buckets
        past.archive = racing
        past.compact()
        past.compact()

        assert archived_lines(past.archive) == before
        assert past.verify().complete
        assert not [name for name in past.names(TRADE_LOGS)[TRADE_LOGS] if is_batch_object(name)]

    def test_a_deadline_leaves_the_rest_to_the_next_call(self, past: Past) -> None:
        class Slow(FaultyArchive):
            def __init__(self, inner: MemoryArchive, clock: ManualClock) -> None:
                super().__init__(inner, self._tick)
                self.clock = clock

            def _tick(self, operation: str) -> None:
                self.clock.advance(0.1)

        assert isinstance(past.archive, MemoryArchive)
        start = past.archive
        past.archive = clone(start)
        past.compact()
        clean = past.bodies()
        past.archive = Slow(clone(start), past.clock)
        reports = [past.compact(seconds=5) for _ in range(40)]

        unfinished = [report for report in reports if not report.done]
        assert len(unfinished) > 3
        assert all("and later" in report.left[0] for report in unfinished)
        assert reports[-1].done
        assert past.bodies() == clean

    def test_a_try_that_got_no_manifest_and_was_overtaken_by_late_records_is_cleared_away(self, past: Past) -> None:
        late = parts(past)[1]
        body = past.archive.read(TRADE_LOGS, late.name)
        past.archive.delete(TRADE_LOGS, late.name)
        past.compact(day=DAY)
        (manifest,) = (
            name for name in past.names(TRADE_LOGS)[TRADE_LOGS] if is_manifest(name) and "breakout/trades" in name
        )
        restore_parts(past, manifest)
        past.archive.delete(TRADE_LOGS, manifest)
        past.archive.create(TRADE_LOGS, late.name, body, metadata=late.metadata, content_type=GZIP)

        first = past.compact(day=DAY)
        left = [
            name
            for name in past.names(TRADE_LOGS)[TRADE_LOGS]
            if "breakout/trades_compacted" in name and f"{DAY:%d}/" in name
        ]
        second = past.compact(day=DAY)

        assert (first.problems, second.problems) == ([], [])
        assert [name.rpartition("_")[2] for name in left] == ["v1.json.gz", "v2.json.gz", "v2.manifest.gz"]
        assert not past.archive.stat(TRADE_LOGS, left[0])
        assert past.verify().complete


def restore_parts(past: Past, manifest: str) -> None:
    """Put the parts of a compacted object back beside it."""
    shown = view(past.archive)
    for info in list(shown.list(TRADE_LOGS, manifest.partition("_compacted_")[0] + "_")):
        if is_batch_object(info.name):
            past.archive.create(
                TRADE_LOGS, info.name, shown.read(TRADE_LOGS, info.name), metadata=info.metadata, content_type=GZIP
            )


class Losing(MemoryArchive):
    """Says yes to compacted objects and keeps none, or others."""

    def __init__(self, kept: Callable[[bytes], bytes | None], what: str) -> None:
        super().__init__()
        self._kept, self._what = kept, what

    def create(self, bucket: str, name: str, body: bytes, *, metadata: Mapping[str, str], content_type: str) -> None:
        stored = self._kept(body) if name.endswith(self._what) and "_compacted_" in name else body
        if stored is not None:
            super().create(bucket, name, stored, metadata=metadata, content_type=content_type)


class TestNothingIsDeletedThatIsNotArchived:
    @pytest.mark.parametrize("what", [".json.gz", ".manifest.gz"])
    @pytest.mark.parametrize("kept", [lambda body: None, lambda body: body[:-1], lambda body: b"x" + body[1:]])
    def test_parts_stay_when_what_was_made_of_them_did_not_arrive(
        self, home: Home, what: str, kept: Callable[[bytes], bytes | None]
    ) -> None:
        past = Past(home, Losing(kept, what))
        before = {key for key in past.bodies() if is_batch_object(key[1])}

        report = past.compact()

        assert report.deleted == 0
        assert report.failed
        assert before <= set(past.bodies())

    def test_a_manifest_that_lies_about_its_object_costs_no_part(self, past: Past) -> None:
        past.compact(day=DAY)
        (manifest,) = (
            name for name in past.names(TRADE_LOGS)[TRADE_LOGS] if is_manifest(name) and "vwap/trades" in name
        )
        restore_parts(past, manifest)
        whole = manifest.replace(".manifest.", ".json.")
        body = past.archive.read(TRADE_LOGS, whole)
        info = past.archive.stat(TRADE_LOGS, whole)
        assert info is not None
        past.archive.delete(TRADE_LOGS, whole)
        past.archive.create(TRADE_LOGS, whole, b"\0" * len(body), metadata=info.metadata, content_type=GZIP)

        report = past.compact(day=DAY)

        assert report.deleted == 0
        assert "is not what its manifest says" in report.failed[0]

    def test_a_damaged_part_is_left_alone_and_told_and_the_others_are_joined(self, past: Past) -> None:
        damaged = parts(past)[1]
        past.archive.delete(TRADE_LOGS, damaged.name)
        past.archive.create(TRADE_LOGS, damaged.name, b"no gzip", metadata=damaged.metadata, content_type=GZIP)

        report = past.compact()

        assert len(report.problems) == 1
        assert "is cut off" in report.problems[0]
        assert [info.name for info in parts(past)] == [damaged.name]
        assert [finding.what for finding in past.verify().findings] == ["damaged object"]

    @pytest.mark.parametrize(
        "name",
        [
            "notes.txt",
            f"logs/{DAY:%Y/%m/%d}/breakout/notes.txt",
            f"logs/{DAY:%Y/%m/%d}/breakout/trades_summary_143022_v1.csv.gz",
            "logs/odd",
        ],
    )
    def test_an_object_that_is_not_ours_stays_as_it_is(self, past: Past, name: str) -> None:
        past.archive.create(TRADE_LOGS, name, b"mine", metadata={}, content_type="text/plain")
        assert past.compact().parts == 64
        assert past.archive.read(TRADE_LOGS, name) == b"mine"

    def test_an_object_without_usable_metadata_is_left_alone_and_told(self, past: Past) -> None:
        name = parts(past)[0].name.replace("-000000000000_", "-000000009999_")
        past.archive.create(TRADE_LOGS, name, b"whose?", metadata={"run": "x"}, content_type=GZIP)
        report = past.compact()
        assert report.problems == [f"trade-logs/{name} has no usable metadata: it is left alone"]
        assert past.archive.read(TRADE_LOGS, name) == b"whose?"

    def test_what_a_retention_policy_keeps_stops_its_bucket_and_no_other(self, past: Past) -> None:
        class Held(FaultyArchive):
            def delete(self, bucket: str, name: str) -> None:
                if bucket == TRADE_LOGS:
                    raise StoreUnavailable("it may not be deleted yet", "leave it")
                super().delete(bucket, name)

        assert isinstance(past.archive, MemoryArchive)
        before = archived_lines(past.archive)
        past.archive = Held(past.archive, lambda operation: None)
        report = past.compact()
        assert report.failed == ["trade-logs: it may not be deleted yet (leave it)"]
        assert report.deleted == 30
        assert archived_lines(past.archive) == before
        assert past.verify().complete

    def test_what_a_cheaper_class_holds_by_now_is_left_there(self, past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compaction, "MOVE_ABOVE", 400)
        past.clock.advance(40 * 86_400)
        large = [info for info in parts(past) if info.size > 400]
        past.compact()
        assert large
        assert parts(past) == large


class TestLateRecords:
    def test_records_that_arrive_for_a_compacted_day_are_joined_among_themselves(self, past: Past) -> None:
        bodies = {info.name: (info, past.archive.read(TRADE_LOGS, info.name)) for info in parts(past)}
        late = sorted(bodies)[-3:]
        for name in late:
            past.archive.delete(TRADE_LOGS, name)
        past.compact()
        for name in late:
            info, body = bodies[name]
            past.archive.create(TRADE_LOGS, name, body, metadata=info.metadata, content_type=GZIP)
        assert past.verify().complete

        assert past.compact().parts == 3

        assert parts(past) == []
        assert past.verify().complete

    @pytest.mark.parametrize("pending", [True, False])
    def test_a_shipper_that_comes_back_after_days_ships_nothing_twice(self, home: Home, pending: bool) -> None:
        """It died between creating an object and noting that; or its checkpoint was lost altogether."""
        past = Past(home, MemoryArchive())
        writer = past.long
        state = checkpoint.load(past.home, writer.run, "archive", ArchiveState)
        batch = objects.index(past.archive)[writer.run]["trades"][-1]
        info = past.archive.stat(TRADE_LOGS, batch.name)
        assert info is not None
        stream = state.streams["trades"]
        before = msgspec.structs.replace(
            stream,
            cursor=place_of(past, writer.run, batch.first),
            chain=batch.prev,
            pending=Pending(
                name=batch.name,
                last=batch.last,
                raw_sha256=batch.raw_sha256,
                metadata=dict(info.metadata),
                end=stream.cursor,
            )
            if pending
            else None,
        )
        past.compact()
        checkpoint.save(
            past.home,
            writer.run,
            "archive",
            msgspec.structs.replace(state, streams={**state.streams, "trades": before}),
        )

        ship_all(past.followers())

        assert not [name for name in past.names(TRADE_LOGS)[TRADE_LOGS] if is_batch_object(name)]
        assert past.verify().complete

    def test_a_shipper_that_lost_its_checkpoint_and_cuts_batches_in_another_way_doubles_nothing(
        self, home: Home
    ) -> None:
        past = Past(home, MemoryArchive())
        past.compact()
        checkpoint.save(past.home, past.long.run, "archive", ArchiveState(registered=True))
        before = past.bodies()

        ship_all(past.followers(archive_bytes=1 << 20))

        assert past.bodies() == before
        assert past.verify().complete


def place_of(past: Past, run: str, first: int) -> Cursor:
    """The place of an offset in the one segment of the run's trades."""
    writer = next(writer for writer in past.writers if writer.run == run)
    return Cursor(next=first, segment=0, position=sum(map(len, writer.lines["trades"][:first])))


def test_a_dry_run_counts_and_changes_nothing(past: Past) -> None:
    before = past.bodies()
    report = past.compact(dry_run=True)
    assert (report.dry_run, report.parts, report.objects, report.deleted) == (True, 64, 16, 0)
    assert past.bodies() == before
    assert copy.copy(report).as_dict()["done"] is True


def test_two_parts_are_not_worth_two_new_objects(past: Past) -> None:
    for info in parts(past)[2:]:
        past.archive.delete(TRADE_LOGS, info.name)
    past.compact()
    assert len(parts(past)) == 2


def test_all_records_are_where_they_should_be(past: Past) -> None:
    past.compact()
    assert sum(
        lines.count(b"\n") for run in archived_lines(past.archive).values() for lines in run.values()
    ) == records_of(past)
