"""The retention table: what it says, and what its checker says of other tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from runner.errors import ConfigError
from runner.logging import documents, housekeeping, retention
from runner.logging.log_types import Kind
from runner.logging.retention import BUCKETS, LIVE, BucketRetention, check, is_over, is_quiet, require_good, rules
from runner.logging.routes import STREAMS
from runner.stores.base import LifecycleRule

TRADES = BUCKETS["trade-logs"]
COMPLIANCE = BUCKETS["compliance-logs"]


def problems(**changes: BucketRetention) -> list[str]:
    return check({**BUCKETS, **{name.replace("_", "-"): value for name, value in changes.items()}})


def test_the_table_of_this_release_is_good() -> None:
    assert check() == []
    require_good()


def test_every_stream_and_every_live_collection_has_its_period() -> None:
    assert {route.bucket for route in STREAMS.values()} < set(BUCKETS)
    assert {collection for collection, _ in documents._RULES.values()} == set(LIVE)
    assert {kind for kind in documents._RULES if kind not in Kind} == set()


def test_the_periods_are_those_that_were_promised() -> None:
    assert {name: bucket.days for name, bucket in BUCKETS.items()} == {
        "trade-logs": 365,
        "cognitive-archives": 181,
        "system-logs": 90,
        "analytics-data": 730,
        "compliance-logs": 2555,
    }
    assert [name for name, bucket in BUCKETS.items() if bucket.locked] == ["compliance-logs"]
    assert LIVE["live_system_status"] == timedelta(hours=1)


def test_the_journal_looks_back_as_long_as_the_table_says() -> None:
    assert timedelta(seconds=housekeeping.LOOK_BACK) == retention.LOCAL["journal"]


def test_a_bucket_has_a_delete_rule_and_moves_only_what_is_large() -> None:
    assert rules(BUCKETS["system-logs"]) == (
        LifecycleRule(30, "NEARLINE", 1 << 20),
        LifecycleRule(90),
    )
    for bucket in BUCKETS.values():
        assert [rule.days for rule in rules(bucket) if not rule.storage_class] == [bucket.days]


@pytest.mark.parametrize(
    ("days", "moves", "sentence"),
    [
        (180, {"NEARLINE": 30, "COLDLINE": 90}, "90 days after they move to COLDLINE, which bills 90 days at least"),
        (90, {"NEARLINE": 30, "COLDLINE": 60}, "drop the step to COLDLINE"),
        (59, {"NEARLINE": 30}, "drop the step to NEARLINE"),
        (400, {"NEARLINE": 30, "ARCHIVE": 365}, "35 days after they move to ARCHIVE, which bills 365 days"),
        (90, {"NEARLINE": 100}, "-10 days after they move to NEARLINE"),
    ],
)
def test_a_table_that_would_pay_early_deletion_is_refused_with_the_step_to_drop(
    days: int, moves: dict[str, int], sentence: str
) -> None:
    (found,) = problems(trade_logs=BucketRetention(days, moves))
    assert found.startswith("trade-logs deletes objects ")
    assert sentence in found


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"compliance_logs": replace(COMPLIANCE, days=2190)}, "keeps its objects for 2190 days, the law asks for 2555"),
        ({"compliance_logs": replace(COMPLIANCE, locked=False)}, "has no retention policy"),
        ({"trade_logs": replace(TRADES, days=0)}, "keeps its objects for 0 days: give it at least one"),
        ({"trade_logs": replace(TRADES, moves={"FROZEN": 30})}, "FROZEN, which is no class: use NEARLINE, COLDLINE"),
        ({"trade_logs": replace(TRADES, moves={"NEARLINE": 90, "COLDLINE": 30})}, "drop the dearer"),
        ({"trade_logs": replace(TRADES, moves={"NEARLINE": 30, "COLDLINE": 30})}, "drop the dearer"),
    ],
)
def test_what_else_is_wrong_is_said_in_a_sentence(changes: dict[str, BucketRetention], sentence: str) -> None:
    assert sentence in problems(**changes)[0]


def test_a_bucket_that_is_not_in_a_table_would_be_kept_for_ever() -> None:
    left = {name: bucket for name, bucket in BUCKETS.items() if name != "system-logs"}
    assert check(left) == ["system-logs is not in it: its objects would be kept for ever; give it a number of days"]


def test_a_live_period_must_make_sense() -> None:
    found = check(live={**LIVE, "live_trades": timedelta(0), "live_alerts": timedelta(days=91)})
    assert ["live_trades lives for 0:00:00" in found[0], "longer than an archive" in found[1]] == [True, True]


def test_a_wrong_table_is_never_used() -> None:
    with pytest.raises(ConfigError, match="the retention table is wrong: system-logs is not in it"):
        require_good({name: bucket for name, bucket in BUCKETS.items() if name != "system-logs"})


def test_a_day_is_over_when_even_its_last_second_is_older_than_the_period() -> None:
    day = date(2030, 1, 1)
    assert not is_over("trade-logs", day, datetime(2031, 1, 1, 23, 59, tzinfo=UTC))
    assert is_over("trade-logs", day, datetime(2031, 1, 2, tzinfo=UTC))
    assert not is_over("of somebody else", day, datetime(2999, 1, 1, tzinfo=UTC))


def test_a_day_is_quiet_a_day_after_its_end() -> None:
    assert not is_quiet(date(2030, 1, 1), datetime(2030, 1, 2, 23, 59, 59, tzinfo=UTC))
    assert is_quiet(date(2030, 1, 1), datetime(2030, 1, 3, tzinfo=UTC))
