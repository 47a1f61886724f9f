"""The sample feed."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from runner.errors import FeedError
from runner.feeds.base import Feed
from runner.feeds.open import open_feed
from runner.market.instruments import AssetClass


@pytest.fixture(scope="module")
def sample() -> Feed:
    return open_feed("sample")


def test_the_sample_holds_thirteen_years_of_five_stocks(sample: Feed) -> None:
    bars = list(sample.bars())
    assert sample.symbols == ("AAPL", "FB", "GOOG", "IBM", "MSFT")
    assert sample.asset_class is AssetClass.STOCK
    assert sample.total == len(bars) == 12_154
    assert Counter(bar.symbol for bar in bars) == {"AAPL": 3270, "FB": 196, "GOOG": 2148, "IBM": 3270, "MSFT": 3270}


def test_bars_come_in_order_of_end_then_symbol(sample: Feed) -> None:
    keys = [(bar.end, bar.symbol) for bar in sample.bars()]
    assert all(earlier < later for earlier, later in pairwise(keys))


def test_bars_cover_the_session_in_new_york_in_winter_and_in_summer(sample: Feed) -> None:
    starts = {bar.start for bar in sample.bars()}
    assert datetime(2013, 3, 1, 14, 30, tzinfo=UTC) in starts
    assert datetime(2012, 7, 2, 13, 30, tzinfo=UTC) in starts
    assert {bar.length for bar in sample.bars()} == {sample.length} == {timedelta(hours=6, minutes=30)}


def test_the_last_bar_is_as_quoted_and_earlier_ones_are_at_its_level(sample: Feed) -> None:
    apple = [bar for bar in sample.bars() if bar.symbol == "AAPL"]
    last, first = apple[-1], apple[0]
    assert (last.open, last.high, last.low, last.close) == tuple(map(Decimal, ("438.00", "438.18", "429.98", "430.47")))
    assert first.close == Decimal("32.10")  # quoted at 130.31, two splits of 2:1 and a dividend before the last bar


def test_a_split_does_not_look_like_a_crash(sample: Feed) -> None:
    apple = {bar.start.date().isoformat(): bar for bar in sample.bars() if bar.symbol == "AAPL"}
    change = apple["2005-02-28"].open / apple["2005-02-25"].close - 1
    assert abs(change) < Decimal("0.02")


def test_the_whole_show_lasts_about_two_minutes_whatever_the_symbols(sample: Feed) -> None:
    for feed in (sample, open_feed("sample", ("IBM",))):
        assert feed.total is not None
        assert 110 <= feed.total / feed.default_speed <= 120


def test_symbols_narrow_the_sample() -> None:
    feed = open_feed("sample", ("MSFT", "IBM"))
    assert feed.symbols == ("IBM", "MSFT")
    assert {bar.symbol for bar in feed.bars()} == {"IBM", "MSFT"}


def test_an_unknown_symbol_is_refused_with_the_available_ones() -> None:
    with pytest.raises(FeedError, match="no bars of TSLA") as error:
        open_feed("sample", ("IBM", "TSLA"))
    assert error.value.hint == "available symbols: AAPL, FB, GOOG, IBM, MSFT"


@pytest.mark.parametrize("url", ["", "samples", "replay", "replay:", "http://example.org", "sample:x"])
def test_an_unknown_feed_is_refused_with_the_known_ones(url: str) -> None:
    with pytest.raises(FeedError, match="unknown feed") as error:
        open_feed(url)
    assert "sample" in error.value.hint
    assert "replay:PATH" in error.value.hint


def test_the_sample_needs_neither_pandas_nor_pyarrow() -> None:
    code = "import sys; from runner.feeds.open import open_feed; open_feed('sample'); "
    code += "sys.exit(', '.join({'pandas', 'pyarrow', 'numpy'} & set(sys.modules)) or 0)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
