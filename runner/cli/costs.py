"""`tron costs`: what this month costs and will cost, by day, service, operation and bot; or what a fleet would cost."""

from __future__ import annotations

import calendar
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from runner.cli.context import Context, console
from runner.clock import SystemClock
from runner.errors import ConfigError
from runner.layout import Home
from runner.logging import economy
from runner.logging.costs import fleet, prices, simulation
from runner.logging.costs.ledger import check_month, read_ledger
from runner.logging.costs.report import BILLED_BY_GOOGLE, ESTIMATED, CostReport, Line, Sum, report, with_billed
from runner.logging.costs.simulation import Entry, Simulation, total
from runner.logging.costs.spend import billed_stores
from runner.settings import Settings
from runner.stores.open import open_archive, open_billing

_WAREHOUSE_DAYS = 90


def costs(
    context: typer.Context,
    month: Annotated[str, typer.Option(help="Another month than this one, as 2026-11.")] = "",
    bot: Annotated[str, typer.Option(help="Only what is attributed to this bot.")] = "",
    by_day: Annotated[bool, typer.Option("--by-day", help="Every day on lines of its own.")] = False,
    simulate: Annotated[str, typer.Option(help='A fleet, as "10 bots, 1M records/day, 50k updates/day".')] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object; amounts are strings.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="A simulation as tables for a page.")] = False,
) -> None:
    """Say what keeping records costs, each number metered, estimated or billed; or what a fleet would cost."""
    parent: Context = context.obj
    settings = parent.settings()
    if simulate:
        if month or bot:
            raise ConfigError("--simulate answers for a whole fleet and any month", "leave out --month and --bot")
        _simulate(settings, fleet.parse(simulate), as_json, as_markdown)
        return
    if as_markdown:
        raise ConfigError("--markdown is for simulations", "give a fleet with --simulate, or use --json")
    found = build_report(parent, settings, month, bot)
    if as_json:
        print(json.dumps(found.as_dict()))
    else:
        _show(console(), found, economy.load(Home(settings.home)), by_day)


def build_report(parent: Context, settings: Settings, month: str, bot: str) -> CostReport:
    """The report of a month; with what Google billed, where the settings name its export."""
    now = SystemClock().now()
    asked, table = check_month(month, now.date()), prices.load(settings.costs)
    home = Home(settings.home) if billed_stores(settings) else parent.existing_home(settings)
    ledger = read_ledger(open_archive(settings), home, asked)
    if bot and bot not in {name for _, name, _ in ledger.traffic}:
        known = ", ".join(sorted({name for _, name, _ in ledger.traffic})) or "none"
        raise ConfigError(f"no bot {bot!r} has records in {asked}", f"there are: {known}")
    found = report(ledger, table, settings.costs, now, billed_stores(settings), bot)
    return found if bot or not settings.costs.billing else with_billed(found, _billed(settings, asked))


def _billed(settings: Settings, month: str) -> dict[str, Decimal]:
    year, number = map(int, month.split("-"))
    export = open_billing(settings)
    try:
        last = date(year, number, calendar.monthrange(year, number)[1])
        found: dict[str, Decimal] = defaultdict(Decimal)
        for one in export.days(date(year, number, 1), last, of_project=settings.project):
            found[one.service] += one.usd
        return dict(found)
    finally:
        export.close()


def _show(screen: Console, found: CostReport, saving: economy.Economy, by_day: bool) -> None:
    screen.print(f"costs of {found.month} at the prices of {found.region}, in US dollars", style="bold")
    screen.print(_operations(found.lines, by_day))
    screen.print(_sums(found))
    if not found.lines:
        screen.print("no usage is recorded: a shipper writes it every minute, and when it ends", style="yellow")
    for note in found.notes:
        screen.print(note, style="dim", soft_wrap=True)
    if saving.level:
        screen.print(f"saving since {saving.since[:16]}: {saving.reason}", style="yellow", soft_wrap=True)
    oldest = min(source.rpartition(" ")[2] for source in found.sources.values())
    screen.print(f"list prices, read from {oldest} on; --json names each source", style="dim", soft_wrap=True)


def _operations(lines: Iterable[Line], by_day: bool) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("day",) if by_day else ():
        table.add_column(name)
    table.add_column("service")
    table.add_column("operation")
    for name in ("count", "bytes", "US$"):
        table.add_column(name, justify="right")
    table.add_column("")
    for key, (count, size, usd) in sorted(_grouped(lines, by_day).items()):
        table.add_row(*key[:-1], f"{count:,}", f"{size:,}" if size else "", dollars(usd), key[-1])
    return table


def _grouped(lines: Iterable[Line], by_day: bool) -> dict[tuple[str, ...], tuple[int, int, Decimal]]:
    found: dict[tuple[str, ...], tuple[int, int, Decimal]] = {}
    for line in lines:
        key = (*((line.day,) if by_day else ()), line.service, line.operation, line.label)
        count, size, usd = found.get(key, (0, 0, Decimal(0)))
        found[key] = (count + line.count, size + line.bytes, usd + line.usd)
    return found


