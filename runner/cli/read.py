"""`tron tail`, `tron search`, `tron query`: looking at records, wherever they are by now."""

from __future__ import annotations

import csv
import json
import sys
import threading
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table as RichTable
from rich.text import Text

from runner.cli.context import Context, console
from runner.clock import SystemClock
from runner.errors import ConfigError
from runner.layout import Home
from runner.logging import backlog, lines
from runner.logging.reader import Tail
from runner.logging.topics import TopicLogs
from runner.operations.exports import export
from runner.operations.exports import search as search_records
from runner.settings import Settings
from runner.stores.base import Table, Warehouse
from runner.stores.open import open_archive, open_tail
from runner.wiring import open_settings_warehouse

_STYLES = {"DEBUG": "dim", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "NOTICE": "cyan"}
_QUIET_FIELDS = ("config_snapshot", "indicators", "context", "stack", "causes")

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def tail(
    context: typer.Context,
    count: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the newest to begin with.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep on as records are written.")] = False,
    kind: Annotated[str, typer.Option(help="Only this kind.")] = "",
    bot: Annotated[str, typer.Option(help="Only this bot.")] = "",
    as_json: Json = False,
    topics: Annotated[Path | None, typer.Option(help="Write them into log files by topic in this folder.")] = None,
) -> None:
    """Show the newest records of the journal; of the archive where the journal has been swept.

    With --follow on Pub/Sub, the records of every machine are shown, through a subscription of this call.
    """
    parent: Context = context.obj
    settings = parent.settings()
    if topics is not None:
        if kind or bot or as_json:
            raise ConfigError("--topics writes every record", "leave --kind, --bot and --json out")
        return _keep_topics(parent.existing_home(settings), parent.directory / topics, follow)
    wanted = {name: value for name, value in (("kind", kind), ("bot", bot)) if value}
    subscription = open_tail(settings) if follow else None
    home = Home(settings.home) if subscription else parent.existing_home(settings)
    fresh = subscription or Tail(home)
    for line in _newest(settings, home, wanted, count):
        _show(line, as_json)
    try:
        while follow:
            for line in fresh.next(1.0):
                if _matches(line, wanted):
                    _show(line, as_json)
            sys.stdout.flush()
    except KeyboardInterrupt:
        return None
    finally:
        fresh.close()
    return None


def search(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What to look for, in any letter case.")],
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """Find records by any text in them: in the warehouse, and in what the journal has not shipped yet."""
    if not text.strip():
        raise ConfigError("there is nothing to look for", "give a word, such as a symbol or a trade id")
    parent: Context = context.obj
    settings = parent.settings()
    warehouse, unshipped = _everything(parent, settings)
    table = search_records(warehouse, text, limit=limit, unshipped=unshipped)
    for row in table.dicts():
        data = row["data"]
        record = {**row, "data": json.loads(data) if isinstance(data, str) else data, "ts": _plain(row["ts"])}
        _show(json.dumps(record, default=_plain).encode(), as_json)
    if not table.rows:
        console().print(f"no record contains {text!r}")


def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help="One SELECT. Tables: a view for each stream, and `records` over all.")],
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
) -> None:
    """Ask in SQL: over the warehouse and what the journal has not shipped yet. `tron query "SHOW TABLES"` to begin."""
    if as_json and as_csv:
        raise ConfigError("--json and --csv exclude each other", "choose one")
    parent: Context = context.obj
    warehouse, unshipped = _everything(parent, parent.settings())
    table = warehouse.query(sql, unshipped=unshipped)
    if as_json:
        for row in table.dicts():
            print(json.dumps(row, default=_plain))
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(table.columns)
        writer.writerows([[_plain(value) for value in row] for row in table.rows])
    else:
        _print_table(table)


def _everything(parent: Context, settings: Settings) -> tuple[Warehouse, Mapping[str, bytes]]:
    """The warehouse with all that is archived, and the lines that are not. Read in this order, nothing is missed."""
    home = parent.existing_home(settings)
    unshipped = backlog.unshipped(home)
    warehouse = open_settings_warehouse(settings)
    export(open_archive(settings), warehouse)
    return warehouse, unshipped


def _keep_topics(home: Home, folder: Path, follow: bool) -> None:
    """Bring the log files by topic up to date, and keep them so until Ctrl-C with --follow."""
    with TopicLogs(home, folder, SystemClock()) as view:
        view.update()
        try:
            if follow:
                view.follow(threading.Event())
        except KeyboardInterrupt:
            view.update()
        missed = f"; {view.missed:,} had left the journal before" if view.missed else ""
        console().print(f"{view.written:,} lines written to {folder}{missed}")


def _newest(settings: Settings, home: Home, wanted: Mapping[str, str], count: int) -> list[bytes]:
    if not count:
        return []
    found = [line for line in backlog.newest(home, 0 if wanted else count) if _matches(line, wanted)]
    if found or any(home.journal.glob("*/*/*.ndjson")):
        return found[-count:]
    where = " AND ".join(f"{name} = ?" for name in wanted) or "true"
    table = open_settings_warehouse(settings).query(
        f"SELECT id, ts, kind, severity, bot, data FROM records WHERE {where} ORDER BY ts DESC, seq DESC LIMIT {count}",
        list(wanted.values()),
    )
    rows = [{**row, "ts": _plain(row["ts"]), "data": json.loads(row["data"])} for row in reversed(table.dicts())]
    return [json.dumps(row).encode() for row in rows]


def _matches(line: bytes, wanted: Mapping[str, str]) -> bool:
    if not wanted:
        return True
    record = lines.decode(line)
    return all(record.get(name) == value for name, value in wanted.items())


def _show(line: bytes, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(line.decode().rstrip("\n") + "\n")
        return
    record = lines.decode(line)
    text = Text(f"{record['ts'][:23]:23}  ", style="dim")
    text.append(f"{record.get('bot', ''):16.16} ", style="bold")
    text.append(f"{record['kind']:13.13} ", style=_STYLES.get(record["severity"], "green"))
    text.append(_in_words(record.get("data") or {}))
    console().print(text, soft_wrap=True)


def _in_words(data: Mapping[str, Any]) -> str:
    pairs = [(name, value) for name, value in data.items() if value not in (None, "", [], {})]
    shown = [f"{name}={value}" for name, value in pairs if name not in _QUIET_FIELDS]
    return "  ".join(part if len(part) <= 120 else part[:117] + "..." for part in shown)


def _print_table(table: Table) -> None:
    shown = RichTable(box=None, header_style="bold", pad_edge=False)
    for column in table.columns:
        shown.add_column(column, overflow="fold")
    for row in table.rows:
        shown.add_row(*("" if value is None else str(_plain(value)) for value in row))
    screen = console()
    screen.print(shown)
    screen.print(f"{len(table.rows):,} row{'' if len(table.rows) == 1 else 's'}", style="dim")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)
