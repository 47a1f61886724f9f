from __future__ import annotations

from decimal import Decimal

import pytest

from runner.errors import ConfigError
from runner.logging.costs.fleet import TRAFFIC, Cadence, Fleet, flow, parse, written
from runner.logging.costs.prices import load
from runner.logging.costs.simulation import Plan, break_even, simulate, total
from runner.settings import Settings
from runner.wiring import archive_policy, compliance_policy, export_seconds, heartbeat_seconds, live_seconds

ONE_MILLION, TEN_MILLION = Fleet(10, 1_000_000, 50_000), Fleet(10, 10_000_000, 50_000)
CLOUD = Settings(
    stores={
        "live": "firestore://demo-x/(default)",
        "archive": "gs://demo-x",
        "stream": "pubsub://demo-x",
        "warehouse": "bigquery://demo-x/tron",
    }
)


@pytest.mark.parametrize(
    ("text", "fleet"),
    [
        ("10 bots, 1M records/day, 50k updates/day", ONE_MILLION),
        ("10 BOTS,1m records per day, 50K updates a day", ONE_MILLION),
        ("10 bots; 1,000,000 records/day; 50_000 updates", ONE_MILLION),
        ("10 bots and 1M records/day", ONE_MILLION),
        ("1 bot, 1.5k records/day, 0 updates/day", Fleet(1, 1500, 0)),
        ("4 bots, 1b records/day, 3 listeners, 2 homes", Fleet(4, 1_000_000_000, 20_000, 3, 2)),
    ],
)
def test_a_fleet_is_read_from_words(text: str, fleet: Fleet) -> None:
    assert parse(text) == fleet


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no part of a fleet"),
        ("many bots", "no part of a fleet"),
        ("10 bots", "number of records is missing"),
        ("1M records/day", "number of bots is missing"),
        ("10 bots, 1M records/day, 5 cats", "no such number"),
        ("10 bots/day, 1M records/day", "no such number"),
        ("10 bots, 10 bots, 1M records/day", "twice"),
        ("0 bots, 1M records/day", "give a whole number"),
        ("1.5 bots, 1M records/day", "give a whole number"),
        ("10 bots, 99999999999999b records/day", "give a whole number"),
        ("-3 bots, 1M records/day", "no part of a fleet"),
        ("2 bots, 1M records/day, 3 homes", "some would have none"),
    ],
)
def test_what_is_no_fleet_is_told_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse(text)

    assert "10 bots, 1M records/day" in caught.value.hint


@pytest.mark.parametrize("fleet", [ONE_MILLION, TEN_MILLION])
def test_the_bill_is_at_most_a_twentieth_of_the_naive_way(fleet: Fleet) -> None:
    found = simulate(fleet, load(), Plan.of(CLOUD.shipping, 90))

    assert found.share_of_naive <= Decimal("0.05")


def test_at_ten_million_records_a_day_the_bill_is_at_most_a_fifth_of_cloud_logging() -> None:
    found = simulate(TEN_MILLION, load(), Plan.of(CLOUD.shipping, 90))

    assert found.share_of_logging is not None
    assert found.share_of_logging <= Decimal("0.2")
    assert found.share_of_logging_with_sql <= Decimal("0.2")


def test_below_the_break_even_cloud_logging_is_cheaper_and_above_it_is_not() -> None:
    prices, plan = load(), Plan.of(CLOUD.shipping)
    even = break_even(prices, plan, ONE_MILLION)
    assert even is not None

    for records, cheaper in ((even // 2, False), (even * 2, True)):
        found = simulate(Fleet(10, records, 50_000), prices, plan)
        ours = total(one for one in found.ours if one.section not in ("live", "warehouse"))
        assert (ours < total(one for one in found.logging if one.section == "logging")) is cheaper


def test_a_fleet_of_nothing_but_one_record_has_a_bill_and_no_division_by_zero() -> None:
    found = simulate(Fleet(1, 1, 0, 0), load())

    assert found.share_of_naive >= 0
    assert all(entry.usd >= 0 for entry in (*found.ours, *found.naive, *found.logging))


def test_more_records_never_cost_less() -> None:
    bills = [total(simulate(Fleet(10, 10**power, 50_000), load(), Plan.of(CLOUD.shipping)).ours) for power in range(9)]

    assert bills == sorted(bills)


def test_the_cadence_of_the_simulation_is_the_one_of_a_fleet_on_google_cloud() -> None:
    archive, copies, cadence = archive_policy(CLOUD), compliance_policy(CLOUD), Cadence.of(CLOUD.shipping)

    assert (cadence.live, cadence.heartbeat) == (live_seconds(CLOUD), heartbeat_seconds(CLOUD))
    assert cadence.compliance == copies.seconds
    assert cadence.export == export_seconds(CLOUD)
    assert cadence.object_bytes == archive.bytes


def test_objects_follow_from_how_long_the_first_waiting_record_waits() -> None:
    decisions = TRAFFIC[0]

    assert flow(decisions, 86_400, 899, 1 << 30).objects == pytest.approx(96)
    assert flow(decisions, 1, 3600, 1 << 30).objects == pytest.approx(0.96)
    assert flow(decisions, 0, 3600, 1 << 30).objects == 0


def test_a_window_leaves_one_write_of_all_that_fall_into_it() -> None:
    assert written(86_400, 1, 0) == 86_400
    assert written(86_400, 1, 9) == pytest.approx(8_640)
    assert written(0, 1, 9) == 0


def test_the_shares_of_the_traffic_are_one_in_all() -> None:
    assert sum(one.share for one in TRAFFIC) == pytest.approx(1)
