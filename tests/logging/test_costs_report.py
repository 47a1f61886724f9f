from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from runner.clock import ManualClock, SystemClock
from runner.errors import ConfigError
from runner.layout import Home
from runner.logging import TradingLogger
from runner.logging.compaction import compact
from runner.logging.costs.bill import price
from runner.logging.costs.forecast import forecast
from runner.logging.costs.ledger import Kept, Ledger, Traffic, check_month, read_ledger
from runner.logging.costs.prices import load
from runner.logging.costs.report import CostReport, report, with_billed
from runner.logging.costs.spend import Meter, SpendBook, billed_stores, by_operation
from runner.logging.deadline import Deadline
from runner.logging.follower import Journals, Patience
from runner.logging.gcs_logger import GCSLogger
from runner.logging.log_types import UsageData
from runner.logging.shipper import Reports
from runner.logging.usage import UsageLedger
from runner.settings import Costs, Settings
from runner.stores.open import open_archive
from runner.testing import MemoryArchive
from runner.wiring import archive_policy, build_shipper

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
CLOUD = ("live", "archive", "compliance", "stream", "warehouse")


def ledger() -> Ledger:
    """Two bots, two days; a quarter of the objects and a tenth of the live records are the second one's."""
    found = Ledger("2026-11")
    for day in ("2026-11-08", "2026-11-09"):
        found.add(day, "live", "writes", 120_000, 1_000_000)
        found.add(day, "live", "commits", 500, 0)
        found.add(day, "archive", "class_a", 40_000, 5_000_000)
        found.add(day, "coalescing", "states", 200_000, 0)
        found.traffic[day, "first", "trades"] = Traffic(records=90_000, raw_bytes=900, objects=30)
        found.traffic[day, "second", "trades"] = Traffic(records=10_000, raw_bytes=100, objects=10)
    found.kept["trade-logs"] = Kept(objects=80, bytes=10 << 30)
    return found


def told(**costs: object) -> CostReport:
    return report(ledger(), load(), Costs.model_validate(costs), NOW, CLOUD)


def test_operations_are_priced_by_day_and_free_tiers_taken_off_apart() -> None:
    found = told()
    writes = [line for line in found.lines if line.operation == "writes"]

    assert [(line.day, line.usd, line.label) for line in writes] == [
        ("2026-11-08", Decimal("0.108"), "metered"),
        ("2026-11-09", Decimal("0.108"), "metered"),
    ]
    assert {one.name: one.usd for one in found.free} == {"live": Decimal("-0.036"), "archive": Decimal("-0.025")}


def test_commits_and_what_coalescing_saved_cost_nothing() -> None:
    assert {line.usd for line in told().lines if line.operation in ("commits", "states")} == {Decimal(0)}


def test_the_total_is_operations_less_free_tiers_and_what_is_kept_and_paid_elsewhere() -> None:
    found = told(other=[{"name": "another cloud", "monthly_usd": 30}])
    parts = (*found.lines, *found.free, *found.kept, *found.other)

    assert found.total.usd == pytest.approx(sum((one.usd for one in parts), Decimal(0)))
    assert [(one.name, one.usd) for one in found.other] == [("another cloud", Decimal(10))]


def test_a_bot_is_attributed_its_share_and_the_bots_are_everything() -> None:
    found = told()
    bots = {one.name: one.usd for one in found.bots}

    assert bots["second"] == pytest.approx(Decimal("0.0216") + Decimal("0.1"))
    assert sum(bots.values()) == pytest.approx(sum(line.usd for line in found.lines))
    assert {one.label for one in found.bots} == {"estimated"}


def test_the_report_of_one_bot_has_its_lines_only_and_calls_them_estimated() -> None:
    found = report(ledger(), load(), Costs(), NOW, CLOUD, "second")

    assert found.total.usd == pytest.approx(sum(line.usd for line in found.lines))
    assert {line.label for line in found.lines} == {"estimated"}
    assert found.forecast is None


