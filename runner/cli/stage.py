"""What a person sees while bots run: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runner.bots.run import Progress
from runner.logging.backlog import Backlog

_LINE_EVERY = 5.0
_MEASURE_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Counts:
    """Records accepted so far, and what waits to be shipped."""

    records: int
    waiting: Backlog


class Stage:
    """Shows progress. `count` is asked a few times a second at most, because it looks at files."""

    def __init__(self, screen: Console, total: int | None, count: Callable[[], Counts]) -> None:
        self._screen = screen
        self._total = total
        self._count = count
        self._counts = Counts(0, Backlog(0, 0, 0))
        self._measured = 0.0
        self._said = 0.0
        self._live = Live(console=screen, refresh_per_second=8, transient=True) if screen.is_terminal else None

    def __enter__(self) -> Stage:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        """Show where the run is. Cheap enough to be called ten times a second."""
        now = time.monotonic()
        if now - self._measured >= _MEASURE_EVERY:
            self._counts, self._measured = self._count(), now
        if self._live:
            self._live.update(Group(self._heading(progress), self._table(progress)))
        elif now - self._said >= _LINE_EVERY:
            self._said = now
            self._screen.print(self._line(progress))

    def say(self, message: str) -> None:
        self._screen.print(message)

    def _heading(self, progress: Progress) -> Group:
        bar = ProgressBar(total=self._total, completed=progress.bars, width=60)
        return Group(bar, Text(self._line(progress), style="dim"))

    def _line(self, progress: Progress) -> str:
        rate = progress.bars / progress.seconds if progress.seconds else 0.0
        of = f" of {self._total:,}" if self._total else ""
        equity = sum(bot.equity for bot in progress.bots)
        trades = sum(bot.trades for bot in progress.bots)
        positions = sum(bot.open_positions for bot in progress.bots)
        waiting = self._counts.waiting
        return (
            f"bars {progress.bars:,}{of} ({rate:,.0f}/s)  equity {equity:,.2f}  open positions {positions}  "
            f"trades {trades:,}  records {self._counts.records:,}  "
            f"lag live {size(waiting.live)} archive {size(waiting.archive)}"
        )

    def _table(self, progress: Progress) -> Table:
        table = Table(box=None, header_style="dim", pad_edge=False)
        table.add_column("bot", min_width=16)
        for name in ("equity", "change", "open", "trades", "won", "drawdown", "state"):
            table.add_column(name, justify="right")
        for bot in progress.bots:
            change = (bot.equity / bot.start_equity - 1) * 100
            table.add_row(
                bot.name,
                f"{bot.equity:,.2f}",
                Text(f"{change:+.2f} %", style="green" if change >= 0 else "red"),
                str(bot.open_positions),
                str(bot.trades),
                "-" if bot.win_rate is None else f"{bot.win_rate:.0%}",
                f"{bot.max_drawdown_pct:.1f} %",
                Text("HALTED", style="bold red") if bot.halted else Text("trading", style="green"),
            )
        return table


def size(count: int) -> str:
    """Bytes in words: 0 B, 12 KiB, 3.4 MiB."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:,.0f} {unit}" if unit in ("B", "KiB") else f"{value:,.1f} {unit}"
