from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from runner.dashboard.equity import MAX_POINTS, MAX_RUNS_PER_BOT, EquityHistory, EquityMark, decimate
from runner.logging.lines import new_run

DAY = datetime(2010, 1, 4, tzinfo=UTC)
WALL = datetime(2026, 1, 1, tzinfo=UTC)


def run_begun(seconds: float) -> str:
    """The id of a run that began so long after WALL."""
    return new_run(int((WALL.timestamp() + seconds) * 1e9))


def mark(run: str, day: float, value: str, *, bot: str = "vwap", wall: float = 0) -> EquityMark:
    return EquityMark(bot, run, DAY + timedelta(days=day), WALL + timedelta(seconds=wall), Decimal(value))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(4, 60))
def test_decimating_keeps_order_ends_extremes_and_the_limit(values: list[float], limit: int) -> None:
    points = [(float(time), value) for time, value in enumerate(values)]
    kept = decimate(points, limit)
    assert len(kept) <= max(limit, 4)
    assert kept == sorted(kept)
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert min(value for _, value in kept) == min(values)
    assert max(value for _, value in kept) == max(values)


def test_a_series_stays_small_however_long_the_run() -> None:
    history, run = EquityHistory(), run_begun(0)
    for hour in range(5 * MAX_POINTS):
        history.add(mark(run, hour / 24, str(hour)))
    [series] = history.describe()["series"]
    assert len(series["points"]) <= MAX_POINTS
    assert series["points"][-1][1] == 5 * MAX_POINTS - 1


def test_a_mark_of_the_same_moment_replaces_and_an_older_one_is_no_news() -> None:
    history, run = EquityHistory(), run_begun(0)
    assert history.add(mark(run, 1, "100"))
    assert history.add(mark(run, 1, "101"))
    assert not history.add(mark(run, 0, "99"))
    [series] = history.describe()["series"]
    assert [value for _, value in series["points"]] == [101.0]


def test_money_stays_exact() -> None:
    history = EquityHistory()
    for bot in ("a", "b", "c"):
        run = run_begun(0)
        history.add(mark(run, 0, "0.1", bot=bot))
        history.add(mark(run, 1, "0.2", bot=bot, wall=60))
    assert history.totals()["total"] == {"last": "0.6", "change": "0.3", "change_pct": "100.00"}


def test_percent_of_nothing_is_not_defined() -> None:
    history = EquityHistory()
    history.add(mark(run_begun(0), 0, "0"))
    assert history.totals()["total"]["change_pct"] is None


def test_the_newest_run_of_each_bot_is_current() -> None:
    history, old, new, other = EquityHistory(), run_begun(0), run_begun(100), run_begun(101)
    history.add(mark(old, 0, "1", wall=5))
    history.add(mark(new, 0, "1", wall=105))
    history.add(mark(other, 0, "1", bot="breakout", wall=105))
    assert history.totals()["current"] == [other, new]


def test_a_bot_that_had_ended_when_the_newest_run_began_is_not_current() -> None:
    history, ended, new = EquityHistory(), run_begun(0), run_begun(100)
    history.add(mark(ended, 0, "1", bot="breakout", wall=50))
    history.add(mark(new, 0, "1", wall=105))
    assert history.totals()["current"] == [new]


def test_older_runs_are_listed_without_points() -> None:
    history, old, new = EquityHistory(), run_begun(0), run_begun(100)
    history.add(mark(old, 0, "1"))
    history.add(mark(new, 0, "1", wall=105))
    points = {series["run"]: len(series["points"]) for series in history.describe()["series"]}
    assert points == {old: 0, new: 1}


def test_the_oldest_runs_of_a_bot_are_forgotten() -> None:
    history = EquityHistory()
    runs = [run_begun(second) for second in range(MAX_RUNS_PER_BOT + 3)]
    for run in runs:
        history.add(mark(run, 0, "1"))
    assert [series["run"] for series in history.describe()["series"]] == runs[3:]
