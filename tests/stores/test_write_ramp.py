"""The pace of many writes into a new database: 500 a second, and half as much again every five minutes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runner.clock import ManualClock
from runner.stores.write_ramp import WriteRamp


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2024, 6, 3, tzinfo=UTC))


def test_the_first_writes_wait_for_nothing(clock: ManualClock) -> None:
    WriteRamp(clock).wait(500)
    assert clock.monotonic() == 0


def test_writes_take_the_time_of_those_before_them(clock: ManualClock) -> None:
    ramp = WriteRamp(clock)
    waited = sum(ramp.wait(500) for _ in range(11))
    assert waited == pytest.approx(10)
    assert clock.monotonic() == waited


def test_a_pause_is_no_credit_for_a_burst(clock: ManualClock) -> None:
    ramp = WriteRamp(clock)
    ramp.wait(500)
    clock.advance(100)
    ramp.wait(500)
    ramp.wait(500)
    assert clock.monotonic() == pytest.approx(101)


@pytest.mark.parametrize(("minutes", "rate"), [(0, 500), (4.9, 500), (5, 750), (10, 1125), (15, 1687.5)])
def test_the_rate_grows_by_half_every_five_minutes(clock: ManualClock, minutes: float, rate: float) -> None:
    ramp = WriteRamp(clock)
    ramp.wait(1)
    clock.advance(minutes * 60)
    assert ramp.rate() == rate
