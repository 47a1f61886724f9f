"""Figures beside what they must be and aim to be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One measure. `ratio`, or a figure of ours alone, is to be at most `must` (at least, where `more_is_better`)."""

    measure: str
    ours: str
    peer: str
    ratio: float
    must: float | None = None
    aim: float | None = None
    more_is_better: bool = False

    @property
    def verdict(self) -> str:
        if self.must is None:
            return ""
        if self._reaches(self.aim):
            return "aim reached"
        return "reached" if self._reaches(self.must) else "MISSED"

    def _reaches(self, limit: float | None) -> bool:
        if limit is None:
            return False
        return self.ratio >= limit if self.more_is_better else self.ratio <= limit


def show(title: str, rows: Iterable[Row]) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("measure")
    for column in ("ours", "compared with", "figure", "must", "aim"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in rows:
        limits = ["" if limit is None else f"{limit:g}" for limit in (row.must, row.aim)]
        figure = f"{row.ratio:,.2f}" if row.ratio < 20 else f"{row.ratio:,.0f}"
        table.add_row(row.measure, row.ours, row.peer, figure, *limits, row.verdict)
    Console(width=150).print(table)
