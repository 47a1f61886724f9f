"""The audit of an archive from which the retention table has taken what is over: proof goes on for what remains."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import objects
from runner.logging.audit import Auditor, AuditReport
from runner.logging.lifecycle_manager import LogLifecycleManager
from runner.logging.log_types import Kind
from runner.logging.objects import BatchObject
from runner.logging.retention import BUCKETS
from runner.logging.routes import COMPLIANCE_LOGS, SYSTEM_LOGS, TRADE_LOGS
from runner.settings import Settings
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from tests.logging.compacting import Past, clone
from tests.logging.journeys import START, Fleet, PlainWriter, RecordingStream, ship_all


class LongRun:
    """One run that lives for 500 days and writes a little of everything each tenth day."""

    def __init__(self, home: Home) -> None:
        self.home, self.clock, self.archive = home, ManualClock(START), MemoryArchive()
        live = MemoryLiveStore(clock=self.clock)
        followers = Fleet(home, self.clock, live, self.archive, RecordingStream()).build()
        self.writer = PlainWriter(home, self.clock)
        for number in range(50):
            self.writer.trade(number)
            self.writer.write(Kind.HEARTBEAT, {"status": "running", "number": number})
            if number == 0:
                self.writer.write(Kind.ERROR, {"message": "only once"})
            self.writer.seal()
            ship_all(followers)
            self.clock.advance(10 * 86_400)
        self.writer.close()
        ship_all(followers)

    def clean(self) -> None:
        settings = Settings(home=self.home.path / "elsewhere")
        live = MemoryLiveStore(clock=self.clock)
        report = LogLifecycleManager(settings, archive=self.archive, live=live, clock=self.clock).run_daily_cleanup()
        assert report.objects > 0

    def verify(self) -> AuditReport:
        return Auditor(self.archive, clock=self.clock).verify()

    def batches(self, stream: str, bucket: str = "") -> list[BatchObject]:
        return objects.index(self.archive, (bucket,) if bucket else objects.PRIMARY)[self.writer.run][stream]

    def drop(self, batch: BatchObject) -> None:
        self.archive.delete(batch.bucket, batch.name)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> LongRun:
    return LongRun(Home(tmp_path_factory.mktemp("long")).create())


@pytest.fixture
def run(lived: LongRun) -> Iterator[LongRun]:
    kept, lived.archive = lived.archive, clone(lived.archive)
    now = lived.clock.now()
    yield lived
    lived.archive = kept
    lived.clock.set(now)


def found(report: AuditReport) -> list[tuple[str, str, int]]:
    return [(finding.what, finding.stream, finding.offset) for finding in report.findings]


def test_before_anything_is_over_nothing_may_be_missing(run: LongRun) -> None:
    assert run.verify().complete
    run.drop(run.batches("errors")[0])
    run.clock.set(START + timedelta(days=89))
    assert ("missing stream", "errors", 0) in found(run.verify())


def test_what_the_cleanup_took_is_no_finding_and_is_not_counted(run: LongRun) -> None:
    whole = run.verify().records
    run.clean()
    report = run.verify()
    assert report.findings == []
    assert run.batches("system")[0].first == 41
    assert run.batches("trades")[0].first == 28
    assert report.records == whole - 41 - 28 - 14 - 1


def test_a_younger_record_that_is_missing_behind_what_is_over_is_a_gap(run: LongRun) -> None:
    run.clean()
    batch = run.batches("trades")[0]
    run.drop(batch)
    assert found(run.verify()) == [("gap", "trades", 0)]


def test_a_gap_among_what_remains_is_found(run: LongRun) -> None:
    run.clean()
    batch = run.batches("system")[3]
    run.drop(batch)
    assert found(run.verify()) == [("gap", "system", batch.first)]


def test_a_cut_tail_is_found(run: LongRun) -> None:
    run.clean()
    batch = run.batches("trades")[-1]
    run.drop(batch)
    assert found(run.verify()) == [("cut tail", "trades", batch.first)]


def test_an_edit_of_what_remains_is_found_by_its_hash_and_chain(run: LongRun) -> None:
    run.clean()
    batch = run.batches("trades")[2]
    other = run.archive.read(TRADE_LOGS, run.batches("trades")[3].name)
    info = run.archive.stat(TRADE_LOGS, batch.name)
    assert info is not None
    run.drop(batch)
    run.archive.create(TRADE_LOGS, batch.name, other, metadata=info.metadata, content_type="application/gzip")
    assert found(run.verify())[0][:2] == ("gap", "trades")


def test_a_store_that_deletes_in_another_order_is_no_finding_where_all_of_it_is_over(run: LongRun) -> None:
    run.drop(run.batches("system")[7])
    run.drop(run.batches("system")[2])
    assert run.verify().complete


def test_a_copy_that_is_missing_while_its_seven_years_last_is_found(run: LongRun) -> None:
    run.clean()
    batch = run.batches("trades", COMPLIANCE_LOGS)[0]
    run.drop(batch)
    assert ("gap", "trades", 0) in found(run.verify())


def test_runs_that_are_over_altogether_are_proven_by_their_copies(tmp_path_factory: pytest.TempPathFactory) -> None:
    past = Past(Home(tmp_path_factory.mktemp("past")).create(), MemoryArchive())
    past.compact()
    settings = Settings(home=past.home.path / "elsewhere")
    for days in (91, 366, 731, 2000):
        past.clock.set(START + timedelta(days=days + 2))
        live = MemoryLiveStore(clock=past.clock)
        LogLifecycleManager(settings, archive=past.archive, live=live, clock=past.clock).run_daily_cleanup()
        assert past.verify().findings == []
    assert [name for name in past.names() if past.names(name)[name]] == [COMPLIANCE_LOGS]
    copy = objects.index(past.archive, (COMPLIANCE_LOGS,))[past.writers[0].run]["trades"][1]
    past.archive.delete(COMPLIANCE_LOGS, copy.name)
    assert found(past.verify()) == [("gap", "trades", copy.first)]


def test_a_run_that_vanished_from_everywhere_is_missed_for_seven_years(run: LongRun) -> None:
    for bucket in BUCKETS:
        for info in list(run.archive.list(bucket, "logs/")):
            run.archive.delete(bucket, info.name)
    run.clock.set(START + timedelta(days=2554))
    assert found(run.verify()) == [("missing run", "", 0)]
    run.clock.set(START + timedelta(days=2556))
    assert run.verify().complete


def test_the_system_stream_of_a_living_run_may_be_over_while_its_trades_are_not(run: LongRun) -> None:
    for info in list(run.archive.list(SYSTEM_LOGS)):
        run.archive.delete(SYSTEM_LOGS, info.name)
    assert ("missing stream", "system", 0) in found(run.verify())
    run.clock.advance(91 * 86_400)
    assert run.verify().complete