def _sums(found: CostReport) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    table.add_column(style="dim")
    for title, sums in (("free tier: ", found.free), ("kept: ", found.kept), ("elsewhere: ", found.other)):
        for one in sums:
            table.add_row(f"{title}{one.name}", dollars(one.usd), one.label, one.note)
    for one in found.bots:
        table.add_row(f"bot: {one.name}", dollars(one.usd), one.label, one.note)
    _add(table, found.total, "bold")
    if found.forecast is not None:
        ahead = found.forecast
        span = f"{dollars(ahead.low)} to {dollars(ahead.high)}: {ahead.method}"
        table.add_row("forecast of the month", dollars(ahead.usd), ESTIMATED, span)
    if found.budget and found.forecast is not None:
        spent, ahead_of = found.total.usd / found.budget, found.forecast.usd / found.budget
        note = f"{spent:.1%} spent, {ahead_of:.1%} forecast; alerts at 80 % and 100 %"
        table.add_row("budget of the month", dollars(found.budget), "", note)
    share = "" if found.share_of_naive is None else f"ours is {found.share_of_naive:.1%} of it; "
    table.add_row(found.naive.name, dollars(found.naive.usd), found.naive.label, share + found.naive.note)
    if found.billed is not None:
        for name, usd in found.billed.by_service.items():
            table.add_row(f"billed: {name}", dollars(usd), BILLED_BY_GOOGLE, "")
        note = f"{dollars(found.billed.difference)} more than metered and estimated"
        table.add_row("billed in all", dollars(found.billed.usd), BILLED_BY_GOOGLE, note)
    return table


def _add(table: Table, one: Sum, style: str) -> None:
    table.add_row(one.name, dollars(one.usd), one.label, one.note, style=style)


def _simulate(settings: Settings, wanted: fleet.Fleet, as_json: bool, as_markdown: bool) -> None:
    table = prices.load(settings.costs)
    plan = simulation.Plan.of(settings.shipping, _WAREHOUSE_DAYS)
    found = simulation.simulate(wanted, table, plan)
    even = simulation.break_even(table, plan, wanted)
    if as_json:
        print(json.dumps({**msgspec.to_builtins(found), "break_even_records_a_day": even, "label": ESTIMATED}))
        return
    if as_markdown:
        print(markdown(found, even))
        return
    screen = console()
    screen.print(
        f"a month of {found.fleet}, at the prices of {found.region}: {ESTIMATED}", style="bold", soft_wrap=True
    )
    screen.print(bill_table(found.ours))
    screen.print(comparison(found))
    for line in remarks(found, even):
        screen.print(line, style="dim", soft_wrap=True)


def bill_table(entries: Iterable[Entry]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("service", "what"):
        table.add_column(name)
    for name in ("quantity", "US$"):
        table.add_column(name, justify="right")
    table.add_column("formula", style="dim")
    for one in entries:
        quantity = f"{one.quantity:,.0f} {one.unit}" if one.unit else ""
        table.add_row(one.section, one.item, quantity, dollars(one.usd), one.formula)
    return table


def comparison(found: Simulation) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, usd, note in compared(found):
        table.add_row(name, usd, note)
    return table


def compared(found: Simulation) -> list[tuple[str, str, str]]:
    """Name, amount and remark of each way to keep the same records."""
    rows = [
        ("ours", dollars(found.records_usd), "records and live state"),
        ("ours with SQL", dollars(total(found.ours)), f"BigQuery over the last {_WAREHOUSE_DAYS} days"),
        ("the naive way", dollars(total(found.naive)), f"ours is {found.share_of_naive:.1%} of it"),
    ]
    if found.share_of_logging is not None:
        note = f"ours is {found.share_of_logging:.1%} of it, with SQL {found.share_of_logging_with_sql:.1%}"
        rows.append(("Cloud Logging", dollars(total(found.logging)), note))
    return [*rows, ("compute", dollars(found.compute), "the same in any case: 1 vCPU and 0.5 GiB a home, always on")]


def markdown(found: Simulation, even: int | None) -> str:
    """The bill as a page shows it."""
    lines = [f"**{found.fleet}**, at the prices of {found.region}", "", "| | US$ a month | |", "|---|---:|---|"]
    lines += [f"| {name} | {usd} | {note} |" for name, usd, note in compared(found)]
    for title, entries in (("ours", found.ours), ("the naive way", found.naive), ("Cloud Logging", found.logging)):
        lines += ["", f"| {title} | what | quantity a month | US$ | formula |", "|---|---|---:|---:|---|"]
        lines += [
            f"| {one.section} | {one.item} | {one.quantity:,.0f} {one.unit} | {dollars(one.usd)} | {one.formula} |"
            for one in entries
        ]
    return "\n".join([*lines, "", *(f"- {line}" for line in remarks(found, even))])


def remarks(found: Simulation, even: int | None) -> list[str]:
    """What a careful reader wants to know beside the numbers."""
    at_least = found.records_usd / found.naive_small if found.naive_small else Decimal(0)
    lines = [
        "naive: a document a record, of the size that Google's rule gives for documents with automatic indexes; "
        f"at 3,000 bytes a document ours would be {at_least:.1%}"
    ]
    if even is None:
        lines.append("Cloud Logging alone, without any live state, is cheaper at any rate")
    else:
        lines.append(
            f"break-even: below {even:,} records a day Cloud Logging is cheaper for the records alone, kept for a "
            f"year, without live state; kept for 30 days, it takes {found.free_log_records:,} a day for nothing"
        )
    return lines


def dollars(amount: Decimal) -> str:
    if amount and abs(amount) < Decimal("0.995"):
        return f"{amount:.4f}"
    return f"{amount:,.2f}"
