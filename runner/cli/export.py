"""`tron export`: the warehouse filled from the archive, a year of it, what is set aside, and what is made of trades."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable

from runner.cli.context import Context, console
from runner.clock import SystemClock
from runner.errors import ConfigError
from runner.files import replace
from runner.layout import Home
from runner.logging import backlog
from runner.operations import exports
from runner.operations.backfill import BackfillProgress, backfill
from runner.operations.cells import amount
from runner.operations.csv_summaries import write_summaries
from runner.operations.daily_performance import daily_performance
from runner.operations.days import Days, parse_days
from runner.operations.exports import ExportReport
from runner.operations.lots import Method
from runner.operations.set_aside import record_in_journal
from runner.operations.tax import TaxReport, check_year, tax_report, zone
from runner.settings import Settings
from runner.stores.base import Archive, Warehouse
from runner.stores.open import open_archive
from runner.wiring import open_settings_warehouse

_SLOW = "SELECT * FROM slowQueries ORDER BY timestamp DESC LIMIT 50"


def export(
    context: typer.Context,
    since: Annotated[str, typer.Option(help="From this day on (UTC), such as 2025-01-01.")] = "",
    until: Annotated[str, typer.Option(help="To this day, which counts; without it, today.")] = "",
    retry: Annotated[bool, typer.Option("--retry", help="Also try what was set aside.")] = False,
    status: Annotated[bool, typer.Option("--status", help="How far it is, and what is set aside.")] = False,
    summaries: Annotated[bool, typer.Option("--summaries", help="Write daily CSV summaries into the archive.")] = False,
    performance: Annotated[bool, typer.Option("--performance", help="How trading went, day by day.")] = False,
    tax: Annotated[int | None, typer.Option(help="CSV of the lots closed in this year.", metavar="YEAR")] = None,
    method: Annotated[Method, typer.Option(help="Which lots a close uses up (with --tax).")] = Method.FIFO,
    mode: Annotated[str, typer.Option(help="Trades of which execution mode (with --tax).")] = "LIVE",
    zone_name: Annotated[str, typer.Option("--zone", help="Whose days and years (with --tax).")] = "UTC",
    output: Annotated[Path | None, typer.Option(help="A file for the CSV (with --tax).")] = None,
    slow: Annotated[bool, typer.Option("--slow", help="The slowest questions that were asked lately.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
) -> None:
    """Load new archive objects into the warehouse; with --since, those of a range, resumed where it was stopped."""
    _check_one(
        {"--status": status, "--summaries": summaries, "--performance": performance, "--slow": slow}
        | {"--tax": tax is not None, "--retry": retry}
    )
    today = SystemClock().now().date()
    days = parse_days(since, until, today=today)
    if tax is not None:
        check_year(tax, today=today)
    parent: Context = context.obj
    settings = parent.settings()
    if not settings.stores.archive:
        parent.existing_home(settings)
    room = _Room(settings, open_archive(settings), open_settings_warehouse(settings), as_json)
    if status:
        room.show_status(days)
    elif slow:
        room.show_slow_queries()
    elif tax is not None:
        room.write_tax(tax_report(room.warehouse, tax, method=method, mode=mode.upper(), where=zone(zone_name)), output)
    elif summaries:
        room.write_summaries(days)
    elif performance:
        room.show_performance(days)
    else:
        room.load(days, retry)


def _check_one(options: Mapping[str, bool]) -> None:
    chosen = [name for name, is_chosen in options.items() if is_chosen]
    if len(chosen) > 1:
        raise ConfigError(f"{' and '.join(chosen)} exclude each other", "choose one")


@dataclass(frozen=True, slots=True)
class _Room:
    """What the verb works with, and how it answers."""

    settings: Settings
    archive: Archive
    warehouse: Warehouse
    as_json: bool

    def load(self, days: Days | None, retry: bool) -> None:
        """Export; the process ends with 1 when an object was set aside now."""
        report = self._loaded(days, retry)
        if self.as_json:
            print(json.dumps(report.as_dict()))
        else:
            for line in in_words(report):
                console().print(line, soft_wrap=True)
        if days is None and not (report.objects or report.skipped or report.set_aside) and report.done:
            raise ConfigError(
                f"the archive {self._archive_name} holds no records",
                "check its name and that its buckets exist; `tron ship` archives what the journal has",
            )
        if report.new_aside:
            raise typer.Exit(1)

    def _loaded(self, days: Days | None, retry: bool) -> ExportReport:
        clock = SystemClock()
        tell = record_in_journal(self.settings, clock)
        with _progress("days" if days else "objects", self.as_json) as show, _interrupted() as stop:
            options: dict[str, Any] = {"retry": retry, "stop": stop.is_set, "on_set_aside": tell, "clock": clock}
            if days is None:
                return exports.export(self.archive, self.warehouse, on_progress=show, **options)

            def on_day(progress: BackfillProgress) -> None:
                show(progress.done, progress.total)

            return backfill(self.archive, self.warehouse, days, on_day=on_day, **options)

    def show_status(self, days: Days | None) -> None:
        states, aside = exports.state(self.archive, self.warehouse, days)
        if self.as_json:
            streams = {one.stream: {**_counts(one), "waiting": one.waiting} for one in states}
            print(json.dumps({"streams": streams, "set_aside": [one.as_dict() for one in aside]}))
            return
        shown = _table("stream", "objects", "loaded", "waiting", "set aside")
        for one in states:
            shown.add_row(one.stream, *(f"{n:,}" for n in (one.objects, one.loaded, one.waiting, one.set_aside)))
        console().print(shown)
        for object_ in aside:
            console().print(f"set aside since {object_.since}: {object_.bucket}/{object_.name}: {object_.reason}")
        if aside:
            console().print("`tron export --retry` tries them again, `tron verify` tells what is wrong with them")

    def show_slow_queries(self) -> None:
        home = Home(self.settings.home)
        unshipped = backlog.unshipped(home) if home.journal.is_dir() else {}
        found = self.warehouse.query(_SLOW, unshipped=unshipped).dicts()
        if self.as_json:
            for row in found:
                print(json.dumps(row, default=str))
            return
        shown = _table("when", "ms", "rows", "billed", "hash", "statement")
        for row in found:
            numbers = (row["milliseconds"], row["rows_returned"], row["bytes_billed"])
            when = row["timestamp"].isoformat(timespec="seconds")
            shown.add_row(when, *(f"{number or 0:,.0f}" for number in numbers), row["sql_hash"], row["statement"])
        console().print(shown)

    def write_tax(self, report: TaxReport, output: Path | None) -> None:
        """The CSV to the file, or to stdout; what it says in sum to stderr, where it is in nobody's way."""
        others = {mode: count for mode, count in report.modes.items() if mode != report.mode}
        if not report.rows and others:
            named = ", ".join(f"{count:,} of mode {mode or 'none'}" for mode, count in others.items())
            raise ConfigError(
                f"no trade of mode {report.mode} was closed in {report.year}, but {named}",
                f"--mode {next(iter(others))} takes those; simulated trades are nothing for a tax office",
            )
        if output is None:
            sys.stdout.write(report.csv())
        else:
            _write(output, report.csv())
        short, long = amount(report.gain("short")), amount(report.gain("long"))
        said = f"{len(report.rows):,} lots, gain short-term {short}, long-term {long}"
        left_out = f"; left out: {', '.join(sorted(others))}" if others else ""
        sys.stderr.write(f"{report.year}, {report.mode}, {report.method}: {said}{left_out}. This is no tax advice.\n")

    def write_summaries(self, days: Days | None) -> None:
        if days is None and (days := self._traded()) is None:
            console().print("no trade is closed yet")
            return
        with _interrupted() as stop:
            report = write_summaries(self.archive, self.warehouse, days, stop=stop.is_set)
        if self.as_json:
            print(json.dumps(report.as_dict()))
            return
        for name in report.written:
            console().print(name, soft_wrap=True)
        console().print(f"{len(report.written):,} summaries written, {report.unchanged:,} said the same already")

    def show_performance(self, days: Days | None) -> None:
        found = daily_performance(self.warehouse, days) if days or (days := self._traded()) else []
        if self.as_json:
            for row in found:
                print(json.dumps(row.as_dict()))
            return
        shown = _table("day", "symbol", "strategy", "trades", "won", "net profit", "profit factor", "losing streak")
        for row in found:
            rate = "-" if row.win_rate is None else f"{row.win_rate:.0%}"
            factor = "-" if row.profit_factor is None else f"{row.profit_factor:.2f}"
            streak = str(row.max_consecutive_losses)
            name = (row.day.isoformat(), row.symbol, row.model_name)
            shown.add_row(*name, str(row.total_trades), rate, f"{row.total_pnl:,f}", factor, streak)
        console().print(shown)

    def _traded(self) -> Days | None:
        """From the first day on which a trade was closed to the last."""
        ((first, last),) = self.warehouse.query("SELECT min(day), max(day) FROM daily_performance").rows
        return Days(first, last) if first and last else None

    @property
    def _archive_name(self) -> str:
        return self.settings.stores.archive or str(Home(self.settings.home).archive)


