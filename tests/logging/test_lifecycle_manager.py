"""The daily cleanup and the optimisation of storage costs: what they do, and what they never do.

The system that this one follows had four defects here: its archive deleted without archiving, its cost alarm could not
fire (see the tests of costs), "keep five versions" did nothing, and its optimiser removed the delete rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from runner.clock import ManualClock
from runner.errors import ConfigError, StoreRejected, StoreUnavailable
from runner.layout import Home, is_batch_object
from runner.logging import backlog, lines, retention
from runner.logging.daily_sweep import DailySweep
from runner.logging.journal import runs
from runner.logging.lifecycle_manager import LogLifecycleManager
from runner.logging.retention import BUCKETS, LIVE, rules
from runner.logging.routes import ANALYTICS_DATA, COMPLIANCE_LOGS, SYSTEM_LOGS, TRADE_LOGS
from runner.settings import Settings
from runner.stores.base import Archive, Document, Lifecycle, LifecycleRule, LiveStore
from runner.stores.directory import DirectoryArchive
from runner.stores.memory import MemoryArchive, MemoryLiveStore
from runner.stores.sqlite import SqliteLiveStore
from runner.testing import Fault, FaultyArchive, FaultyLiveStore, in_turn
from tests.logging.compacting import DAY, Past
from tests.logging.journeys import START, archived_lines, documents_of, ship_all

EIGHT = [f"logs/{DAY:%Y/%m/%d}/breakout/trades_summary_143022_v{number}.csv.gz" for number in range(1, 9)]
FOLDER = f"logs/{DAY:%Y/%m/%d}/breakout"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return Past(Home(tmp_path_factory.mktemp("past")).create(), MemoryArchive())


@pytest.fixture
def past(shared: Past) -> Past:
    return shared.again()


def manager(past: Past, live: LiveStore | None = None, settings: Settings | None = None) -> LogLifecycleManager:
    """Of a home that has no journal, unless settings name one."""
    settings = settings or Settings(home=past.home.path / "elsewhere")
    return LogLifecycleManager(
        settings, archive=past.archive, live=live or MemoryLiveStore(clock=past.clock), clock=past.clock
    )


def documents(count: int, past: Past, hours: float) -> list[Document]:
    expiry = past.clock.now() + timedelta(hours=hours)
    return [
        Document("live_trades", f"{hours}-{number}", {"n": number}, 1, number, f"r:{number}", expiry)
        for number in range(count)
    ]


def put(archive: Archive, *names: str, bucket: str = ANALYTICS_DATA) -> None:
    for name in names:
        archive.create(bucket, name, b"x", metadata={}, content_type="text/plain")


class TestTheFourDefects:
    def test_nothing_is_deleted_by_archiving_that_is_not_in_the_archive_afterwards(self, past: Past) -> None:
        before = archived_lines(past.archive)
        with manager(past) as lifecycle:
            lifecycle.run_daily_cleanup()
            lifecycle.optimize_storage_costs(apply=True)
        assert archived_lines(past.archive) == before
        assert archived_lines(past.archive, compliance=True)
        assert past.verify().complete

    def test_five_versions_are_kept_and_the_older_ones_are_really_gone(self, past: Past) -> None:
        versions = [f"{FOLDER}/trades_summary_143022_v{number}.csv.gz" for number in range(1, 13)]
        put(past.archive, *versions)
        report = manager(past).run_daily_cleanup()
        assert (report.versions, report.bytes) == (7, 7)
        assert set(past.names(ANALYTICS_DATA)[ANALYTICS_DATA]) == set(versions[7:])

    def test_the_optimiser_never_leaves_a_bucket_without_its_delete_rule(self, past: Past) -> None:
        past.archive.set_lifecycle(TRADE_LOGS, [LifecycleRule(365), LifecycleRule(30, "NEARLINE", 1 << 20)])
        manager(past).optimize_storage_costs(apply=True)
        for bucket, names in past.names().items():
            found = past.archive.lifecycle(bucket)
            assert bool(names) is (found is not None)
            if found is not None:
                assert LifecycleRule(BUCKETS[bucket].days) in found.rules
                assert found.rules == rules(BUCKETS[bucket])


class TestDailyCleanup:
    @pytest.mark.parametrize("store", ["memory", "sqlite"])
    def test_expired_documents_go_page_by_page_and_others_stay(self, past: Past, store: str, tmp_path: Path) -> None:
        live: LiveStore = MemoryLiveStore(clock=past.clock)
        if store == "sqlite":
            live = SqliteLiveStore(tmp_path / "live.sqlite", clock=past.clock)
        live.commit(documents(1100, past, -1))
        live.commit(documents(7, past, 1))

        assert manager(past, live).run_daily_cleanup(dry_run=True).documents == 1100
        report = manager(past, live).run_daily_cleanup()

        assert (report.documents, report.done, report.failed) == (1100, True, [])
        assert len(documents_of(live)) == 7
        live.close()

    def test_a_deadline_leaves_the_rest_to_the_next_call(self, past: Past) -> None:
        class Slow(MemoryLiveStore):
            def delete_expired(self, **options: object) -> int:
                past.clock.advance(1)
                return super().delete_expired(**options)  # type: ignore[arg-type]  # passed on as they are

        live = Slow(clock=past.clock)
        live.commit(documents(2600, past, -1))
        put(past.archive, *EIGHT)
        reports = [manager(past, live).run_daily_cleanup(deadline_seconds=1.5) for _ in range(3)]

        assert [report.documents for report in reports] == [1000, 1000, 600]
        assert [report.done for report in reports] == [False, False, False]
        assert "live documents that have expired" in reports[0].left
        assert manager(past, live).run_daily_cleanup(deadline_seconds=1.5).done
        assert documents_of(live) == {}
        assert len(past.names(ANALYTICS_DATA)[ANALYTICS_DATA]) == 5

    def test_batch_objects_are_no_versions_of_each_other_however_they_are_named(self, past: Past) -> None:
        names = [f"{FOLDER}/trades_143000_deadbeef-000000000000_v{number}.json.gz" for number in range(1, 13)]
        put(past.archive, *names)
        assert manager(past).run_daily_cleanup().versions == 0
        assert set(names) <= set(past.names(ANALYTICS_DATA)[ANALYTICS_DATA])

    def test_versions_are_counted_by_number_for_each_object_and_day(self, past: Past) -> None:
        ours = [
            f"{FOLDER}/trades_summary_1430{digit}0_v{number}.csv.gz"
            for digit in "12"
            for number in (2, 9, 10, 11, 99, 100)
        ]
        put(past.archive, *ours, *(name.replace("/03/", "/04/") for name in ours[:5]))
        report = manager(past).run_daily_cleanup()
        gone = set(ours) - set(past.names(ANALYTICS_DATA)[ANALYTICS_DATA])
        assert (report.versions, gone) == (2, {name for name in ours if name.endswith("_v2.csv.gz")})

    def test_objects_whose_time_is_over_go_and_an_embedded_archive_needs_no_rule_for_that(self, past: Past) -> None:
        past.clock.set(START + timedelta(days=91))
        report = manager(past).run_daily_cleanup()
        assert report.objects == 24
        left = past.names()
        assert {name[:15] for name in left[SYSTEM_LOGS]} == {"logs/2030/06/04"}
        past.clock.advance(86_400)
        manager(past).run_daily_cleanup()
        assert past.names(SYSTEM_LOGS)[SYSTEM_LOGS] == []
        assert past.names(TRADE_LOGS) == {TRADE_LOGS: left[TRADE_LOGS]}

    def test_compacted_objects_and_their_manifests_go_together_when_they_are_over(self, past: Past) -> None:
        past.compact()
        past.clock.set(START + timedelta(days=400))
        manager(past).run_daily_cleanup()
        assert past.names(TRADE_LOGS)[TRADE_LOGS] == []
        assert past.verify().complete

    def test_nothing_in_the_compliance_bucket_is_ever_deleted(self, past: Past) -> None:
        put(
            past.archive,
            *EIGHT,
            bucket=COMPLIANCE_LOGS,
        )
        before = past.names(COMPLIANCE_LOGS)

        class Guarded(FaultyArchive):
            def delete(self, bucket: str, name: str) -> None:
                assert bucket != COMPLIANCE_LOGS
                super().delete(bucket, name)

        past.archive = Guarded(past.archive, lambda operation: None)
        past.clock.advance(30 * 365 * 86_400)
        manager(past).run_daily_cleanup()
        manager(past).optimize_storage_costs(apply=True)
        assert past.names(COMPLIANCE_LOGS) == before

    def test_where_the_archive_carries_its_rules_out_itself_only_versions_are_deleted(self, past: Past) -> None:
        class Enforcing(FaultyArchive):
            def lifecycle(self, bucket: str) -> Lifecycle | None:
                found = super().lifecycle(bucket)
                return replace(found, enforced=True) if found else None

        past.archive = Enforcing(past.archive, lambda operation: None)
        put(past.archive, *EIGHT)
        past.clock.advance(10 * 365 * 86_400)
        report = manager(past).run_daily_cleanup()
        assert (report.objects, report.versions) == (0, 3)

    def test_objects_that_are_not_ours_stay_and_are_told(self, past: Past) -> None:
        foreign = ["notes.txt", f"{FOLDER}/notes.txt", f"{FOLDER}/a_v1.csv", f"{FOLDER}/a_v2.csv"]
        put(past.archive, *foreign)
        past.clock.advance(10 * 365 * 86_400)
        report = manager(past).run_daily_cleanup()
        assert set(past.names(ANALYTICS_DATA)[ANALYTICS_DATA]) == set(foreign)
        assert len(report.problems) == 1
        assert "analytics-data holds" in report.problems[0]

    def test_a_store_that_is_down_is_told_and_the_others_are_cleaned(self, past: Past) -> None:
        put(past.archive, *EIGHT)
        live = FaultyLiveStore(
            MemoryLiveStore(clock=past.clock), in_turn(Fault(StoreUnavailable("live is down", "wait")))
        )
        past.archive = FaultyArchive(past.archive, in_turn(Fault(StoreUnavailable("denied", "grant the role"))))
        report = manager(past, live).run_daily_cleanup()
        assert report.failed == ["live store: live is down (wait)", "trade-logs: denied (grant the role)"]
        assert report.versions == 3

    def test_a_second_cleanup_finds_nothing_to_do(self, past: Past) -> None:
        past.clock.advance(200 * 86_400)
        assert manager(past).run_daily_cleanup().objects > 0
        again = manager(past).run_daily_cleanup()
        assert (again.objects, again.documents, again.versions, again.done) == (0, 0, 0, True)

    def test_the_journal_is_swept_of_what_is_archived_and_of_nothing_else(self, home: Home) -> None:
        past = Past(home, MemoryArchive())
        settings = Settings(home=home.path)
        assert len(runs(home)) == 4
        extra = past.writers[0].run
        for name in ("archive", "compliance"):
            (home.checkpoints / extra / f"{name}.json").unlink()

        report = manager(past, settings=settings).run_daily_cleanup()

        assert report.runs == 3
        assert [info.run for info in runs(home)] == [extra]
        ship_all(past.followers())
        assert manager(past, settings=settings).run_daily_cleanup().runs == 1
        assert past.verify(home).complete

    def test_a_dry_run_counts_and_changes_nothing(self, past: Past) -> None:
        past.clock.advance(400 * 86_400)
        before = past.bodies()
        dry = manager(past).run_daily_cleanup(dry_run=True)
        assert past.bodies() == before
        wet = manager(past).run_daily_cleanup()
        assert (dry.objects, dry.bytes) == (wet.objects, wet.bytes)
        assert dry.objects > 0


class TestOptimisation:
    def test_a_difference_is_shown_and_nothing_is_changed_unless_it_is_asked_for(self, past: Past) -> None:
        past.archive.set_lifecycle(SYSTEM_LOGS, [LifecycleRule(30)])
        before = past.bodies()
        report = manager(past).optimize_storage_costs()
        assert "system-logs: to add: delete after 90 days" in report.differences
        assert "system-logs: to remove: delete after 30 days" in report.differences
        assert (report.compaction.dry_run, report.compaction.parts) == (True, 64)
        assert past.archive.lifecycle(SYSTEM_LOGS) == Lifecycle((LifecycleRule(30),))
        assert past.bodies() == before

    def test_once_applied_there_is_no_difference_left(self, past: Past) -> None:
        report = manager(past).optimize_storage_costs(apply=True)
        assert [one.applied for one in report.buckets if one.actual is not None] == [True] * 3
        again = manager(past).optimize_storage_costs(apply=True)
        assert (again.differences, again.compaction.parts) == ([], 0)
        assert [one.applied for one in again.buckets] == [False] * 5

    def test_a_missing_bucket_is_told_and_left_alone(self, past: Past) -> None:
        problems = manager(past).optimize_storage_costs(apply=True).problems
        assert [problem.partition(":")[0] for problem in problems] == [
            "there is no bucket cognitive-archives",
            "there is no bucket analytics-data",
        ]

    def test_a_foreign_rule_that_deletes_early_is_a_problem(self, past: Past) -> None:
        rule = '{"action": {"type": "Delete"}, "condition": {"age": 7, "matchesPrefix": ["logs/"]}}'

        class Strange(FaultyArchive):
            def lifecycle(self, bucket: str) -> Lifecycle | None:
                found = super().lifecycle(bucket)
                return replace(found, foreign=(rule,)) if found and bucket == TRADE_LOGS else found

        past.archive = Strange(past.archive, lambda operation: None)
        problems = manager(past).optimize_storage_costs(apply=True).problems
        assert any("deletes before the 365 days are over" in problem and rule in problem for problem in problems)

    def test_a_bucket_whose_rules_may_not_be_seen_is_told_and_the_others_are_compared(self, past: Past) -> None:
        past.archive = FaultyArchive(past.archive, in_turn(Fault(StoreRejected("denied", "grant the role"))))
        report = manager(past).optimize_storage_costs(apply=True)
        assert report.failed == ["trade-logs: denied (grant the role)"]
        assert [one.bucket for one in report.buckets] == list(BUCKETS)[1:]

    def test_a_change_of_rules_is_on_record_with_its_actor(self, past: Past, home: Home) -> None:
        settings = Settings(home=home.path)
        manager(past, settings=settings).optimize_storage_costs(apply=True, actor="ada")
        written = [lines.decode(line) for line in backlog.newest(home, 0)]
        audits = [record for record in written if record["kind"] == "audit"]
        assert {record["actor"] for record in audits} == {"ada"}
        assert [record["data"]["subject"] for record in audits] == [TRADE_LOGS, SYSTEM_LOGS, COMPLIANCE_LOGS]
        assert "delete after 365 days" in audits[0]["data"]["context"]["add"]

    def test_a_deadline_leaves_rules_and_days_to_the_next_call(self, past: Past) -> None:
        report = manager(past).optimize_storage_costs(apply=True, deadline_seconds=0)
        assert (report.buckets, report.done) == ([], False)
        assert len(report.left) == 5

    def test_a_wrong_table_is_never_applied(self, past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "CLASS_MINIMUM", {"NEARLINE": 30, "COLDLINE": 90, "ARCHIVE": 9999})
        with pytest.raises(ConfigError, match="drop the step to ARCHIVE"):
            LogLifecycleManager(Settings(home=past.home.path))


class TestStores:
    def test_it_opens_the_stores_of_the_settings_when_none_are_given(
        self, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(home.path)
        with LogLifecycleManager() as lifecycle:
            assert isinstance(lifecycle.archive, DirectoryArchive)
            assert lifecycle.archive.root == home.archive
            report = lifecycle.run_daily_cleanup()
        assert (report.done, report.failed) == (True, [])
        assert home.live.exists()

    def test_stores_that_were_given_stay_open(self, past: Past) -> None:
        class Closing(MemoryLiveStore):
            closed = False

            def close(self) -> None:
                self.closed = True

        live = Closing()
        with manager(past, live) as lifecycle:
            lifecycle.run_daily_cleanup()
        assert not live.closed


def test_the_cost_report_is_the_one_of_the_month_that_is_asked_for(past: Past) -> None:
    found = manager(past).get_cost_report()
    assert found.month == f"{past.clock.now():%Y-%m}"
    before = found.as_dict()
    past.compact()
    assert manager(past).get_cost_report().as_dict()["month"] == before["month"]
    with pytest.raises(ConfigError, match="still to come"):
        manager(past).get_cost_report("2099-01")


class TestDailySweep:
    def sweep(self, past: Past, home: Home) -> DailySweep:
        return DailySweep(Settings(home=home.path), past.archive, MemoryLiveStore(clock=past.clock), past.clock)

    def test_once_a_day_it_cleans_and_compacts_also_over_restarts(self, past: Past, home: Home) -> None:
        self.sweep(past, home).run()
        assert not [name for name in past.names(TRADE_LOGS)[TRADE_LOGS] if is_batch_object(name)]
        put(past.archive, *EIGHT)
        sweep = self.sweep(past, home)
        sweep.run()
        past.clock.advance(86_399)
        sweep.run()
        assert len(past.names(ANALYTICS_DATA)[ANALYTICS_DATA]) == 8
        past.clock.advance(3600)
        sweep.run()
        assert len(past.names(ANALYTICS_DATA)[ANALYTICS_DATA]) == 5

    def test_one_that_was_not_finished_goes_on_an_hour_later(self, past: Past, home: Home) -> None:
        class Slow(FaultyArchive):
            def delete(self, bucket: str, name: str) -> None:
                past.clock.advance(1)
                super().delete(bucket, name)

        past.archive = Slow(past.archive, lambda operation: None)
        sweep = self.sweep(past, home)
        for _ in range(6):
            sweep.run()
            past.clock.advance(3600)
        assert not [name for name in past.names(TRADE_LOGS)[TRADE_LOGS] if is_batch_object(name)]
        assert (home.state / ".sweep.json").exists()

    def test_a_clock_that_was_set_back_and_a_damaged_note_stop_no_sweep(self, past: Past, home: Home) -> None:
        (home.state / ".sweep.json").write_text("{")
        self.sweep(past, home).run()
        later = past.clock.now()
        past.clock = ManualClock(later - timedelta(days=1))
        put(past.archive, *EIGHT)
        self.sweep(past, home).run()
        assert len(past.names(ANALYTICS_DATA)[ANALYTICS_DATA]) == 5


def test_every_collection_has_documents_that_expire(past: Past) -> None:
    live = MemoryLiveStore(clock=past.clock)
    names: Sequence[str] = list(LIVE)
    live.commit([replace(documents(1, past, -1)[0], collection=name) for name in names])
    assert manager(past, live).run_daily_cleanup().documents == len(names)