def test_stores_that_google_does_not_bill_are_estimated_and_said_to_be() -> None:
    found = report(ledger(), load(), Costs(), NOW, billed_stores(Settings()))

    assert {line.label for line in found.lines} == {"estimated"}
    assert "Google bills nothing" in found.notes[0]


def test_the_naive_way_is_a_document_for_every_record_and_every_state() -> None:
    found = told()

    assert "200,000 records and 400,000 live states" in found.naive.note
    assert found.naive.usd > found.total.usd


def test_what_google_billed_is_beside_it_with_the_difference() -> None:
    found = told(other=[{"name": "another cloud", "monthly_usd": 30}])
    ours = found.total.usd - 10

    compared = with_billed(found, {"Cloud Storage": Decimal(2), "Cloud Firestore": Decimal(1)})

    assert compared.billed is not None
    assert compared.billed.difference == 3 - ours
    assert compared.billed.label == "billed"


def test_the_report_is_json_with_amounts_as_text_and_a_label_on_every_number() -> None:
    found = told().as_dict()

    assert isinstance(found["total"]["usd"], str)
    for name in ("lines", "free", "kept", "bots"):
        assert {one["label"] for one in found[name]} <= {"metered", "estimated"}
    assert found["forecast"]["label"] == "estimated"


def test_an_empty_month_costs_nothing() -> None:
    found = report(Ledger("2026-11"), load(), Costs(), NOW, CLOUD)

    assert found.total.usd == 0
    assert found.share_of_naive is None


def test_days_without_anything_count_in_the_mean_of_a_forecast() -> None:
    daily = {"2026-11-01": Decimal(2), "2026-11-03": Decimal(2)}

    found = forecast(daily, datetime(2026, 11, 5, tzinfo=UTC))

    assert found.usd == Decimal(4) + 26
    assert found.low < found.usd < found.high


def test_a_steady_month_has_a_narrow_forecast() -> None:
    daily = {f"2026-11-{day:02}": Decimal(1) for day in range(1, 11)}

    found = forecast(daily, datetime(2026, 11, 11, tzinfo=UTC))

    assert (found.low, found.usd, found.high) == (30, 30, 30)


def test_on_its_first_day_a_month_is_forecast_from_the_pace_so_far() -> None:
    found = forecast({"2026-11-01": Decimal(1)}, datetime(2026, 11, 1, 12, tzinfo=UTC))

    assert float(found.usd) == pytest.approx(60)
    assert (float(found.low), float(found.high)) == (pytest.approx(30.5), pytest.approx(119))


