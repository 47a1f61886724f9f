"""The sample feed: thirteen years of real daily bars of five US stocks, from the package `bokeh_sampledata`.

The source is quoted as traded, so a split looks like a crash. Prices are therefore brought to the level of the last bar
by the source's adjusted close, which follows splits and dividends; the value traded in a bar (price times volume) stays
what it was. Bars cover the regular session in New York.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from importlib import resources
from operator import attrgetter
from zoneinfo import ZoneInfo

from runner.errors import FeedError
from runner.feeds.base import choose_symbols
from runner.market.bars import Bar
from runner.market.instruments import AssetClass

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")

_FILE = "_data/stocks.csv.gz"
_SHOW_SECONDS = 115
_OPENING = time(9, 30, tzinfo=ZoneInfo("America/New_York"))
_SESSION = timedelta(hours=6, minutes=30)
_CENT = Decimal("0.01")

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class SampleFeed:
    """Daily bars in memory. At its default speed the whole of it lasts about two minutes."""

    symbols: tuple[str, ...]
    all_bars: tuple[Bar, ...]
    name: str = "sample"
    asset_class: AssetClass = AssetClass.STOCK
    length: timedelta = _SESSION

    @property
    def total(self) -> int:
        return len(self.all_bars)

    @property
    def default_speed(self) -> float:
        return self.total / _SHOW_SECONDS

    def bars(self) -> Iterator[Bar]:
        return iter(self.all_bars)


def open_sample(symbols: Sequence[str] = ()) -> SampleFeed:
    """The sample, or the part of it with the given symbols."""
    chosen = choose_symbols(SYMBOLS, symbols)
    rows = _read_rows()
    bars = [bar for symbol in chosen for bar in _bars_of(symbol, rows)]
    return SampleFeed(chosen, tuple(sorted(bars, key=attrgetter("end", "symbol"))))


def _read_rows() -> list[Row]:
    """The rows of the source: Ticker, Date, Open, High, Low, Close, Volume, Adj Close; by ticker, then date."""
    try:
        packed = (resources.files("bokeh_sampledata") / _FILE).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        raise FeedError("the sample bars are not installed", "run: pip install 'bokeh_sampledata>=2026.1'") from None
    return list(csv.DictReader(gzip.decompress(packed).decode().splitlines()))


def _bars_of(symbol: str, rows: list[Row]) -> Iterator[Bar]:
    mine = [row for row in rows if row["Ticker"] == symbol]
    level = _adjustment(mine[-1])
    for row in mine:
        factor = _adjustment(row) / level
        yield Bar(
            symbol,
            _opening(row["Date"]),
            _SESSION,
            open=_price(row["Open"], factor),
            high=_price(row["High"], factor),
            low=_price(row["Low"], factor),
            close=_price(row["Close"], factor),
            volume=(Decimal(row["Volume"]) / factor).quantize(Decimal(1)),
        )


def _adjustment(row: Row) -> Decimal:
    return Decimal(row["Adj Close"]) / Decimal(row["Close"])


def _price(quoted: str, factor: Decimal) -> Decimal:
    return (Decimal(quoted) * factor).quantize(_CENT)


def _opening(date: str) -> datetime:
    return datetime.combine(datetime.fromisoformat(date), _OPENING).astimezone(UTC)
