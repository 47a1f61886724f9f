"""The end of a run: what the bots did, whether every record arrived, what it saved, and where to look next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.bots.run import Progress
from runner.cli.stage import size
from runner.cli.verify import in_words
from runner.layout import Home
from runner.logging import checkpoint, costs, objects
from runner.logging.audit import AuditReport
from runner.logging.firestore_logger import LiveState
from runner.logging.gcs_logger import ArchiveState
from runner.logging.journal import runs
from runner.settings import Settings
from runner.stores.base import Archive, Warehouse


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the records of some runs. The first three are distinct records; the runs began at `started`."""

    started: str
    journal: int
    archive: int
    warehouse: int
    raw_bytes: int
    packed_bytes: int
    work: costs.Work

    @property
    def equal(self) -> bool:
        return self.journal == self.archive == self.warehouse


def measure(settings: Settings, wanted: Collection[str], archive: Archive, warehouse: Warehouse) -> Outcome:
    """Count the records of runs in the journal's own books, in the archive's objects and in the warehouse."""
    home = Home(settings.home)
    books = [info for info in runs(home) if info.run in wanted]
    accepted = sum(info.records for info in books)
    found = {run: streams for run, streams in objects.index(archive).items() if run in wanted}
    batches = [batch for streams in found.values() for batches in streams.values() for batch in batches]
    offsets = {(batch.run, batch.stream, offset) for batch in batches for offset in range(batch.first, batch.last + 1)}
    marks = ", ".join("?" for _ in wanted)
    loaded = warehouse.query(f"SELECT count(DISTINCT id) FROM records WHERE run IN ({marks})", list(wanted)).rows[0][0]
    live = [checkpoint.load(home, run, "live", LiveState) for run in wanted]
    copies = [checkpoint.load(home, run, "compliance", ArchiveState) for run in wanted]
    copied = [state for copy in copies for state in copy.streams.values()]
    raw_bytes = sum(batch.raw_bytes for batch in batches)
    packed_bytes = sum(batch.size for batch in batches)
    work = costs.Work(
        records=accepted,
        states=sum(state.folded for state in live),
        live_writes=sum(state.written for state in live),
        documents=sum(state.made for state in live),
        objects=len(batches) + sum(state.objects for state in copied) + len(wanted),
        stored_bytes=packed_bytes + sum(state.stored_bytes for state in copied),
        published_bytes=sum(batch.raw_bytes for batch in batches if batch.stream in settings.shipping.published),
    )
    started = min(info.started for info in books)
    return Outcome(started, accepted, len(offsets), int(loaded), raw_bytes, packed_bytes, work)


def show(screen: Console, progress: Progress, outcome: Outcome, report: AuditReport) -> None:
    screen.print()
    screen.print(_bots(progress))
    screen.print()
    screen.print(_records(outcome))
    for line in in_words(report):
        screen.print(Text(line, style="bold green" if report.complete else "bold red"), soft_wrap=True)


def show_unproved(screen: Console, progress: Progress) -> None:
    """What the bots did, where another process ships, and yet another one proves."""
    screen.print()
    screen.print(_bots(progress))
    screen.print("records    shipped by the process beside this one; `tron verify` proves them", soft_wrap=True)


def _bots(progress: Progress) -> Table:
    table = Table(title=f"{progress.bars:,} bars in {progress.seconds:,.1f} s", title_justify="left", box=None)
    table.add_column("bot", min_width=16)
    for name in ("trades", "win rate", "P&L after fees", "fees", "equity", "max drawdown", "open"):
        table.add_column(name, justify="right")
    for bot in progress.bots:
        profit = bot.equity - bot.start_equity
        table.add_row(
            bot.name,
            f"{bot.trades:,}",
            "-" if bot.win_rate is None else f"{bot.win_rate:.1%}",
            Text(f"{profit:+,.2f}", style="green" if profit >= 0 else "red"),
            f"{bot.fees:,.2f}",
            f"{bot.equity:,.2f}",
            f"{bot.max_drawdown_pct:.1f} %",
            str(bot.open_positions),
        )
    return table


def _records(outcome: Outcome) -> Table:
    work = outcome.work
    ours, naive = costs.total(costs.estimate(work)), costs.total(costs.estimate_naive(work))
    equal = "equal" if outcome.equal else "NOT EQUAL: run `tron ship`"
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    counts = f"journal {outcome.journal:,} = archive {outcome.archive:,} = warehouse {outcome.warehouse:,}"
    table.add_row("records", f"{counts}  ({equal})")
    if not outcome.equal:
        table.columns[1].style = "bold red"
    saved = 1 - work.live_writes / work.states if work.states else 0.0
    table.add_row("live writes", f"{work.live_writes:,} for {work.states:,} states: coalescing saved {saved:.1%}")
    gzip = 1 - outcome.packed_bytes / outcome.raw_bytes if outcome.raw_bytes else 0.0
    table.add_row("gzip", f"{size(outcome.raw_bytes)} became {size(outcome.packed_bytes)}: {gzip:.1%} saved")
    share = f" ({ours / naive:.1%})" if naive else ""
    bill = f"about {_dollars(ours)} for this run; the naive way {_dollars(naive)}{share}; estimated at list prices"
    table.add_row("cloud cost", bill)
    return table


def _dollars(amount: Decimal) -> str:
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"


def halted(bot: str, reason: str, command: str) -> Text:
    """That a bot is halted, and what ends it."""
    advice = f'{command} resume {bot} --actor YOU --reason "WHY IT IS SAFE"'
    return Text(f"{bot} is halted: {reason}. It trades again after: {advice}", style="bold red")


def next_steps(progress: Progress, outcome: Outcome, command: str, url: str) -> Text:
    """What is worth a look after this very run. `command` is how `tron` is called."""
    steps = [f"{command} tail   ·   {command} verify   ·   {command} dashboard"]
    if any(bot.trades for bot in progress.bots):
        sql = "SELECT bot, count(*) AS trades, sum(net_profit_loss) AS profit FROM trades"
        since = f"{outcome.started[:19]}Z"
        steps.insert(0, f"{command} query \"{sql} WHERE kind = 'trade_exit' AND ts >= '{since}' GROUP BY bot\"")
    else:
        steps.insert(0, f"{command} tail --kind decision tells why nothing was traded")
    if url:
        steps.append(f"dashboard: {url} (Ctrl-C ends it)")
    text = Text("next: " + "\n      ".join(steps), style="dim")
    stopped = [halted(bot.name, bot.halted, command) for bot in progress.bots if bot.halted]
    return Text("\n").join([*stopped, Text(), text])
