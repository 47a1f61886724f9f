"""Performance metrics against values worked out by hand, and what they answer where they are undefined."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.market import metrics
from runner.market.instruments import AssetClass

FIVE_TRADES = [Decimal(profit) for profit in (10, -5, 20, -5, 0)]
EQUITY = [Decimal(value) for value in (1000, 1010, 1005, 1025, 1020, 1020)]
money = st.decimals(min_value=1, max_value=10**6, places=2)


def test_five_trades_win_two_in_five_and_earn_four_each() -> None:
    assert metrics.win_rate(FIVE_TRADES) == 0.40
    assert metrics.expectancy(FIVE_TRADES) == Decimal("4.0")
    assert metrics.profit_factor(FIVE_TRADES) == 3.0
    assert metrics.average_win(FIVE_TRADES) == 15
    assert metrics.average_loss(FIVE_TRADES) == -5
    assert metrics.max_consecutive_losses(FIVE_TRADES) == 1


def test_five_trades_on_a_thousand_return_two_percent_with_half_a_percent_drawdown() -> None:
    assert metrics.total_return_pct(EQUITY) == 2
    assert metrics.max_drawdown_pct(EQUITY) == Decimal("-0.495050")


def test_sharpe_is_the_mean_over_the_sample_deviation_times_the_root_of_the_periods() -> None:
    equity = [Decimal(100), Decimal(101), Decimal("99.99")]
    deviation = math.sqrt(2 * 0.01**2)
    returns = [0.01, -0.01]
    assert metrics.daily_returns(equity) == pytest.approx(returns)
    assert metrics.sharpe([*equity, Decimal("101.9898")], 252) == pytest.approx(
        (0.02 / 3)
        / math.sqrt(((0.01 - 0.02 / 3) ** 2 + (-0.01 - 0.02 / 3) ** 2 + (0.02 - 0.02 / 3) ** 2) / 2)
        * 252**0.5
    )
    assert metrics.sharpe(equity, 365) == pytest.approx(0 / deviation)


def test_sortino_divides_by_the_root_mean_square_of_the_losing_days() -> None:
    equity = [Decimal(100), Decimal(103), Decimal("101.97")]
    assert metrics.sortino(equity, 365) == pytest.approx(0.01 / math.sqrt(0.01**2 / 2) * math.sqrt(365))


def test_calmar_is_the_yearly_return_over_the_drawdown() -> None:
    equity = [Decimal(100), Decimal(90), *[Decimal(90)] * 361, Decimal(100), Decimal(110), Decimal(120)]
    assert len(equity) == 366
    assert metrics.calmar(equity, 365) == pytest.approx(0.2 / 0.1)


def test_a_year_has_365_periods_for_crypto_and_252_on_exchanges() -> None:
    assert [metrics.periods_per_year(kind) for kind in AssetClass] == [252, 365, 252]


def test_without_trades_every_metric_of_trades_is_undefined() -> None:
    functions = (
        metrics.win_rate,
        metrics.profit_factor,
        metrics.expectancy,
        metrics.average_win,
        metrics.average_loss,
    )
    assert [function([]) for function in functions] == [None] * 5


def test_what_would_divide_by_zero_is_undefined_and_neither_zero_nor_infinite() -> None:
    flat = [Decimal(100)] * 400
    rising = [Decimal(100), Decimal(101), Decimal(103)]
    ruined = [Decimal(100), Decimal(0), Decimal(50)]
    assert metrics.profit_factor([Decimal(5)]) is None
    assert metrics.sharpe(flat, 252) is None
    assert metrics.sharpe([Decimal(100), Decimal(101)], 252) is None
    assert metrics.sortino(rising, 252) is None
    assert metrics.calmar(flat, 252) is None
    assert metrics.calmar(EQUITY, 252) is None
    assert [f(ruined, 252) for f in (metrics.sharpe, metrics.sortino, metrics.calmar)] == [None] * 3
    assert metrics.total_return_pct([Decimal(100)]) is None
    assert metrics.max_drawdown_pct([]) is None


def test_a_losing_first_day_counts_as_drawdown_because_the_start_balance_is_in_front() -> None:
    daily = metrics.DailyEquity(Decimal(1000), every_day=False)
    daily.close(date(2024, 1, 2), Decimal(900))
    assert metrics.max_drawdown_pct(daily.values) == -10
    assert daily.max_drawdown_pct(Decimal(1000)) == -10
    assert daily.max_drawdown_pct(Decimal(800)) == -20


def test_crypto_repeats_days_without_bars_and_stocks_leave_them_out() -> None:
    series = {}
    for every_day in (True, False):
        daily = metrics.DailyEquity(Decimal(1000), every_day=every_day)
        daily.close(date(2024, 1, 5), Decimal(1001))
        daily.close(date(2024, 1, 8), Decimal(1002))
        series[every_day] = [int(value) for value in daily.values]
    assert series == {True: [1000, 1001, 1001, 1001, 1002], False: [1000, 1001, 1002]}


@given(st.lists(money, min_size=1, max_size=30))
def test_drawdown_is_never_positive_and_zero_only_while_equity_never_falls(equity: list[Decimal]) -> None:
    drawdown = metrics.max_drawdown_pct(equity)
    assert drawdown is not None
    assert -100 <= drawdown <= 0
    if equity == sorted(equity):
        assert drawdown == 0


@given(st.lists(st.decimals(min_value=-1000, max_value=1000, places=2), min_size=1, max_size=30))
def test_win_rate_lies_in_zero_to_one_and_expectancy_adds_up_to_the_total(profits: list[Decimal]) -> None:
    rate, mean = metrics.win_rate(profits), metrics.expectancy(profits)
    assert rate is not None
    assert mean is not None
    assert 0 <= rate <= 1
    assert abs(mean * len(profits) - sum(profits)) < Decimal("0.000001")
