"""`tron ship`: adopt what dead processes left, and ship everything."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from runner.cli.context import Context, console
from runner.clock import SystemClock
from runner.errors import StoreUnavailable
from runner.logging.follower import Trouble
from runner.logging.leftovers import cloud_entry
from runner.logging.recovery import Recovered
from runner.logging.shipper import Reports
from runner.wiring import build_shipper


def ship(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep on while bots live.")] = False,
    unless_running: Annotated[bool, typer.Option(help="Leave when another shipper works on this home.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")] = False,
) -> None:
    """Adopt the runs that dead processes left, ship everything, and export it to the warehouse."""
    parent: Context = context.obj
    settings = parent.settings()
    screen = console()
    stop = threading.Event()

    def waiting() -> None:
        if not quiet:
            screen.print("another shipper works on this home: waiting for it to finish")

    def recovered(run: Recovered) -> None:
        if not quiet:
            screen.print(
                f"recovered run {run.run}: {run.records:,} records, {run.from_front} of them from its front"
                + (f"; {run.quarantined} damaged pieces are in journal/rejected" if run.quarantined else "")
            )

    def trouble(found: Trouble) -> None:
        if found.tries in (1, 10) or found.tries % 100 == 0:
            screen.print(f"{found.follower}: {found.error} (try {found.tries}; it goes on trying)")

    def left(line: bytes) -> None:
        typer.echo(cloud_entry(line))

    shipper = build_shipper(settings, SystemClock(), stop, Reports(waiting, recovered, trouble, left=left))

    def drain(number: int, frame: FrameType | None) -> None:
        shipper.drain(await_bots=settings.shipping.shipper == "none")
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, drain)
    signal.signal(signal.SIGINT, drain)
    complete = shipper.run(follow=follow, wait=not unless_running)
    if not complete:
        raise StoreUnavailable(
            "not everything could be shipped", "what is left is safe in the journal: run `tron ship` again"
        )
    if not quiet:
        screen.print("everything is shipped")
