"""The replay feed: what it reads, and what it refuses before anything is traded."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import FeedError
from runner.feeds.base import Feed
from runner.feeds.open import open_feed
from runner.feeds.replay import asset_class_of, decimals, symbol_of
from runner.market.bars import Bar
from runner.market.instruments import AssetClass

HEADER = "date,open,high,low,close,volume"
ROWS = [
    "2024-01-01 00:00:00,42283.58,42397.23,42261.02,42397.23,155.25731",
    "2024-01-01 00:05:00,42397.23,42432.74,42385.26,42409.96,104.59353",
    "2024-01-01 00:10:00,42409.96,42503.48,42409.96,42503.48,136.15403",
    "2024-01-01 00:20:00,42503.48,42560.02,42441.31,42558.35,145.60000",
]
FIRST = Bar(
    "BTCUSDT",
    datetime(2024, 1, 1, tzinfo=UTC),
    timedelta(minutes=5),
    *map(Decimal, ("42283.58", "42397.23", "42261.02", "42397.23", "155.25731")),
)


def write(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def replay(path: Path, *symbols: str) -> Feed:
    return open_feed(f"replay:{path}", symbols)


def refusal(path: Path, *symbols: str) -> FeedError:
    """The error at opening; it is one line and has a hint."""
    with pytest.raises(FeedError) as caught:
        replay(path, *symbols)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return caught.value


def with_row(path: Path, number: int, row: str) -> Path:
    return write(path, *ROWS[: number - 1], row, *ROWS[number:])


# What it reads


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "feather", "parquet"])
def test_every_kind_of_file_gives_the_same_bars(tmp_path: Path, ending: str) -> None:
    source = write(tmp_path / "source.csv", *ROWS)
    frame = pd.read_csv(source, parse_dates=["date"])
    file = tmp_path / f"BTCUSDT-5m.{ending}"
    if ending == "feather":
        frame.to_feather(file)
    elif ending == "parquet":
        frame.set_index("date").to_parquet(file)
    elif ending == "csv.gz":
        file.write_bytes(gzip.compress(source.read_bytes()))
    else:
        file.write_bytes(source.read_bytes())
    feed = replay(file)
    bars = list(feed.bars())
    assert bars[0] == FIRST
    assert (feed.symbols, feed.total, feed.length) == (("BTCUSDT",), 4, timedelta(minutes=5))
    assert (feed.asset_class, feed.default_speed, feed.name) == (AssetClass.CRYPTO, 0.0, f"replay:{file}")
    assert [bar.start.minute for bar in bars] == [0, 5, 10, 20]


@pytest.mark.parametrize(
    "times",
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T00:05:00Z"),
        ("2024-01-01 01:00:00+01:00", "2024-01-01 01:05:00+01:00"),
        ("1704067200", "1704067500"),
        ("1704067200.0", "1704067500.0"),
        ("1704067200000", "1704067500000"),
        ("1704067200000000", "1704067500000000"),
        ("1704067200000000000", "1704067500000000000"),
    ],
)
@pytest.mark.parametrize("column", ["Time", "TIMESTAMP", " date"])
def test_times_are_read_as_text_or_epoch_and_names_in_any_case(
    tmp_path: Path, times: tuple[str, str], column: str
) -> None:
    header = f"Close,Open,High,Low,Volume,{column}"
    path = write(tmp_path / "IBM.csv", *(f"3,2,4,1,0,{time}" for time in times), header=header)
    first, second = replay(path).bars()
    assert (first.start, second.start - first.start) == (FIRST.start, timedelta(minutes=5))
    assert (first.open, first.high, first.low, first.close) == (2, 4, 1, 3)


def test_a_symbol_column_splits_a_file_and_symbols_are_merged_by_time(tmp_path: Path) -> None:
    rows = [f"2024-01-0{day},{ticker},2,3,1,2,5" for ticker in ("MSFT", "IBM") for day in (1, 2, 3)]
    path = write(tmp_path / "whatever it is.csv", *rows, header="date,Ticker,open,high,low,close,volume")
    feed = replay(path)
    assert (feed.symbols, feed.asset_class, feed.length) == (("IBM", "MSFT"), AssetClass.STOCK, timedelta(days=1))
    assert [(bar.start.day, bar.symbol) for bar in feed.bars()] == [
        (day, symbol) for day in (1, 2, 3) for symbol in ("IBM", "MSFT")
    ]


def test_the_files_of_a_folder_are_merged_by_time_and_others_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "ETHUSDT-5m.csv", *ROWS[:3])
    write(tmp_path / "BTCUSDT-5m.csv", *ROWS)
    (tmp_path / "README.md").write_text("not bars")
    feed = replay(tmp_path)
    keys = [(bar.end, bar.symbol) for bar in feed.bars()]
    assert feed.total == len(keys) == 7
    assert keys == sorted(keys)


def test_symbols_narrow_a_replay_and_an_unknown_one_is_refused_with_the_available_ones(tmp_path: Path) -> None:
    write(tmp_path / "ETHUSDT-5m.csv", *ROWS)
    write(tmp_path / "BTCUSDT-5m.csv", *ROWS)
    assert {bar.symbol for bar in replay(tmp_path, "ETHUSDT").bars()} == {"ETHUSDT"}
    assert refusal(tmp_path, "SOLUSDT").hint == "available symbols: BTCUSDT, ETHUSDT"


def test_bars_can_be_read_again(tmp_path: Path) -> None:
    feed = replay(write(tmp_path / "BTCUSDT.csv", *ROWS))
    assert list(feed.bars()) == list(feed.bars())


@given(st.lists(st.floats(min_value=1e-12, max_value=1e18), max_size=20))
def test_a_decimal_reads_back_as_the_same_float_and_is_the_shortest_that_does(values: list[float]) -> None:
    converted = list(decimals(pd.Series(values, dtype="float64").to_numpy()))
    assert converted == [Decimal(repr(value)) for value in values]


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("genetrader_BTCUSDT-5m.feather", "BTCUSDT"),
        ("BTC_USDT-1m.csv", "BTCUSDT"),
        ("dcatp_ETHUSDTPERP-1m.feather", "ETHUSDTPERP"),
        ("MSFT.csv.gz", "MSFT"),
        ("BRK.B.csv", "BRK.B"),
        ("aapl.csv", "AAPL"),
        ("btcusdt-1h.parquet", "BTCUSDT"),
        ("AAPL_1D.csv", "AAPL"),
        ("my_bars.csv", None),
    ],
)
def test_the_file_name_says_the_symbol(name: str, symbol: str | None) -> None:
    assert symbol_of(Path(name)) == symbol


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        *((symbol, AssetClass.CRYPTO) for symbol in ("BTCUSDT", "ETH/BTC", "SOL-USD", "ADAUSDTPERP", "BTC-PERP-EUR")),
        *((symbol, AssetClass.STOCK) for symbol in ("AAPL", "BRK.B", "ETH", "USD", "PERP")),
    ],
)
def test_a_known_quote_currency_makes_crypto_and_everything_else_is_a_stock(symbol: str, expected: AssetClass) -> None:
    assert asset_class_of(symbol) is expected


# What it refuses


@pytest.mark.parametrize(
    ("number", "row", "problem"),
    [
        (
            3,
            "2024-01-01 00:05:00,1,2,1,1,1",
            "row 3 (BTCUSDT, 2024-01-01T00:05:00Z): same time as the bar before",
        ),
        (3, "2024-01-01 00:04:00,1,2,1,1,1", "row 3 (BTCUSDT, 2024-01-01T00:04:00Z): earlier than the bar before"),
        (2, "2024-01-01 00:05:00,1,2,1,,1", "row 2 (BTCUSDT, 2024-01-01T00:05:00Z): close is not a number"),
        (2, "2024-01-01 00:05:00,1,inf,1,1,1", "high is not a number"),
        (2, "2024-01-01 00:05:00,1,2,1,1,nan", "volume is not a number"),
        (2, "2024-01-01 00:05:00,1,2,-1,1,1", "low is not positive"),
        (2, "2024-01-01 00:05:00,0,2,1,1,1", "open is not positive"),
        (2, "2024-01-01 00:05:00,1,2,1,1,-1", "volume is negative"),
        (2, "2024-01-01 00:05:00,1,1,2,1,1", "high is below low"),
        (2, "2024-01-01 00:05:00,3,2,1,1,1", "open or close is outside low and high"),
        (2, "2024-01-01 00:05:00,1,2,1,abc,1", "row 2: close 'abc' is not a number"),
        (4, "soon,1,2,1,1,1", "row 4: date 'soon' is not a time"),
        (4, ",1,2,1,1,1", "row 4: date is empty"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, number: int, row: str, problem: str) -> None:
    assert problem in str(refusal(with_row(tmp_path / "BTCUSDT-5m.csv", number, row)))


def test_numbers_that_are_dates_are_not_taken_for_seconds(tmp_path: Path) -> None:
    path = write(tmp_path / "IBM.csv", "20240101,1,2,1,1,1", "20240102,1,2,1,1,1")
    assert "date '20240101' is not a time" in str(refusal(path))


def test_missing_columns_are_named_with_those_present(tmp_path: Path) -> None:
    path = write(tmp_path / "BTCUSDT.csv", "1,2,3", header="when,open,close")
    message = str(refusal(path))
    assert "columns missing: date (or time, timestamp), high, low, volume; present: when, open, close" in message


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "IBM.csv", "2024-01-01,1,2,1,1,1,1", header="date,open,high,low,close,Close,volume")
    assert "two columns have the same name" in str(refusal(path))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in str(refusal(tmp_path / "BTCUSDT.csv"))


@pytest.mark.parametrize("name", ["BTCUSDT.csv", "BTCUSDT.csv.gz", "BTCUSDT.feather", "BTCUSDT.parquet"])
@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08\x00\x00", b"\xff\xfe\x00broken" * 50])
def test_an_empty_or_broken_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert str(tmp_path / name) in str(refusal(tmp_path / name))


def test_a_header_without_bars_is_refused(tmp_path: Path) -> None:
    assert "there are no bars in it" in str(refusal(write(tmp_path / "BTCUSDT.csv")))


def test_one_bar_is_refused_because_its_length_is_unknown(tmp_path: Path) -> None:
    assert "one bar of BTCUSDT does not tell its length" in str(refusal(write(tmp_path / "BTCUSDT.csv", ROWS[0])))


def test_a_folder_without_bars_and_a_file_of_another_kind_are_refused(tmp_path: Path) -> None:
    assert "holds no bars" in str(refusal(tmp_path))
    (tmp_path / "bars.xlsx").write_bytes(b"x")
    assert "holds no bars" in str(refusal(tmp_path / "bars.xlsx"))


def test_a_name_that_says_no_symbol_is_refused(tmp_path: Path) -> None:
    assert "does not say the symbol" in str(refusal(write(tmp_path / "my_bars.csv", *ROWS)))


def test_a_symbol_that_is_not_valid_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "a b,2024-01-01,1,2,1,1,1", header="symbol,date,open,high,low,close,volume")
    assert "symbol 'a b' is not valid" in str(refusal(path))


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    daily = ("2024-01-01,1,2,1,1,1", "2024-01-02,1,2,1,1,1")
    write(tmp_path / "BTCUSDT-5m.csv", *ROWS)
    write(tmp_path / "BTC_USDT-5m.csv", *ROWS)
    assert "both hold BTCUSDT" in str(refusal(tmp_path))
    write((tmp_path / "BTC_USDT-5m.csv").rename(tmp_path / "ETHUSDT-1d.csv"), *daily)
    assert "different lengths in one feed: BTCUSDT 0:05:00, ETHUSDT 1 day" in str(refusal(tmp_path))
    write((tmp_path / "ETHUSDT-1d.csv").rename(tmp_path / "IBM-1d.csv"), *daily)
    assert "stocks and crypto in one feed: BTCUSDT, IBM" in str(refusal(tmp_path))
    assert replay(tmp_path, "IBM").total == 2


# Real bars


@pytest.fixture
def real_data() -> Path:
    folder = os.environ.get("TRON_TEST_DATA", "")
    if not folder:
        pytest.skip("TRON_TEST_DATA names no folder of real bars")
    return Path(folder)


def test_real_five_minute_bars_are_read_exactly(real_data: Path) -> None:
    feed = replay(real_data / "klines_5m" / "genetrader_BTCUSDT-5m.feather")
    assert (feed.symbols, feed.total, feed.length) == (("BTCUSDT",), 71_769, timedelta(minutes=5))
    assert next(feed.bars()) == FIRST


def test_a_folder_of_real_bars_is_merged_in_order(real_data: Path) -> None:
    feed = replay(real_data / "klines_1m")
    keys = [(bar.end, bar.symbol) for bar in islice(feed.bars(), 30_000)]
    assert feed.total == 232_988
    assert all(earlier < later for earlier, later in pairwise(keys))
