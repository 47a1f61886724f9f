"""`tron resume`: let a halted bot trade again, by a named actor."""

from __future__ import annotations

from typing import Annotated

import typer

from runner.bots import halts
from runner.cli.context import Context, console
from runner.logging.core_logger import TradingLogger


def resume(
    context: typer.Context,
    bot: Annotated[str, typer.Argument(help="The bot's name in tron.toml.")],
    actor: Annotated[str, typer.Option(help="Who decides this.")],
    reason: Annotated[str, typer.Option(help="Why trading is safe again.")],
) -> None:
    """End a bot's halt. It trades again from its next start; the audit trail keeps who decided it, and why."""
    parent: Context = context.obj
    settings = parent.settings()
    home = parent.existing_home(settings)
    halts.check_resumable(home, bot, actor=actor, reason=reason)
    with TradingLogger(bot_type="operator", bot=bot, settings=settings) as logger:
        ended = halts.resume(home, bot, actor=actor, reason=reason, logger=logger)
    console().print(f"{bot} may trade again (it was halted: {ended.reason})")