@pytest.mark.parametrize("text", ["November", "2026-13", "2026-11-01", "26-11", "1999-01", "0000-01"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no month"):
        check_month(text, date(2026, 11, 10))


def test_a_month_to_come_is_refused_and_none_is_this_one() -> None:
    with pytest.raises(ConfigError, match="still to come"):
        check_month("2026-12", date(2026, 11, 10))
    assert check_month("", date(2026, 11, 10)) == "2026-11"


def test_bytes_go_with_the_operation_that_carried_them_and_are_counted_once() -> None:
    counted = {"class_a": 3, "class_b": 2, "deletes": 1, "bytes": 500, "read_bytes": 70}

    assert by_operation("archive", counted) == {"class_a": (3, 500), "class_b": (2, 70), "deletes": (1, 0)}
    assert by_operation("stream", {"requests": 1, "bytes_billed": 1000}) == {"requests": (1, 1000)}
    assert by_operation("live", {"bytes": 5}) == {"writes": (0, 5)}


def test_usage_that_is_in_the_journal_only_is_in_the_ledger(home: Home) -> None:
    settings = Settings(home=home.path, shipping={"shipper": "none"})
    with TradingLogger(bot_type="shipper", settings=settings, wall_clock=ManualClock(NOW)) as logger:
        logger.log_usage(UsageData(service="live", operation="writes", count=7, bytes=70))
        logger.flush()
        found = read_ledger(MemoryArchive(), home, "2026-11")

    assert [day[("live", "writes")] for day in found.days.values()] == [(7, 70)]


def test_what_a_shipper_counted_after_its_last_record_is_the_next_ones_first_record(home: Home) -> None:
    store, settings = MemoryArchive(), Settings(home=home.path, shipping={"shipper": "none"})
    store.operations.update(class_a=3, bytes=40)
    follower = _Follower()
    UsageLedger(settings, ManualClock(NOW), {"archive": store.operations}, follower).leave()  # type: ignore[arg-type]

    fresh = MemoryArchive()
    fresh.operations.update(class_a=1, bytes=2)
    following = UsageLedger(settings, ManualClock(NOW), {"archive": fresh.operations}, follower)  # type: ignore[arg-type]
    following.leave()

    assert SpendBook(home).take_handed() == {"archive": {"class_a": 4, "bytes": 42}}
    assert SpendBook(home).take_handed() == {}


def test_what_a_dashboard_reads_is_handed_in_once_and_all_of_it(home: Home) -> None:
    read: Counter[str] = Counter(reads=3)
    with Meter(home, {"live": read}) as meter:
        meter.hand_in()
        meter.hand_in()
        read["reads"] += 4

    assert SpendBook(home).take_handed() == {"live": {"reads": 7}}


def test_an_operation_that_nobody_bills_costs_nothing() -> None:
    assert price(load(), "somewhere", "something", 10**9, 10**12) == 0


class _Follower:
    """One that has shipped nothing."""


def test_a_compacted_month_has_the_same_ledger(home: Home) -> None:
    settings, clock, archive = Settings(home=home.path, shipping={"shipper": "none"}), ManualClock(NOW), MemoryArchive()
    patience = Patience("archive", threading.Event(), lambda trouble: None)
    follower = GCSLogger(Journals(home, clock, archive), archive, archive_policy(settings), patience)
    with TradingLogger(bot_type="shipper", settings=settings, wall_clock=clock) as logger:
        for number in range(5):
            logger.log_usage(UsageData(service="live", operation="writes", count=number, bytes=1))
            logger.flush()
            follower.step(drain=True)
            clock.advance(60)
    follower.step(drain=True)
    before = read_ledger(archive, None, "2026-11")

    done = compact(archive, now=NOW + timedelta(days=10), deadline=Deadline(clock))
    after = read_ledger(archive, None, "2026-11")

    assert done.deleted >= 5
    assert after.days == before.days == {"2026-11-10": {("live", "writes"): (10, 5)}}
    assert after.traffic == before.traffic


def test_every_store_behind_a_shipper_is_metered(home: Home) -> None:
    settings = Settings(home=home.path, shipping={"shipper": "none"})
    with TradingLogger(settings=settings) as logger:
        logger.log_warning("no bars for a minute")
    build_shipper(settings, SystemClock(), threading.Event(), Reports()).run(follow=False)

    written = {
        store
        for day in read_ledger(open_archive(settings), home, f"{SystemClock().now():%Y-%m}").days.values()
        for store, _ in day
    }
    counted = written | SpendBook(home).take_handed().keys()

    assert counted == {"live", "archive", "compliance", "stream", "warehouse", "coalescing"}


def test_a_damaged_usage_object_is_told_and_the_others_count(home: Home) -> None:
    archive, metadata = MemoryArchive(), {"stream": "metrics", "bot": "shipper", "records": "1", "raw_bytes": "9"}
    name = "logs/2026/11/10/shipper/metrics_000000_deadbeef-000000000000_v1.json.gz"
    archive.create("analytics-data", name, b"no gzip", metadata=metadata, content_type="application/gzip")

    found = report(read_ledger(archive, home, "2026-11"), load(), Costs(), NOW, CLOUD)

    assert "cannot be read, such as analytics-data/logs" in found.notes[0]
