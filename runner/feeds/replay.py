"""The replay feed: bars from a feather, Parquet or CSV file, or from every such file of a folder.

Where a file has no symbol column, its name says the symbol: the name is cut at `_` and `-`, time frames such as `5m`
are dropped, and the parts in capitals are joined. So `genetrader_BTCUSDT-5m.feather` and `BTC_USDT-1m.csv` hold
BTCUSDT, and `BRK.B.csv` holds BRK.B; a name with one part only, such as `aapl.csv`, may be in small letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv, feather, parquet

from runner.errors import ConfigError, FeedError
from runner.feeds.base import choose_symbols
from runner.feeds.columns import NUMBERS, Columns, split_by_symbol
from runner.market.bars import Bar
from runner.market.instruments import AssetClass, check_symbol

_ENDINGS = (".feather", ".parquet", ".csv", ".csv.gz")
_QUOTES = ("USDT", "USDC", "BUSD", "USD", "BTC", "ETH", "EUR")
_TIME_FRAME = re.compile(r"\d+[a-zA-Z]")
_CHUNK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class ReplayFeed:
    """Bars of files, in memory as columns; each bar is made when it is asked for."""

    name: str
    asset_class: AssetClass
    length: timedelta
    columns: tuple[Columns, ...]
    default_speed: float = 0.0

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(columns.symbol for columns in self.columns)

    @property
    def total(self) -> int:
        return sum(len(columns.start) for columns in self.columns)

    def bars(self) -> Iterator[Bar]:
        start = np.concatenate([columns.start for columns in self.columns])
        owner = np.repeat(np.arange(len(self.columns)), [len(columns.start) for columns in self.columns])
        numbers = [np.concatenate([columns.numbers[name] for columns in self.columns]) for name in NUMBERS]
        order = np.lexsort((owner, start))
        for offset in range(0, len(order), _CHUNK):
            rows = order[offset : offset + _CHUNK]
            symbols = [self.columns[index].symbol for index in owner[rows]]
            starts = pd.DatetimeIndex(start[rows], tz="UTC").to_pydatetime()
            for symbol, opened, *values in zip(
                symbols, starts, *(decimals(values[rows]) for values in numbers), strict=True
            ):
                yield Bar(symbol, opened, self.length, *values)


def decimals(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Iterator[Decimal]:
    """Each float as the shortest decimal that reads back as the same float."""
    return map(Decimal, pa.array(values).cast(pa.string()).to_pylist())


def open_replay(path: Path, symbols: Sequence[str] = ()) -> ReplayFeed:
    """Read and check all bars of a file or folder. Raises `FeedError` naming the first file and row that is wrong."""
    columns = [part for file in _files(path) for part in split_by_symbol(_read(file), file, symbol_of(file))]
    _check_symbols(columns)
    chosen = choose_symbols([part.symbol for part in columns], symbols)
    wanted = sorted((part for part in columns if part.symbol in chosen), key=lambda part: part.symbol)
    return ReplayFeed(f"replay:{path}", _asset_class(wanted), _length(wanted), tuple(wanted))


def symbol_of(file: Path) -> str | None:
    """The symbol that a file name says, None when it says none."""
    ending = next(ending for ending in _ENDINGS if file.name.lower().endswith(ending))
    parts = [part for part in re.split("[_-]", file.name[: -len(ending)]) if not _TIME_FRAME.fullmatch(part)]
    capitals = "".join(part for part in parts if part == part.upper() and re.search("[A-Z]", part))
    return capitals or (parts[0].upper() if len(parts) == 1 else None)


def asset_class_of(symbol: str) -> AssetClass:
    """Crypto where the symbol ends in a usual quote currency (BTCUSDT, ETH/BTC, SOLUSDTPERP), stock otherwise."""
    pair = re.sub("[-_/:.]?PERP$", "", symbol)
    is_pair = any(pair.endswith(quote) and len(pair) > len(quote) for quote in _QUOTES)
    return AssetClass.CRYPTO if is_pair else AssetClass.STOCK


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise FeedError(
            f"{path} does not exist", "give the path of a feather, Parquet or CSV file, or of a folder of them"
        )
    files = [path] if path.is_file() else sorted(path.iterdir())
    readable = [file for file in files if file.name.lower().endswith(_ENDINGS)]
    if not readable:
        raise FeedError(f"{path} holds no bars", f"file names end in {', '.join(_ENDINGS)}")
    return readable


def _read(file: Path) -> pd.DataFrame:
    try:
        table = _table(file)
    except (pa.ArrowException, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise FeedError(
            f"{file} cannot be read: {reason}", "is it complete, and of the kind that its name says?"
        ) from None
    return pd.DataFrame(table.to_pandas(ignore_metadata=True, date_as_object=False))


def _table(file: Path) -> pa.Table:
    match file.suffix.lower():
        case ".feather":
            return feather.read_table(file)
        case ".parquet":
            return parquet.read_table(file)
        case _:
            return csv.read_csv(file)


def _check_symbols(columns: Sequence[Columns]) -> None:
    seen: dict[str, Path] = {}
    for part in columns:
        try:
            check_symbol(part.symbol)
        except ConfigError as error:
            raise FeedError(f"{part.source}: {error}", error.hint) from None
        if part.symbol in seen:
            raise FeedError(f"{seen[part.symbol]} and {part.source} both hold {part.symbol}", "keep one file a symbol")
        seen[part.symbol] = part.source


def _asset_class(columns: Sequence[Columns]) -> AssetClass:
    classes = {asset_class_of(part.symbol) for part in columns}
    if len(classes) > 1:
        symbols = ", ".join(part.symbol for part in columns)
        raise FeedError(f"stocks and crypto in one feed: {symbols}", "choose those of one kind with --symbols")
    return classes.pop()


def _length(columns: Sequence[Columns]) -> timedelta:
    lengths = {part.symbol: part.common_length() for part in columns}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{symbol} {length}" for symbol, length in lengths.items())
        raise FeedError(f"bars of different lengths in one feed: {listed}", "choose those of one length with --symbols")
    return next(iter(lengths.values()))
