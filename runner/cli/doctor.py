"""`tron doctor`: is everything as it must be, and what to do where it is not."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from rich.text import Text

from runner.cli.context import Context, console
from runner.cli.stage import size
from runner.clock import SystemClock
from runner.errors import RunnerError
from runner.layout import Home
from runner.logging import backlog, disk
from runner.logging.journal import default_quota, is_alive, runs
from runner.logging.routes import TRADE_LOGS
from runner.logging.run_info import unreadable_runs
from runner.operations.checks import Check
from runner.operations.cloud_checks.asking import Purpose
from runner.operations.cloud_checks.everything import examine as examine_stores
from runner.settings import Settings
from runner.stores.open import cloud_parts, open_apis, open_archive, open_live, open_stream
from runner.version import VERSION
from runner.wiring import open_settings_warehouse

_LITTLE_SPACE = 256 << 20
_WIDTH, _CLOUD_WIDTH = 11, 32
_MARKS = {True: ("ok   ", "green"), False: ("FIX  ", "bold red"), None: ("?    ", "bold yellow")}


def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a check.")] = False,
    cloud: Annotated[bool, typer.Option("--cloud", help="What the stores on Google Cloud stand on, instead.")] = False,
    purpose: Annotated[Purpose, typer.Option("--for", help="With --cloud: what one must be allowed to.")] = Purpose.ALL,
    partial: Annotated[
        bool, typer.Option("--partial", help="With --cloud: take what cannot be seen for good.")
    ] = False,
) -> None:
    """Check this machine, the home, the shipper and every store; say what to do."""
    parent: Context = context.obj
    settings = parent.settings()
    worst: list[bool | None] = []
    for check in examine_cloud(settings, purpose) if cloud else examine(settings):
        worst.append(check.good)
        if as_json:
            print(json.dumps(check.as_dict()), flush=True)
        else:
            _show(check, _CLOUD_WIDTH if cloud else _WIDTH)
    if False in worst or (None in worst and not partial):
        raise typer.Exit(1)


def examine_cloud(settings: Settings, purpose: Purpose) -> Iterator[Check]:
    """Every check of what lies on Google Cloud. Raises `ConfigError` where nothing does, or without credentials."""
    stores = cloud_parts(settings)
    apis = open_apis(settings)
    try:
        yield from examine_stores(apis, stores, settings.project, purpose, SystemClock())
    finally:
        apis.close()


def examine(settings: Settings) -> Iterator[Check]:
    """Every check, in the order in which a problem should be solved."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield Check("version", True, f"tron {VERSION}, Python {python}, environment {settings.environment}")
    home = Home(settings.home)
    yield _attempt("home", lambda: str(home.create().path.absolute()), "choose another folder with TRON_HOME")
    if not home.journal.is_dir():
        return
    yield _space(home)
    yield _journal(settings, home)
    yield _shipper(home)
    yield _rejected(home)
    yield _unreadable(home)
    yield _attempt("live store", lambda: _look_at_live(settings), "see TRON_LIVE_STORE")
    yield _attempt("archive", lambda: _look_at_archive(settings), "see TRON_ARCHIVE")
    yield _attempt("stream", lambda: _look_at_stream(settings), "see TRON_STREAM")
    yield _attempt("warehouse", lambda: _look_at_warehouse(settings), "see TRON_WAREHOUSE")


def _attempt(name: str, look: Callable[[], str], advice: str) -> Check:
    try:
        return Check(name, True, look())
    except RunnerError as error:
        return Check(name, False, str(error), error.hint or advice)


def _space(home: Home) -> Check:
    free = shutil.disk_usage(home.path).free
    return Check("disk", free >= _LITTLE_SPACE, f"{size(free)} free", "free some space, or move the home (TRON_HOME)")


def _journal(settings: Settings, home: Home) -> Check:
    used = sum(path.stat().st_size for path in home.journal.glob("*/*/*.ndjson"))
    quota = settings.journal.quota or default_quota(home)
    found = f"{size(used)} of {size(quota)} used, {len(runs(home))} runs"
    return Check("journal", used < quota, found, "run `tron ship`; raise journal.quota if the stores are slow")


def _shipper(home: Home) -> Check:
    known = runs(home)
    alive = [info for info in known if not info.closed and is_alive(home, info.run)]
    dead = len([info for info in known if not info.closed]) - len(alive)
    waiting = backlog.measure(home, [info.run for info in known])
    works = disk.is_locked(home.shipper_lock)
    found = f"{'running' if works else 'not running'}; {len(alive)} bots live, {dead} runs to recover, "
    found += f"waiting: live {size(waiting.live)}, archive {size(waiting.archive)}"
    return Check("shipper", works or not (waiting.total or dead), found, "run `tron ship`")


def _rejected(home: Home) -> Check:
    pieces = len(list(home.rejected.glob("*.json"))) if home.rejected.is_dir() else 0
    advice = f"read the reasons in {home.rejected}/*.json, then move them away"
    return Check("rejected", pieces == 0, f"{pieces} pieces set aside", advice)


def _unreadable(home: Home) -> Check:
    found = unreadable_runs(home)
    what = "; ".join(str(error) for error in found.values())
    return Check("runs", not found, what or "all can be read", "`tron ship` mends a run.json whose writer is gone")


def _look_at_live(settings: Settings) -> str:
    live = open_live(settings)
    try:
        bots = live.query("live_system_status", now=SystemClock().now())
    finally:
        live.close()
    return f"{settings.stores.live or 'embedded SQLite'}; {len(bots)} bots seen within the hour"


def _look_at_archive(settings: Settings) -> str:
    archive = open_archive(settings)
    some = next(iter(archive.list(TRADE_LOGS, "logs/")), None)
    return f"{settings.stores.archive or 'embedded folder'}; {'has objects' if some else 'empty'}"


def _look_at_stream(settings: Settings) -> str:
    open_stream(settings).close()
    return settings.stores.stream


def _look_at_warehouse(settings: Settings) -> str:
    count = open_settings_warehouse(settings).query("SELECT count(*) FROM records").rows[0][0]
    return f"{settings.stores.warehouse or 'embedded Parquet'}; {count:,} records"


def _show(check: Check, width: int) -> None:
    mark, style = _MARKS[check.good]
    line = Text(mark, style=style)
    line.append(f"{check.name:{width}} ", style="bold")
    line.append(check.found)
    console().print(line, soft_wrap=True)
    if not check.good:
        console().print(Text(f"     {'':{width}} {check.advice}", style="yellow"), soft_wrap=True)
