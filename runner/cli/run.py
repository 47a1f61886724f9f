"""`tron run`: bots trade on paper over a feed, and everything they do is kept, shipped and proved."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from runner.bots.halts import read_halt
from runner.bots.run import Progress, run_bots
from runner.cli import summary
from runner.cli.context import Context, console
from runner.cli.serve import check_address, serving
from runner.cli.shipped import await_shipped
from runner.cli.stage import Counts, Stage
from runner.cli.verify import audit
from runner.clock import ManualClock, SystemClock
from runner.feeds.base import Feed
from runner.feeds.open import open_feed
from runner.layout import Home
from runner.logging import backlog
from runner.logging.core_logger import TradingLogger
from runner.operations.exports import export
from runner.settings import Settings
from runner.stores.open import check_urls, is_remote, open_archive
from runner.wiring import Plan, build_bots, open_loggers, open_settings_warehouse, plan_bots

Loggers = Sequence[tuple[TradingLogger, ManualClock]]


def run(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Unpaced; end with the feed.")] = False,
    feed: Annotated[str | None, typer.Option(help="sample, or replay:PATH of feather, Parquet or CSV bars.")] = None,
    speed: Annotated[float | None, typer.Option(min=0, help="Bars a second; 0 for as fast as possible.")] = None,
    symbols: Annotated[str | None, typer.Option(help="Only these, separated by commas.")] = None,
    strategy: Annotated[str | None, typer.Option(help="One bot with this strategy, or module:Class.")] = None,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Without the dashboard.")] = False,
) -> None:
    """Run the bots of tron.toml (or three of the house) on paper, with a live dashboard and a summary at the end."""
    parent: Context = context.obj
    sys.path.insert(0, str(parent.directory))
    settings = parent.settings(_overrides(once, feed, speed, symbols, strategy))
    check_urls(settings)
    bars = open_feed(settings.feed.url, settings.feed.symbols)
    plans = plan_bots(settings, bars)
    if not no_dashboard:
        check_address(settings)
    Home(settings.home).create()
    stop, screen = _stop_on_signals(), console()
    with ExitStack() as closing:
        url = "" if no_dashboard else closing.enter_context(serving(settings))
        if url:
            screen.print(f"dashboard: {url}")
        stays = "" if once else url
        complete = _Show(settings, bars, plans, screen, stop, parent.command, stays).play()
        if stays and not stop.is_set():
            stop.wait()
    if not complete:
        raise typer.Exit(1)


def _overrides(
    once: bool, feed: str | None, speed: float | None, symbols: str | None, strategy: str | None
) -> dict[str, Any]:
    found: dict[str, Any] = {"feed": {}}
    if feed is not None:
        found["feed"]["url"] = feed
    if once or speed is not None:
        found["feed"]["speed"] = 0 if speed is None else speed
    if symbols is not None:
        found["feed"]["symbols"] = [symbol.strip() for symbol in symbols.split(",") if symbol.strip()]
    if strategy is not None:
        name = strategy.rpartition(":")[2].replace("_", "-").lower()
        found["bots"] = [{"name": name, "strategy": strategy}]
    return found


def _stop_on_signals() -> threading.Event:
    """Ctrl-C and SIGTERM end the run cleanly; a second Ctrl-C ends the process at once (nothing is lost by that)."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    return stop


class _Show:
    """One run from the first bar to the summary."""

    def __init__(
        self,
        settings: Settings,
        feed: Feed,
        plans: Sequence[Plan],
        screen: Console,
        stop: threading.Event,
        command: str,
        url: str,
    ) -> None:
        self._settings = settings
        self._home = Home(settings.home)
        self._feed = feed
        self._plans = plans
        self._screen = screen
        self._stop = stop
        self._command = command
        self._url = url

    def play(self) -> bool:
        """Whether the audit found nothing and, unless shipping is left to others, every record arrived.

        Beside a shipper in a container of its own (TRON_SHIPPER=none), a bot may not list an archive on Google Cloud,
        nor would there be time for it when an instance ends.
        """
        self._tell_halted()
        progress, runs = self._trade()
        ships = self._settings.shipping.shipper == "process"
        if ships:
            await_shipped(self._settings, self._home, runs, self._stop)
        elif is_remote(self._settings.stores.archive):
            summary.show_unproved(self._screen, progress)
            return True
        archive, warehouse = open_archive(self._settings), open_settings_warehouse(self._settings)
        export(archive, warehouse)
        outcome = summary.measure(self._settings, runs, archive, warehouse)
        report = audit(self._settings, self._home, self._screen)
        summary.show(self._screen, progress, outcome, report)
        self._screen.print(summary.next_steps(progress, outcome, self._command, self._url), soft_wrap=True)
        return report.complete and (outcome.equal or not ships)

    def _tell_halted(self) -> None:
        for plan in self._plans:
            halt = read_halt(self._home, plan.settings.name)
            if halt is not None:
                reason = f"{halt.reason} ({halt.at})" if halt.at else halt.reason
                self._screen.print(summary.halted(plan.settings.name, reason, self._command), soft_wrap=True)

    def _trade(self) -> tuple[Progress, list[str]]:
        speed = self._settings.feed.speed
        with open_loggers(self._settings, self._plans, self._feed, SystemClock()) as loggers:
            bots = build_bots(self._settings, self._plans, self._feed, loggers, SystemClock())
            with Stage(self._screen, self._feed.total, lambda: self._count(loggers)) as stage:
                progress = run_bots(
                    bots,
                    self._feed.bars(),
                    speed=self._feed.default_speed if speed is None else speed,
                    stop=self._stop,
                    clock=SystemClock(),
                    on_progress=stage.show,
                )
        return progress, [logger.run for logger, _ in loggers]

    def _count(self, loggers: Loggers) -> Counts:
        waiting = backlog.measure(self._home, [logger.run for logger, _ in loggers])
        return Counts(sum(logger.records for logger, _ in loggers), waiting)