def in_words(report: ExportReport) -> list[str]:
    late = f", {report.late:,} of them late" if report.late else ""
    lines = [
        f"{report.records:,} records loaded from {report.objects:,} objects{late}; "
        f"{report.skipped:,} objects were there already"
    ]
    lines += [f"not loaded: {aside.bucket}/{aside.name}: {aside.reason}" for aside in report.set_aside]
    if report.set_aside:
        lines.append("`tron verify` tells what is wrong with them, `tron export --retry` tries them again")
    if not report.done:
        lines.append("stopped before the end: the same command goes on from here")
    return lines


def _counts(one: exports.StreamState) -> dict[str, int]:
    return {"objects": one.objects, "loaded": one.loaded, "set_aside": one.set_aside}


def _table(*columns: str) -> RichTable:
    shown = RichTable(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    return shown


def _write(path: Path, text: str) -> None:
    """A whole file or none; one that is there is not ours to replace."""
    if path.exists():
        raise ConfigError(f"{path} exists", "name another file, or remove this one")
    try:
        replace(path, text.encode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}", "name another file") from None


@contextmanager
def _progress(unit: str, quiet: bool) -> Iterator[exports.Progress]:
    """A bar on a terminal; nothing elsewhere."""
    screen = console()
    if quiet or not screen.is_terminal:
        yield lambda done, total: None
        return
    columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(unit, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _interrupted() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C, so that what was read is still loaded; a second one ends the process at once."""
    stop = threading.Event()
    usual = signal.getsignal(signal.SIGINT)

    def told(number: int, frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, told)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, usual)
