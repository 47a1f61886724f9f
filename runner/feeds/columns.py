"""Bars of one symbol as columns, read from a file and checked whole.

A file has the columns `date`, `time`, `timestamp` or `datetime` (the start of the bar), `open`, `high`, `low`, `close`,
`volume`, in any case and order, and optionally `symbol` or `ticker`. Times without a zone are UTC; numbers are seconds,
milliseconds, microseconds or nanoseconds since 1970, told apart by their size. Rows are counted from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd

from runner.errors import FeedError

EpochUnit = Literal["s", "ms", "us", "ns"]

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")

_TIMES = ("date", "time", "timestamp", "datetime")
_SYMBOLS = ("symbol", "ticker")
_EARLIEST_EPOCH = 1e8  # 1973 in seconds; smaller numbers are dates such as 20240131
_EPOCH_LIMITS: tuple[tuple[EpochUnit, float], ...] = (("s", 1e11), ("ms", 1e14), ("us", 1e17))


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Bars of one symbol in ascending order. `start` is datetime64[us], UTC; `rows` are row numbers in the file."""

    symbol: str
    source: Path
    rows: npt.NDArray[np.int64]
    start: npt.NDArray[np.datetime64]
    numbers: dict[str, npt.NDArray[np.float64]]

    def __post_init__(self) -> None:
        self._check_order()
        self._check_numbers()

    def _check_order(self) -> None:
        steps = np.diff(self.start).astype(np.int64)
        if (steps > 0).all():
            return
        first = int(np.argmin(steps > 0))
        if steps[first] == 0:
            self._refuse(first + 1, "same time as the bar before", "remove duplicated bars")
        self._refuse(first + 1, "earlier than the bar before", "sort the file by time")

    def _check_numbers(self) -> None:
        opened, high, low, close, volume = (self.numbers[name] for name in NUMBERS)
        for name, values in self.numbers.items():
            self._check(np.isfinite(values), f"{name} is not a number", "fill or remove such bars")
        for name in PRICES:
            self._check(self.numbers[name] > 0, f"{name} is not positive", "fill or remove such bars")
        self._check(volume >= 0, "volume is negative", "fill or remove such bars")
        self._check(high >= low, "high is below low", "are the columns named correctly?")
        inside = (low <= np.minimum(opened, close)) & (np.maximum(opened, close) <= high)
        self._check(inside, "open or close is outside low and high", "are the columns named correctly?")

    def _check(self, good: npt.NDArray[np.bool_], problem: str, hint: str) -> None:
        if not good.all():
            self._refuse(int(np.argmin(good)), problem, hint)

    def _refuse(self, index: int, problem: str, hint: str) -> NoReturn:
        time = np.datetime_as_string(self.start[index], unit="s")
        raise FeedError(f"{self.source}: row {self.rows[index]} ({self.symbol}, {time}Z): {problem}", hint)

    def common_length(self) -> timedelta:
        """The most common time from one bar to the next: the length of the bars."""
        if len(self.start) < 2:
            raise FeedError(
                f"{self.source}: one bar of {self.symbol} does not tell its length", "give at least two bars"
            )
        steps, counts = np.unique(np.diff(self.start), return_counts=True)
        return timedelta(microseconds=int(steps[np.argmax(counts)].astype(np.int64)))


def split_by_symbol(frame: pd.DataFrame, source: Path, symbol: str | None) -> Iterator[Columns]:
    """Columns of every symbol of a file; `symbol` is what the file name says, None where it says nothing."""
    frame = frame.rename(columns={name: str(name).strip().lower() for name in frame.columns})
    _check_names(frame, source)
    if frame.empty:
        raise FeedError(f"{source}: there are no bars in it", "give a file with at least two bars")
    rows = np.arange(1, len(frame) + 1)
    start = _start_times(frame, source)
    numbers = {name: _floats(frame[name], source) for name in NUMBERS}
    for name, mine in _symbols(frame, source, symbol):
        yield Columns(name, source, rows[mine], start[mine], {key: values[mine] for key, values in numbers.items()})


def _first(frame: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in frame.columns), None)


def _check_names(frame: pd.DataFrame, source: Path) -> None:
    missing = [name for name in NUMBERS if name not in frame.columns]
    if _first(frame, _TIMES) is None:
        missing.insert(0, "date (or time, timestamp)")
    if missing:
        present = ", ".join(map(str, frame.columns)) or "none"
        raise FeedError(f"{source}: columns missing: {', '.join(missing)}; present: {present}", "rename the columns")
    if not frame.columns.is_unique:
        raise FeedError(f"{source}: two columns have the same name: {', '.join(frame.columns)}", "keep one of them")


def _symbols(frame: pd.DataFrame, source: Path, symbol: str | None) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    column = _first(frame, _SYMBOLS)
    if column is not None:
        names = frame[column].astype(str).to_numpy()
        for name in sorted(set(names)):
            yield name, names == name
    elif symbol is not None:
        yield symbol, np.ones(len(frame), dtype=np.bool_)
    else:
        raise FeedError(
            f"{source}: its name does not say the symbol", "name it like BTCUSDT-5m.csv, or add a column symbol"
        )


def _floats(column: pd.Series[float], source: Path) -> npt.NDArray[np.float64]:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = (numbers.isna() & column.notna()).to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise FeedError(
            f"{source}: row {row + 1}: {column.name} {column.iloc[row]!r} is not a number", "correct the file"
        )
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _start_times(frame: pd.DataFrame, source: Path) -> npt.NDArray[np.datetime64]:
    name = _first(frame, _TIMES)
    column = frame[name]
    times = _from_epoch(column) if pd.api.types.is_numeric_dtype(column) else _from_text(column)
    wrong = times.isna()
    if wrong.any():
        row = int(np.argmax(wrong))
        problem = "is empty" if column.isna().iloc[row] else f"{str(column.iloc[row])!r} is not a time"
        raise FeedError(f"{source}: row {row + 1}: {name} {problem}", "use ISO 8601, or seconds since 1970")
    return np.asarray(times.tz_localize(None).to_numpy(), dtype="datetime64[us]")


def _from_text(column: pd.Series[str]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(column, format="ISO8601", utc=True, errors="coerce"))


def _from_epoch(column: pd.Series[float]) -> pd.DatetimeIndex:
    largest = float(column.abs().max())
    unit: EpochUnit = next((unit for unit, limit in _EPOCH_LIMITS if largest < limit), "ns")
    numbers = column.where(column > _EARLIEST_EPOCH)
    return pd.DatetimeIndex(pd.to_datetime(numbers, unit=unit, utc=True, errors="coerce"))
